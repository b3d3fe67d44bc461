import { useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { auditLog } from '../../../server/queries/moderation.ts';
import { services } from '../../../server/services.ts';
import { Tabs } from './tabs.tsx';

export const meta = () => [{ title: 'Audit log · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { role } = await viewerOf(request, 'curator');
  const lines = await auditLog(services().database);
  return { isAdmin: role === 'admin', lines: lines.map((line) => ({ ...line, at: line.at.toISOString() })) };
}

export default function Audit() {
  const { isAdmin, lines } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Audit log</h1>
      <Tabs isAdmin={isAdmin} />
      {lines.length === 0 && <p>Nothing was decided yet.</p>}
      <ol className="plain audit">
        {lines.map(({ at, actor, action, target, reason }) => (
          <li key={`${at} ${action} ${target}`}>
            <time dateTime={at}>{at.slice(0, 16).replace('T', ' ')}</time>{' '}
            {actor ?? 'the command, or an account that is gone'}: {action}, <code>{target}</code>
            {reason && <span className="quiet"> ({reason})</span>}
          </li>
        ))}
      </ol>
    </div>
  );
}
