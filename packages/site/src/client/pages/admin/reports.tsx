import { Form, Link, useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { decide } from '../../../server/actions/decide.ts';
import { reportedComments } from '../../../server/queries/moderation.ts';
import { services } from '../../../server/services.ts';
import { Said } from '../../components/said.tsx';
import { actionHeaders } from '../../headers.ts';
import { Tabs } from './tabs.tsx';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Reports · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { role } = await viewerOf(request, 'curator');
  return { isAdmin: role === 'admin', comments: await reportedComments(services().database) };
}

export const action = ({ request }: { request: Request }) => decide(request, 'curator');

export default function Reports() {
  const { isAdmin, comments } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Reports</h1>
      <Tabs isAdmin={isAdmin} />
      {comments.length === 0 && <p>Nothing waits.</p>}
      <ol className="comments">
        {comments.map(({ id, slug, title, author, html, removedReason, reports }) => (
          <li key={id} className="comment">
            <p className="facts">
              {removedReason && <span className="label">removed</span>}
              <span>{author ?? 'a deleted account'}</span>
              <Link to={`/papers/${slug}#comment-${id}`}>{title}</Link>
            </p>
            <Said html={html} />
            {removedReason && <p className="quiet">Removed: {removedReason}</p>}
            <ul className="plain quiet">
              {reports.map(({ by, reason }) => (
                <li key={by}>
                  {by}: {reason}
                </li>
              ))}
            </ul>
            <div className="deeds">
              <Form method="post">
                <input type="hidden" name="intent" value="keep" />
                <input type="hidden" name="comment" value={id} />
                <button type="submit">{removedReason ? 'Put it back' : 'Keep it'}</button>
              </Form>
              {!removedReason && (
                <Form method="post" className="inline">
                  <input type="hidden" name="intent" value="remove" />
                  <input type="hidden" name="comment" value={id} />
                  <label>
                    Reason, which everybody sees
                    <input name="reason" required maxLength={500} />
                  </label>
                  <button type="submit">Remove it</button>
                </Form>
              )}
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}
