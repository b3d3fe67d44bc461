import { createHmac } from 'node:crypto';
import type { Database } from './database.ts';

/** What may be done how often. `most` in `seconds`, for each key. */
export const policies = {
  'login link by address': { most: 5, seconds: 3600 },
  'login link by client': { most: 20, seconds: 3600 },
  'login by client': { most: 30, seconds: 600 },
  'subscribe by client': { most: 3, seconds: 3600 },
  'subscribe by address': { most: 3, seconds: 3600 },
  subscription: { most: 30, seconds: 600 },
  vote: { most: 60, seconds: 60 },
  comment: { most: 5, seconds: 60 },
  report: { most: 20, seconds: 3600 },
  claim: { most: 10, seconds: 86_400 },
  account: { most: 60, seconds: 600 },
  library: { most: 120, seconds: 60 },
  submit: { most: 20, seconds: 86_400 },
  worker: { most: 300, seconds: 60 },
  'worker refused': { most: 60, seconds: 600 },
} as const;
export type LimitName = keyof typeof policies;

export interface Verdict {
  allowed: boolean;
  /** Seconds until the next try may succeed; 0 where this one did. */
  retryAfter: number;
  limit: number;
  remaining: number;
}

export interface Limits {
  /** Counts one use. Keys (addresses of clients and mail) are stored hashed. */
  use(name: LimitName, key: string): Promise<Verdict>;
}

/**
 * Limits that all processes on one database share: a window of fixed length begins with the first use in it.
 * @param secret hashes the keys, so that the table says nothing of who was here
 */
export function createLimits(database: Database, secret: string): Limits {
  let swept = 0;
  return {
    use: async (name, key) => {
      const { most, seconds } = policies[name];
      const hashed = createHmac('sha256', secret).update(`${name}\0${key}`).digest('base64url');
      // Windows that ended are of no use; once a minute whoever comes takes them away.
      if (Date.now() - swept > 60_000) {
        swept = Date.now();
        await database.query('DELETE FROM limits WHERE ends_at < now()');
      }
      const [{ used, rest }] = await database.query<{ used: number; rest: number }>(
        `INSERT INTO limits AS l (key, used, ends_at) VALUES ($1, 1, now() + make_interval(secs => $2))
         ON CONFLICT (key) DO UPDATE SET
           used = CASE WHEN l.ends_at < now() THEN 1 ELSE least(l.used + 1, $3::int + 1) END,
           ends_at = CASE WHEN l.ends_at < now() THEN excluded.ends_at ELSE l.ends_at END
         RETURNING used, extract(epoch FROM ends_at - now())::double precision AS rest`,
        [hashed, seconds, most],
      );
      const allowed = used <= most;
      return {
        allowed,
        retryAfter: allowed ? 0 : Math.max(1, Math.ceil(rest)),
        limit: most,
        remaining: Math.max(0, most - used),
      };
    },
  };
}
