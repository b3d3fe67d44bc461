import { Form, Link, useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { decide } from '../../../server/actions/decide.ts';
import { allSubmissions } from '../../../server/queries/submissions.ts';
import { services } from '../../../server/services.ts';
import { dateInWords } from '../../components/facts.tsx';
import { actionHeaders } from '../../headers.ts';
import { Tabs } from './tabs.tsx';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Submissions · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { role } = await viewerOf(request, 'curator');
  const submissions = await allSubmissions(services().database);
  return {
    isAdmin: role === 'admin',
    submissions: submissions.map(({ createdAt, decidedAt: _, ...submission }) => ({
      ...submission,
      createdAt: createdAt.toISOString(),
    })),
  };
}

export async function action({ request }: { request: Request }) {
  const { role } = await viewerOf(request, 'curator');
  return decide(request, role);
}

export default function Submissions() {
  const { isAdmin, submissions } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Submissions</h1>
      <Tabs isAdmin={isAdmin} />
      {submissions.length === 0 && <p>Nobody has submitted a paper yet.</p>}
      <ol className="comments">
        {submissions.map((one) => (
          <li key={one.id} className="comment">
            <p className="facts">
              <span className={one.status === 'pending' ? 'label runs' : 'label'}>{one.status}</span>
              <a href={`https://arxiv.org/abs/${one.arxiv}`} rel="noopener">
                arXiv {one.arxiv}
              </a>
              <Link to={`/users/${one.name}`}>{one.name}</Link>
              <time dateTime={one.createdAt}>{dateInWords(one.createdAt)}</time>
              {one.source === 'typed' && <span>typed in: compare it with arXiv</span>}
            </p>
            <p>
              {one.slug && one.status === 'approved' ? (
                <Link to={`/papers/${one.slug}`}>{one.title}</Link>
              ) : (
                <b>{one.title}</b>
              )}
            </p>
            <p className="quiet">
              {one.authors.join(', ')}; published {dateInWords(one.publishedAt)}
            </p>
            {one.note && <p className="said">{one.note}</p>}
            <details>
              <summary>Abstract</summary>
              <p className="said">{one.abstract}</p>
            </details>
            {one.reason && <p className="quiet">Refused: {one.reason}</p>}
            {one.status !== 'approved' && (
              <div className="deeds">
                <Form method="post">
                  <input type="hidden" name="intent" value="approve" />
                  <input type="hidden" name="submission" value={one.id} />
                  <button type="submit">
                    List it today<span className="hidden">: {one.title}</span>
                  </button>
                </Form>
                {one.status === 'pending' && (
                  <Form method="post" className="inline">
                    <input type="hidden" name="intent" value="refuse" />
                    <input type="hidden" name="submission" value={one.id} />
                    <label>
                      Reason, which {one.name} sees
                      <input name="reason" required maxLength={500} />
                    </label>
                    <button type="submit">Refuse</button>
                  </Form>
                )}
              </div>
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}
