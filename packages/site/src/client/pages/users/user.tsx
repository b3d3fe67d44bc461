import { data, Link, useLoaderData } from 'react-router';
import { profileOf } from '../../../server/queries/users.ts';
import { services } from '../../../server/services.ts';
import { nameForm } from '../../../shared/social.ts';
import { dateInWords } from '../../components/facts.tsx';
import { Said } from '../../components/said.tsx';

export async function loader({ params }: { params: { name?: string } }) {
  const name = String(params.name).slice(0, 60);
  const known = nameForm.safeParse({ name });
  const profile = known.success ? await profileOf(services().database, known.data.name) : undefined;
  if (!profile) throw data(`There is nobody called ${name}.`, { status: 404 });
  return {
    ...profile,
    since: profile.since.toISOString(),
    comments: profile.comments.map((comment) => ({ ...comment, createdAt: comment.createdAt.toISOString() })),
  };
}

export const meta = ({ loaderData }: { loaderData?: Awaited<ReturnType<typeof loader>> }) => [
  { title: `${loaderData?.name ?? 'Reader'} · Saccade` },
];

export default function User() {
  const { name, role, isBot, since, papers, comments } = useLoaderData<typeof loader>();
  return (
    <div className="page prose">
      <h1>{name}</h1>
      <p className="facts">
        <span>{role}</span>
        {isBot && <span className="label">bot</span>}
        <span>
          here since <time dateTime={since}>{dateInWords(since)}</time>
        </span>
      </p>
      {papers.length > 0 && (
        <>
          <h2>Author of</h2>
          <ul className="plain">
            {papers.map(({ slug, title }) => (
              <li key={slug}>
                <Link to={`/papers/${slug}`}>{title}</Link>
              </li>
            ))}
          </ul>
        </>
      )}
      <h2>Comments</h2>
      {comments.length === 0 && <p className="quiet">None yet.</p>}
      <ol className="comments">
        {comments.map(({ id, slug, title, html, createdAt }) => (
          <li key={id} className="comment">
            <p className="facts">
              <Link to={`/papers/${slug}#comment-${id}`}>{title}</Link>
              <time dateTime={createdAt}>{dateInWords(createdAt)}</time>
            </p>
            <Said html={html} />
          </li>
        ))}
      </ol>
    </div>
  );
}
