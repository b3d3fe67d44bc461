import { Link, useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { auditLog } from '../../../server/queries/moderation.ts';
import { services } from '../../../server/services.ts';
import { BehindTheLast, Pager } from '../../components/feeds.tsx';
import { readFeedQuery } from '../feed/load.ts';
import { Tabs } from './tabs.tsx';

export const meta = () => [{ title: 'Audit log · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { role } = await viewerOf(request, 'curator');
  const { page } = readFeedQuery(request);
  const { lines, more } = await auditLog(services().database, page - 1);
  return {
    isAdmin: role === 'admin',
    page,
    more,
    lines: lines.map((line) => ({ ...line, at: line.at.toISOString() })),
  };
}

export default function Audit() {
  const { isAdmin, page, more, lines } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Audit log</h1>
      <Tabs isAdmin={isAdmin} />
      {lines.length === 0 &&
        (page > 1 ? <BehindTheLast page={page} first="/admin/audit" /> : <p>Nothing was decided yet.</p>)}
      <ol className="plain audit">
        {lines.map(({ id, at, actor, action, target, targetName, reason }) => (
          <li key={id}>
            <time dateTime={at}>{at.slice(0, 16).replace('T', ' ')} UTC</time>{' '}
            {actor ?? 'the command, or an account that is gone'}: {action},{' '}
            {targetName ? <Link to={`/users/${targetName}`}>{targetName}</Link> : <code>{target}</code>}
            {reason && <span className="quiet"> ({reason})</span>}
          </li>
        ))}
      </ol>
      {lines.length > 0 && (
        <Pager page={page} more={more} address={(next) => `/admin/audit${next > 1 ? `?page=${next}` : ''}`} />
      )}
    </div>
  );
}
