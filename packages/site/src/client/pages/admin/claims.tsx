import { Form, Link, useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { decide } from '../../../server/actions/decide.ts';
import { allClaims } from '../../../server/queries/authorships.ts';
import { services } from '../../../server/services.ts';
import { dateInWords } from '../../components/facts.tsx';
import { actionHeaders } from '../../headers.ts';
import { Tabs } from './tabs.tsx';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Claims of authorship · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { role } = await viewerOf(request, 'curator');
  const claims = await allClaims(services().database);
  return {
    isAdmin: role === 'admin',
    claims: claims.map((claim) => ({ ...claim, createdAt: claim.createdAt.toISOString() })),
  };
}

export const action = ({ request }: { request: Request }) => decide(request, 'curator');

export default function Claims() {
  const { isAdmin, claims } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Claims of authorship</h1>
      <Tabs isAdmin={isAdmin} />
      {claims.length === 0 && <p>Nobody has claimed a paper yet.</p>}
      <ol className="comments">
        {claims.map(({ id, slug, title, name, authorName, evidence, status, reason, createdAt }) => (
          <li key={id} className="comment">
            <p className="facts">
              <span className={status === 'pending' ? 'label runs' : 'label'}>{status}</span>
              <Link to={`/users/${name}`}>{name}</Link>
              <Link to={`/papers/${slug}`}>{title}</Link>
              <time dateTime={createdAt}>{dateInWords(createdAt)}</time>
            </p>
            <p className="said">
              As {authorName}: {evidence}
            </p>
            {reason && <p className="quiet">Decided: {reason}</p>}
            <details open={status === 'pending'}>
              <summary>{status === 'pending' ? 'Decide' : 'Decide again'}</summary>
              <Form method="post" className="inline">
                <input type="hidden" name="intent" value="claim" />
                <input type="hidden" name="claim" value={id} />
                <label>
                  Reason, which the claimant sees
                  <input name="reason" required maxLength={500} />
                </label>
                <button type="submit" name="decision" value="confirm">
                  Confirm
                </button>
                <button type="submit" name="decision" value="deny">
                  Deny
                </button>
              </Form>
            </details>
          </li>
        ))}
      </ol>
    </div>
  );
}
