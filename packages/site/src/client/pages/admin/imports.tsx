import { Form, useLoaderData } from 'react-router';
import { viewerOf } from '../../../server/act.ts';
import { importsAction } from '../../../server/actions/imports.ts';
import { allPlans } from '../../../server/import/plans.ts';
import { services } from '../../../server/services.ts';
import { plannedSources } from '../../../shared/import-plan.ts';
import { instantInWords } from '../../components/facts.tsx';
import { actionHeaders } from '../../headers.ts';
import { Tabs } from './tabs.tsx';

export const headers = actionHeaders;

export const meta = () => [{ title: 'Imports · Saccade' }];

export async function loader({ request }: { request: Request }) {
  await viewerOf(request, 'admin');
  const { database, zone } = services();
  const plans = await allPlans(database);
  return {
    zone,
    plans: plans.map(({ request, endedAt, ...plan }) => ({
      ...plan,
      source: plannedSources[request.source as keyof typeof plannedSources],
      what: whatOf(request),
      lists: 'list' in request && request.list === true,
      endedAt: endedAt?.toISOString(),
    })),
  };
}

const whatOf = (request: object): string =>
  'categories' in request
    ? (request.categories as string[]).join(', ')
    : 'query' in request
      ? String(request.query)
      : 'set' in request
        ? String(request.set)
        : '';

export const action = ({ request }: { request: Request }) => importsAction(request);

export default function Imports() {
  const { zone, plans } = useLoaderData<typeof loader>();
  return (
    <div className="page">
      <h1>Imports</h1>
      <Tabs isAdmin />
      <p className="lede">
        Once a day, from the hour on, counted in {zone}. However many servers share the database, each import
        runs once, and sources are asked at most once in three seconds.
      </p>
      <Form method="post" className="stacked">
        <input type="hidden" name="intent" value="plan" />
        <label>
          Source
          <select name="source">
            {Object.entries(plannedSources).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          Which categories, question or set
          <input
            name="what"
            maxLength={1000}
            placeholder="cs.LG, cs.CV · cat:cs.LG AND abs:attention · cs:cs:LG"
          />
        </label>
        <label>
          Hour
          <select name="hour" defaultValue="6">
            {Array.from({ length: 24 }, (_, hour) => `${hour}`).map((hour) => (
              <option key={hour} value={hour}>
                {hour.padStart(2, '0')}:00
              </option>
            ))}
          </select>
        </label>
        <label className="check">
          <input type="checkbox" name="list" value="1" /> put what a question or a set finds into the day’s
          papers
        </label>
        <button type="submit">Import daily</button>
      </Form>
      {plans.length === 0 && <p>Nothing is imported by itself yet.</p>}
      <ol className="comments">
        {plans.map((plan) => (
          <li key={plan.id} className="comment">
            <p className="facts">
              {plan.running ? (
                <span className="label runs">running</span>
              ) : (
                plan.paused && <span className="label">paused</span>
              )}
              <span>{plan.source}</span>
              <span>{String(plan.hour).padStart(2, '0')}:00</span>
              {plan.lists && <span>into the day’s papers</span>}
              {plan.asked && !plan.running && <span>asked for now</span>}
            </p>
            {plan.what && (
              <p className="said">
                <code>{plan.what}</code>
              </p>
            )}
            <p className="quiet">
              {plan.endedAt ? `Last ended ${instantInWords(plan.endedAt)}` : 'Has not run yet'}
              {plan.report &&
                `: ${plan.report.read} read, ${plan.report.added} new, ${plan.report.changed} changed, ${plan.report.problems} not understood`}
            </p>
            {plan.failure && (
              <p className="refusal">
                {plan.failure}
                {plan.attempts > 0 && '; it is tried again'}
              </p>
            )}
            <div className="deeds">
              {(['run', plan.paused ? 'resume' : 'pause', 'remove'] as const).map((intent) => (
                <Form key={intent} method="post">
                  <input type="hidden" name="intent" value={intent} />
                  <input type="hidden" name="plan" value={plan.id} />
                  <button type="submit">
                    {deeds[intent]}
                    <span className="hidden">
                      : {plan.source} {plan.what}
                    </span>
                  </button>
                </Form>
              ))}
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}

const deeds = { run: 'Run now', pause: 'Pause', resume: 'Resume', remove: 'Remove' };
