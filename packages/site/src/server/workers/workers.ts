import type { Viewer } from '../accounts/accounts.ts';
import type { Database, Queries } from '../database.ts';
import { audit } from '../queries/moderation.ts';
import { Refused } from '../refused.ts';

export interface WorkerView {
  id: string;
  name: string;
  publicKey: string;
  createdAt: Date;
  seenAt: Date | null;
  revokedAt: Date | null;
  /** What it said of itself: adapter and processor. */
  adapter: string | null;
  cpu: string | null;
  /** Papers that it has measured. */
  papers: number;
}

/** All workers by name, those that are revoked last. */
export function allWorkers(database: Queries): Promise<WorkerView[]> {
  return database.query(
    `SELECT w.id, w.name, w.public_key AS "publicKey", w.created_at AS "createdAt", w.seen_at AS "seenAt",
       w.revoked_at AS "revokedAt", w.machine ->> 'adapter' AS adapter, w.machine ->> 'cpu' AS cpu,
       (SELECT count(DISTINCT slug) FROM measured m WHERE m.worker_id = w.id) AS papers
     FROM workers w ORDER BY w.revoked_at IS NOT NULL, w.name`,
  );
}

/**
 * Registers a worker's public key under a name that the ledger will show.
 * @throws Refused where another worker has the name or the key, revoked ones included
 */
export async function registerWorker(
  database: Database,
  { name, publicKey, actor }: { name: string; publicKey: string; actor: Viewer },
): Promise<void> {
  await database.transaction(async (inner) => {
    const [row] = await inner.query<{ id: string }>(
      'INSERT INTO workers (name, public_key) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id',
      [name, publicKey],
    );
    if (!row)
      throw new Refused(
        409,
        `Another worker has the name ${name}, or this key; a revoked key does not come back.`,
      );
    await audit(inner, actor, 'register worker', `worker ${row.id}`, name);
  });
}

/**
 * Takes nothing more from a worker; what it was measuring goes back to the queue, and what only it was to measure is
 * cancelled.
 * @param results also removes what it measured
 */
export async function revokeWorker(
  database: Database,
  { id, actor, results }: { id: string; actor: Viewer; results: boolean },
): Promise<void> {
  await database.transaction(async (inner) => {
    const [row] = await inner.query<{ name: string }>(
      'UPDATE workers SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING name',
      [id],
    );
    if (!row) throw new Refused(404, 'There is no such worker.');
    await inner.query(
      `UPDATE measurements SET state = 'cancelled', ended_at = now(), lease = NULL
       WHERE worker_id = $1 AND state IN ('queued', 'running')`,
      [id],
    );
    await inner.query(
      `UPDATE measurements SET state = 'queued', lease = NULL, leased_until = NULL, taken_by = NULL, progress = NULL
       WHERE taken_by = $1 AND state = 'running'`,
      [id],
    );
    if (results) await inner.query('DELETE FROM measured WHERE worker_id = $1', [id]);
    await audit(
      inner,
      actor,
      results ? 'revoke worker and its results' : 'revoke worker',
      `worker ${id}`,
      row.name,
    );
  });
}
