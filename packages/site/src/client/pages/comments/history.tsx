import { data, Link, useLoaderData } from 'react-router';
import { z } from 'zod';
import { historyOf } from '../../../server/queries/comments.ts';
import { services } from '../../../server/services.ts';
import { dateInWords } from '../../components/facts.tsx';
import { Said } from '../../components/said.tsx';

export const meta = () => [{ title: 'History of a comment · Saccade' }];

export async function loader({ params }: { params: { id?: string } }) {
  const id = z.uuid().safeParse(params.id);
  const history = id.success ? await historyOf(services().database, id.data) : undefined;
  if (!history) throw data('There is no such comment.', { status: 404 });
  return {
    id: id.data,
    slug: history.slug,
    versions: history.versions.map(({ html, writtenAt }) => ({ html, writtenAt: writtenAt.toISOString() })),
  };
}

export default function History() {
  const { id, slug, versions } = useLoaderData<typeof loader>();
  return (
    <div className="page prose">
      <h1>History of a comment</h1>
      <p>
        <Link to={`/papers/${slug}#comment-${id}`}>The comment</Link>
      </p>
      <ol className="comments">
        {versions.map(({ html, writtenAt }) => (
          <li key={writtenAt} className="comment">
            <p className="facts">
              <time dateTime={writtenAt}>
                {dateInWords(writtenAt)}, {writtenAt.slice(11, 16)} UTC
              </time>
            </p>
            <Said html={html} />
          </li>
        ))}
      </ol>
    </div>
  );
}
