import { randomUUID } from 'node:crypto';
import type { Viewer } from '../accounts/accounts.ts';
import type { Database, Queries } from '../database.ts';
import { audit } from '../queries/moderation.ts';
import { withPlainTitles } from '../queries/titles.ts';
import { Refused } from '../refused.ts';

/** A machine that went silent so often in the middle of one was most likely killed by it. */
const MOST_ATTEMPTS = 3;

export interface MeasurementView {
  id: string;
  slug: string;
  title: string;
  quick: boolean;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  /** The only machine that may take it. */
  wanted: string | null;
  /** The machine that measures it, or has. */
  worker: string | null;
  attempts: number;
  progress: string | null;
  failure: string | null;
  /** Running, but its machine has not been heard of: the next one that asks takes it. */
  silent: boolean;
  createdAt: Date;
  endedAt: Date | null;
}

/** What waits and runs, the oldest first, then what ended, the latest first; 200 at most. */
export function allMeasurements(database: Queries): Promise<MeasurementView[]> {
  return withPlainTitles(
    database.query<MeasurementView>(
      `SELECT m.id, m.slug, p.title, m.quick, m.state, wanted.name AS wanted, taker.name AS worker, m.attempts, m.progress,
       m.failure, m.state = 'running' AND m.leased_until < now() AS silent, m.created_at AS "createdAt", m.ended_at AS "endedAt"
     FROM measurements m JOIN papers p USING (slug)
     LEFT JOIN workers wanted ON wanted.id = m.worker_id LEFT JOIN workers taker ON taker.id = m.taken_by
     ORDER BY m.ended_at DESC NULLS FIRST, m.created_at, m.slug LIMIT 200`,
    ),
  );
}

/**
 * Queues the claims of papers to be measured; what is queued or running already is left alone.
 * @param worker id of the only machine that may take them; undefined: any
 * @returns how many are new
 */
export async function askToMeasure(
  database: Database,
  {
    slugs,
    worker,
    quick,
    actor,
  }: { slugs: readonly string[]; worker?: string; quick: boolean; actor: Viewer },
): Promise<number> {
  return database.transaction(async (inner) => {
    if (worker !== undefined) {
      const known = await inner.query(
        'SELECT 1 FROM workers WHERE id = $1 AND revoked_at IS NULL FOR SHARE',
        [worker],
      );
      if (known.length === 0) throw new Refused(404, 'There is no such machine.');
    }
    const rows = await inner.query<{ slug: string }>(
      `INSERT INTO measurements (slug, quick, worker_id, asked_by)
       SELECT slug, $2, $3, $4 FROM papers WHERE slug = ANY($1::text[]) ORDER BY slug
       ON CONFLICT DO NOTHING RETURNING slug`,
      [slugs, quick, worker ?? null, actor.id],
    );
    const what = rows.length === 1 ? `paper ${rows[0].slug}` : `${rows.length} papers`;
    if (rows.length > 0) await audit(inner, actor, 'ask to measure', what, quick ? 'quick' : undefined);
    return rows.length;
  });
}

/** Takes a measurement from the queue, or from the machine that runs it. */
export async function cancelMeasurement(
  database: Database,
  { id, actor }: { id: string; actor: Viewer },
): Promise<void> {
  await database.transaction(async (inner) => {
    const rows = await inner.query(
      `UPDATE measurements SET state = 'cancelled', ended_at = now(), lease = NULL
       WHERE id = $1 AND state IN ('queued', 'running') RETURNING id`,
      [id],
    );
    if (rows.length === 0) throw new Refused(409, 'This measurement neither waits nor runs.');
    await audit(inner, actor, 'cancel measurement', `measurement ${id}`);
  });
}

