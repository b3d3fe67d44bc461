import { Form, Link, redirect, useLoaderData } from 'react-router';
import { act, viewerOf } from '../../../server/act.ts';
import { submissionsOf } from '../../../server/queries/submissions.ts';
import { markRead, notificationsOf } from '../../../server/queries/users.ts';
import { services } from '../../../server/services.ts';
import { dateInWords } from '../../components/facts.tsx';
import { Said } from '../../components/said.tsx';
import { actionHeaders } from '../../headers.ts';

export const headers = actionHeaders;

export const meta = () => [{ title: 'For you · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { id } = await viewerOf(request);
  const { database } = services();
  const [rows, submissions] = await Promise.all([notificationsOf(database, id), submissionsOf(database, id)]);
  return {
    told: rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() })),
    decided: submissions.flatMap(({ id, title, slug, status, reason, decidedAt, isNew }) =>
      decidedAt ? [{ id, title, slug, status, reason, isNew, decidedAt: decidedAt.toISOString() }] : [],
    ),
  };
}

export function action({ request }: { request: Request }) {
  return act(request, { limit: 'account' }, async ({ id }) => {
    await markRead(services().database, id);
    return redirect('/notifications');
  });
}

export default function Notifications() {
  const { told, decided } = useLoaderData<typeof loader>();
  return (
    <div className="page prose">
      <h1>For you</h1>
      {told.length === 0 && decided.length === 0 && <p>Nobody has mentioned or answered you yet.</p>}
      <ol className="comments">
        {told.map(({ commentId, kind, name, slug, title, html, createdAt, isNew }) => (
          <li key={commentId} className="comment">
            <p className="facts">
              {isNew && <span className="label runs">new</span>}
              <span>
                {name ?? 'a deleted account'} {kind === 'mention' ? 'mentioned you' : 'answered you'}
              </span>
              <Link to={`/papers/${slug}#comment-${commentId}`}>{title}</Link>
              <time dateTime={createdAt}>{dateInWords(createdAt)}</time>
            </p>
            <Said html={html} />
          </li>
        ))}
      </ol>
      {decided.length > 0 && (
        <section aria-labelledby="decided">
          <h2 id="decided">Papers you submitted</h2>
          <ol className="comments">
            {decided.map(({ id, title, slug, status, reason, isNew, decidedAt }) => (
              <li key={id} className="comment">
                <p className="facts">
                  {isNew && <span className="label runs">new</span>}
                  <span>{status === 'approved' ? 'listed' : 'refused'}</span>
                  {slug ? <Link to={`/papers/${slug}`}>{title}</Link> : <span>{title}</span>}
                  <time dateTime={decidedAt}>{dateInWords(decidedAt)}</time>
                </p>
                {reason && <p className="said">{reason}</p>}
              </li>
            ))}
          </ol>
        </section>
      )}
      {[...told, ...decided].some(({ isNew }) => isNew) && (
        <Form method="post">
          <button type="submit">Mark all as read</button>
        </Form>
      )}
    </div>
  );
}
