import { papers } from '@saccade/papers';
import { Form, Link, useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { measureAction } from '../../../server/actions/measure.ts';
import { titlesOf } from '../../../server/queries/papers.ts';
import { services } from '../../../server/services.ts';
import { allMeasurements } from '../../../server/workers/measurements.ts';
import { allWorkers } from '../../../server/workers/workers.ts';
import { instantInWords } from '../../components/facts.tsx';
import { actionHeaders } from '../../headers.ts';
import { Tabs } from './tabs.tsx';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Measurements · Saccade' }];

export async function loader({ request }: { request: Request }) {
  const { role } = await viewerOf(request, 'curator');
  const { database } = services();
  const slugs = papers.map(({ slug }) => slug);
  const [measurements, workers, titles] = await Promise.all([
    allMeasurements(database),
    allWorkers(database),
    titlesOf(database, slugs),
  ]);
  return {
    isAdmin: role === 'admin',
    papers: slugs.map((slug) => ({ slug, title: titles.get(slug) ?? slug })),
    workers: workers.filter(({ revokedAt }) => !revokedAt).map(({ id, name }) => ({ id, name })),
    measurements: measurements.map(({ createdAt, endedAt, ...measurement }) => ({
      ...measurement,
      at: (endedAt ?? createdAt).toISOString(),
    })),
  };
}

export const action = ({ request }: { request: Request }) => measureAction(request);

export default function Measurements() {
  const { isAdmin, papers, workers, measurements } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Measurements</h1>
      <Tabs isAdmin={isAdmin} />
      <p className="lede">
        A paper’s claims, run as experiments by a machine that works for this site. What it sends back stands
        in the <Link to="/ledger">ledger</Link> under its name.
      </p>
      {workers.length === 0 ? (
        <p className="notice">
          No machine works for this site yet. <Link to="/admin/machines">Machines</Link> says how one comes to
          it; what is queued waits until then.
        </p>
      ) : null}
      <Form method="post" className="inline">
        <input type="hidden" name="intent" value="measure" />
        <label>
          Paper
          <select name="paper">
            <option value="all">all that run</option>
            {papers.map(({ slug, title }) => (
              <option key={slug} value={slug}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <label>
          Machine
          <select name="worker">
            <option value="any">any</option>
            {workers.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label className="check">
          <input type="checkbox" name="quick" value="1" /> quick
        </label>
        <button type="submit">Queue</button>
      </Form>
      {measurements.length === 0 && <p>Nothing was queued yet.</p>}
      <ol className="comments">
        {measurements.map((one) => (
          <li key={one.id} className="comment">
            <p className="facts">
              <span className={one.state === 'running' ? 'label runs' : 'label'}>{one.state}</span>
              <Link to={`/papers/${one.slug}`}>{one.title}</Link>
              {one.quick && <span>quick</span>}
              <span>{whereOf(one)}</span>
              <time dateTime={one.at}>{instantInWords(one.at)}</time>
              {one.attempts > 1 && <span>tried {one.attempts} times</span>}
            </p>
            {one.progress && <p className="quiet">{one.progress}</p>}
            {one.silent && (
              <p className="quiet">Its machine has gone silent; the next one that asks takes it.</p>
            )}
            {one.failure && <p className="refusal">{one.failure}</p>}
            <Deed {...one} />
          </li>
        ))}
      </ol>
    </div>
  );
}

const whereOf = ({ worker, wanted }: { worker: string | null; wanted: string | null }) =>
  worker ? `on ${worker}` : wanted ? `for ${wanted}` : 'for any machine';

function Deed({ id, state, title }: { id: string; state: string; title: string }) {
  if (state === 'done') return null;
  const open = state === 'queued' || state === 'running';
  return (
    <Form method="post" className="deeds">
      <input type="hidden" name="intent" value={open ? 'cancel' : 'retry'} />
      <input type="hidden" name="measurement" value={id} />
      <button type="submit">
        {open ? 'Cancel' : 'Try again'}
        <span className="hidden"> {title}</span>
      </button>
    </Form>
  );
}
