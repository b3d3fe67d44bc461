import { useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { services } from '../../../server/services.ts';
import { Tabs } from './tabs.tsx';

export const meta = () => [{ title: 'Outbox · Saccade' }];

export async function loader({ request }: { request: Request }) {
  await viewerOf(request, 'admin');
  const { mailer } = services();
  const kept = await mailer.kept();
  return {
    kind: mailer.kind,
    kept: kept.slice(0, 100).map(({ id, at, to, subject, text }) => ({ id, at, to, subject, text })),
  };
}

export default function Outbox() {
  const { kind, kept } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Outbox</h1>
      <Tabs isAdmin />
      <p className="lede">
        {kind === 'outbox'
          ? 'No mail server is set (SMTP_URL), so mail stays here, the latest first.'
          : 'Mail goes to the mail server; nothing is kept here.'}
      </p>
      {kind === 'outbox' && kept.length === 0 && <p>No mail was written yet.</p>}
      <ol className="comments">
        {kept.map(({ id, at, to, subject, text }) => (
          <li key={id} className="comment">
            <p className="facts">
              <span>{to}</span>
              <time dateTime={at}>{at.slice(0, 16).replace('T', ' ')} UTC</time>
            </p>
            <details>
              <summary>{subject}</summary>
              <pre className="wrapped">{text}</pre>
            </details>
          </li>
        ))}
      </ol>
    </div>
  );
}
