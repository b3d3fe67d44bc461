import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { planForm } from '../../shared/import-plan.ts';
import type { Viewer } from '../accounts/accounts.ts';
import type { Database, Queries } from '../database.ts';
import { audit } from '../queries/moderation.ts';
import { Refused } from '../refused.ts';
import { politeClient } from './client.ts';
import { type ImportReport, type ImportRequest, importPapers, importSchema } from './import.ts';

/** After failures it is tried again, later each time; then the day is given up. */
const MOST_TRIES = 5;
const FIRST_PAUSE_MINUTES = 10;

export interface PlanView {
  id: string;
  request: ImportRequest;
  hour: number;
  paused: boolean;
  running: boolean;
  asked: boolean;
  attempts: number;
  endedAt: Date | null;
  report: (Omit<ImportReport, 'problems'> & { problems: number }) | null;
  failure: string | null;
}

/** All plans, by their hour. */
export function allPlans(database: Queries): Promise<PlanView[]> {
  return database.query(
    `SELECT id, request, hour, paused, coalesce(claimed_until > now(), false) AS running, asked, attempts,
       ended_at AS "endedAt", report, failure FROM import_plans ORDER BY hour, created_at`,
  );
}

type Planned = Extract<z.infer<typeof planForm>, { intent: 'plan' }>;

/**
 * What the importer is asked for a plan's form.
 * @throws Refused that says what the source allows
 */
export function requestOf({ source, what, list }: Planned): ImportRequest {
  const listed = list === '1' || undefined;
  const asked = {
    'arxiv-rss': { source, categories: what ? what.split(/[\s,]+/) : undefined },
    arxiv: { source, query: what || undefined, list: listed },
    'arxiv-oai': { source, set: what || undefined, list: listed },
    huggingface: { source },
  }[source];
  const parsed = importSchema.safeParse(asked);
  if (!parsed.success)
    throw new Refused(
      400,
      `What to ask for is “${what.slice(0, 60)}”; allowed: ${parsed.error.issues[0].message}.`,
    );
  return parsed.data;
}

export async function addPlan(
  database: Database,
  { request, hour, actor }: { request: ImportRequest; hour: number; actor: Viewer },
): Promise<void> {
  await database.transaction(async (inner) => {
    const [row] = await inner.query<{ id: string }>(
      'INSERT INTO import_plans (request, hour) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id',
      [JSON.stringify(request), hour],
    );
    if (!row) throw new Refused(409, 'That is imported already; remove it to change its hour.');
    await audit(inner, actor, 'plan import', `import ${row.id}`, `${request.source}, ${hour}:00`);
  });
}

const changes = {
  run: { set: 'UPDATE import_plans SET asked = true, try_at = NULL, attempts = 0', action: 'import now' },
  pause: { set: 'UPDATE import_plans SET paused = true', action: 'pause import' },
  resume: { set: 'UPDATE import_plans SET paused = false', action: 'resume import' },
  remove: { set: 'DELETE FROM import_plans', action: 'remove import' },
} as const;

export async function changePlan(
  database: Database,
  { id, change, actor }: { id: string; change: keyof typeof changes; actor: Viewer },
): Promise<void> {
  const { set, action } = changes[change];
  await database.transaction(async (inner) => {
    if ((await inner.query(`${set} WHERE id = $1 RETURNING id`, [id])).length === 0)
      throw new Refused(404, 'There is no such import.');
    await audit(inner, actor, action, `import ${id}`);
  });
}

export interface RunPlans {
  database: Database;
  /** Of the editions; hours of plans are counted in it. */
  zone: string;
  signal: AbortSignal;
  now?: () => Date;
  /** Gets texts from the sources. */
  fetchText?: (url: string) => Promise<string>;
  /** How long a claim keeps others off; it is renewed while the import runs. */
  leaseSeconds?: number;
}

/**
 * Runs the imports that are due until none is. Over all processes each plan is run by one at a time and once a day; one
 * whose process was killed goes on where it was, once the claim has run out.
 * @returns how many ended
 */
export async function runPlans(options: RunPlans): Promise<number> {
  const { signal } = options;
  let ended = 0;
  while (!signal.aborted) {
    const claim = randomUUID();
    const plan = await claimPlan(options, claim);
    if (!plan) break;
    await runPlan(options, plan, claim);
    ended++;
  }
  return ended;
}

interface Claimed {
  id: string;
  request: ImportRequest;
  /** The day that is done with it; null where it was asked for before its hour. */
  day: string | null;
  attempts: number;
}

async function claimPlan(
  { database, zone, now = () => new Date(), leaseSeconds = 300 }: RunPlans,
  claim: string,
): Promise<Claimed | undefined> {
  const [plan] = await database.query<Claimed>(
    `WITH clock AS (SELECT $1::timestamptz AT TIME ZONE $2 AS local), next AS MATERIALIZED (
       SELECT id FROM import_plans, clock
       WHERE (claimed_until IS NULL OR claimed_until <= now())
         AND (asked OR (NOT paused AND hour <= extract(hour FROM local) AND (done_on IS NULL OR done_on < local::date)))
         AND (try_at IS NULL OR try_at <= $1)
       ORDER BY hour, created_at LIMIT 1 FOR UPDATE OF import_plans SKIP LOCKED)
     UPDATE import_plans p SET claim = $3, claimed_until = now() + make_interval(secs => $4)
     FROM next, clock WHERE p.id = next.id RETURNING p.id, p.request, p.attempts,
       CASE WHEN p.hour <= extract(hour FROM clock.local) THEN clock.local::date END AS day`,
    [now(), zone, claim, leaseSeconds],
  );
  return plan;
}

async function runPlan(
  { database, zone, signal, now = () => new Date(), leaseSeconds = 300, fetchText }: RunPlans,
  { id, request, day, attempts }: Claimed,
  claim: string,
): Promise<void> {
  const lost = new AbortController();
  const set = async (assignments: string, ...values: unknown[]) => {
    const rows = await database.query(
      `UPDATE import_plans SET ${assignments} WHERE id = $1 AND claim = $2 RETURNING id`,
      [id, claim, ...values],
    );
    return rows.length > 0;
  };
  const renew = async () => {
    // Removed, or so slow that another took it.
    const held = await set('claimed_until = now() + make_interval(secs => $3)', leaseSeconds).catch(
      () => true,
    );
    if (!held) lost.abort();
  };
  const beat = setInterval(renew, (leaseSeconds * 1000) / 4);
  const stop = AbortSignal.any([signal, lost.signal]);
  const free = 'claim = NULL, claimed_until = NULL';
  const done = `${free}, asked = false, done_on = coalesce($3::date, done_on), attempts = 0, try_at = NULL, ended_at = $4`;
  try {
    const report = await importPapers(request, {
      database,
      zone,
      fetchText: fetchText ?? politeClient(database, { signal: stop }),
      signal: stop,
    });
    const told = { ...report, problems: report.problems.length };
    await set(`${done}, report = $5, failure = NULL`, day, now(), JSON.stringify(told));
  } catch (error) {
    const failure = (error as Error).message.slice(0, 500);
    // Told to end: whoever asks next goes on.
    if (stop.aborted) await set(free);
    else if (attempts + 1 >= MOST_TRIES)
      await set(`${done}, report = NULL, failure = $5`, day, now(), failure);
    else {
      const pause = FIRST_PAUSE_MINUTES * 60_000 * 2 ** attempts;
      await set(
        `${free}, attempts = attempts + 1, failure = $3, try_at = $4`,
        failure,
        new Date(now().getTime() + pause),
      );
    }
  } finally {
    clearInterval(beat);
  }
}
