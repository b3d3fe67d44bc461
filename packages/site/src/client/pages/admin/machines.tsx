import { Form, useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { measureAction } from '../../../server/actions/measure.ts';
import { services } from '../../../server/services.ts';
import { allWorkers } from '../../../server/workers/workers.ts';
import { counted, dateInWords, instantInWords } from '../../components/facts.tsx';
import { actionHeaders } from '../../headers.ts';
import { Tabs } from './tabs.tsx';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Machines · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { role } = await viewerOf(request, 'curator');
  const { database, origin } = services();
  const workers = await allWorkers(database);
  return {
    isAdmin: role === 'admin',
    origin,
    workers: workers.map(({ createdAt, seenAt, revokedAt, ...worker }) => ({
      ...worker,
      createdAt: createdAt.toISOString(),
      seenAt: seenAt?.toISOString() ?? null,
      revokedAt: revokedAt?.toISOString() ?? null,
    })),
  };
}

export const action = ({ request }: { request: Request }) => measureAction(request);

export default function Machines() {
  const { isAdmin, origin, workers } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Machines</h1>
      <Tabs isAdmin={isAdmin} />
      <p className="lede">
        A machine measures for this site once its public key is registered:{' '}
        <code>saccade worker --show-key</code> prints it there, and <code>saccade worker {origin}</code>{' '}
        begins.
      </p>
      {isAdmin && (
        <Form method="post" className="stacked">
          <input type="hidden" name="intent" value="register" />
          <label>
            Name, which the ledger shows
            <input
              name="name"
              required
              maxLength={48}
              pattern="[a-z0-9]+(-[a-z0-9]+)*"
              placeholder="lab-h100"
            />
          </label>
          <label>
            Public key
            <input
              name="publicKey"
              required
              minLength={43}
              maxLength={43}
              autoComplete="off"
              spellCheck={false}
            />
          </label>
          <button type="submit">Register</button>
        </Form>
      )}
      {workers.length === 0 && <p>None is registered yet.</p>}
      <ol className="comments">
        {workers.map(({ id, name, publicKey, createdAt, seenAt, revokedAt, adapter, cpu, papers }) => (
          <li key={id} className="comment">
            <p className="facts">
              <b>{name}</b>
              {revokedAt && <span className="label">revoked {dateInWords(revokedAt)}</span>}
              <span>since {dateInWords(createdAt)}</span>
              <span>{seenAt ? `heard of ${instantInWords(seenAt)}` : 'not heard of yet'}</span>
              <span>{counted(papers, 'paper')} measured</span>
            </p>
            <p className="quiet said">
              {adapter && `${adapter}; ${cpu}; `}key <code>{publicKey}</code>
            </p>
            {isAdmin && (!revokedAt || papers > 0) && (
              <details className="deeds">
                <summary>{revokedAt ? 'Remove its results' : 'Revoke'}</summary>
                <Form method="post" className="inline">
                  <input type="hidden" name="intent" value="revoke" />
                  <input type="hidden" name="worker" value={id} />
                  {papers > 0 && (
                    <label className="check">
                      <input type="checkbox" name="results" value="1" defaultChecked={revokedAt !== null} />{' '}
                      also remove what it measured
                    </label>
                  )}
                  <button type="submit">
                    {revokedAt ? 'Remove' : 'Revoke'}
                    <span className="hidden"> {name}</span>
                  </button>
                </Form>
              </details>
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}