/** Queues a measurement that failed or was cancelled once more. */
export async function retryMeasurement(
  database: Database,
  { id, actor }: { id: string; actor: Viewer },
): Promise<void> {
  await database.transaction(async (inner) => {
    const [known] = await inner.query<{ waits: boolean; revoked: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM measurements o WHERE o.slug = m.slug AND o.quick = m.quick
           AND o.worker_id IS NOT DISTINCT FROM m.worker_id AND o.state IN ('queued', 'running')) AS waits,
         w.revoked_at IS NOT NULL AS revoked
       FROM measurements m LEFT JOIN workers w ON w.id = m.worker_id
       WHERE m.id = $1 AND m.state IN ('failed', 'cancelled') FOR UPDATE OF m`,
      [id],
    );
    if (!known) throw new Refused(409, 'Only what failed or was cancelled is tried again.');
    if (known.revoked) throw new Refused(409, 'The machine for which it was asked is revoked.');
    if (known.waits) throw new Refused(409, 'The same is queued or running already.');
    await inner.query(
      `UPDATE measurements SET state = 'queued', created_at = now(), ended_at = NULL, taken_by = NULL, lease = NULL,
         leased_until = NULL, attempts = 0, progress = NULL, failure = NULL WHERE id = $1`,
      [id],
    );
    await audit(inner, actor, 'retry measurement', `measurement ${id}`);
  });
}

/** What a worker is given. */
export interface Taken {
  job: string;
  lease: string;
  slug: string;
  quick: boolean;
}

/**
 * Gives a worker the oldest measurement that it may take: one that waits, or whose machine went silent. Over all servers
 * each is given to one.
 * @param papers what the worker can measure
 */
export async function takeMeasurement(
  database: Database,
  { worker, papers, leaseSeconds }: { worker: string; papers: readonly string[]; leaseSeconds: number },
): Promise<Taken | undefined> {
  await database.query(
    `UPDATE measurements SET state = 'failed', ended_at = now(), lease = NULL,
       failure = 'its machine went silent ' || attempts || ' times'
     WHERE state = 'running' AND leased_until < now() AND attempts >= $1`,
    [MOST_ATTEMPTS],
  );
  const [taken] = await database.query<Taken>(
    `WITH next AS MATERIALIZED (
       SELECT id FROM measurements
       WHERE (state = 'queued' OR (state = 'running' AND leased_until < now()))
         AND (worker_id IS NULL OR worker_id = $1) AND slug = ANY($2::text[])
       ORDER BY created_at, slug LIMIT 1 FOR UPDATE SKIP LOCKED)
     UPDATE measurements m SET state = 'running', taken_by = $1, lease = $3, attempts = attempts + 1, progress = NULL,
       leased_until = now() + make_interval(secs => $4)
     FROM next WHERE m.id = next.id RETURNING m.id AS job, m.lease, m.slug, m.quick`,
    [worker, papers, randomUUID(), leaseSeconds],
  );
  return taken;
}

interface Held {
  worker: string;
  job: string;
  lease: string;
}

const lost = () =>
  new Refused(
    409,
    'This worker does not hold the measurement any more: it was cancelled, or given to another.',
  );

/** Notes how far a worker is, and keeps the measurement for it. */
export async function noteProgress(
  database: Queries,
  { worker, job, lease, text, leaseSeconds }: Held & { text: string; leaseSeconds: number },
): Promise<void> {
  await change(
    database,
    { worker, job, lease },
    'progress = $4, leased_until = now() + make_interval(secs => $5)',
    text,
    leaseSeconds,
  );
}

/** Puts a measurement back that its worker will not finish, because it was told to end. */
export async function releaseMeasurement(database: Queries, held: Held): Promise<void> {
  await change(
    database,
    held,
    `state = 'queued', lease = NULL, leased_until = NULL, taken_by = NULL, progress = NULL, attempts = greatest(attempts - 1, 0)`,
  );
}

/** Ends a measurement that could not be made, with the reason. */
export async function failMeasurement(
  database: Queries,
  { text, ...held }: Held & { text: string },
): Promise<void> {
  await change(database, held, `state = 'failed', ended_at = now(), failure = $4`, text);
}

/**
 * Stores what a worker measured and ends the measurement, both or neither. The same worker may say it twice.
 * @param message as it was signed
 */
export async function storeResult(
  database: Database,
  {
    worker,
    job,
    lease,
    ...result
  }: Held & { slug: string; quick: boolean; message: string; signature: string },
): Promise<void> {
  await database.transaction(async (inner) => {
    const [known] = await inner.query<{ slug: string; quick: boolean; state: string }>(
      'SELECT slug, quick, state FROM measurements WHERE id = $1 AND taken_by = $2 AND lease = $3 FOR UPDATE',
      [job, worker, lease],
    );
    if (!known) throw lost();
    if (known.state === 'done') return;
    if (known.slug !== result.slug || known.quick !== result.quick)
      throw new Refused(
        400,
        `The result is of ${result.slug}${result.quick ? ', quick' : ''}; asked for: ${known.slug}${known.quick ? ', quick' : ''}.`,
      );
    await inner.query(
      `INSERT INTO measured (measurement_id, worker_id, slug, quick, message, signature) VALUES ($1, $2, $3, $4, $5, $6)`,
      [job, worker, result.slug, result.quick, result.message, result.signature],
    );
    await inner.query(
      `UPDATE measurements SET state = 'done', ended_at = now(), progress = NULL WHERE id = $1`,
      [job],
    );
  });
}

async function change(
  database: Queries,
  { worker, job, lease }: Held,
  assignments: string,
  ...values: unknown[]
): Promise<void> {
  const rows = await database.query(
    `UPDATE measurements SET ${assignments} WHERE id = $1 AND taken_by = $2 AND lease = $3 AND state = 'running' RETURNING id`,
    [job, worker, lease, ...values],
  );
  if (rows.length === 0) throw lost();
}
