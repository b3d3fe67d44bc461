import { createHash, randomBytes } from 'node:crypto';
import type { Subscription } from '../../shared/subscription.ts';
import type { Database, Queries } from '../database.ts';

/** Names the words of the form that people agree to; new words get a new name. */
const CONSENT = '2026-11: papers by mail, daily or weekly, until I unsubscribe';
const CONFIRM_HOURS = 24;
const PENDING_DAYS = 7;

export interface Asked {
  email: string;
  /** Where on the site: header or page. */
  source: string;
}

/** What cannot be a token is none of ours, and may hold what the database does not take. */
const mayBeToken = (token: string) => /^[\w-]+$/.test(token);

const hashOf = (token: string) => createHash('sha256').update(token).digest('base64url');

/**
 * Notes that an address asks for papers by mail; nothing is sent to it but the question whether it is so.
 * @returns the token that confirms, or the one that manages where the address is subscribed already
 */
export function ask(
  database: Database,
  { email, source }: Asked,
): Promise<{ confirm: string } | { manage: string }> {
  return database.transaction(async (inner) => {
    const confirm = randomBytes(24).toString('base64url');
    const rows = await inner.query(
      `INSERT INTO subscribers AS s (email, consent, source, token, confirm_hash, confirm_ends_at)
       VALUES ($1, $2, $3, $4, $5, now() + make_interval(hours => $6))
       ON CONFLICT (email) DO UPDATE SET consent = excluded.consent, source = excluded.source,
         created_at = now(), confirm_hash = excluded.confirm_hash, confirm_ends_at = excluded.confirm_ends_at
       WHERE s.state <> 'active' RETURNING id`,
      [email, CONSENT, source, randomBytes(24).toString('base64url'), hashOf(confirm), CONFIRM_HOURS],
    );
    if (rows.length > 0) return { confirm };
    const [{ token }] = await inner.query<{ token: string }>(
      'SELECT token FROM subscribers WHERE email = $1',
      [email],
    );
    return { manage: token };
  });
}

/** What a mailed token confirms; undefined where it was used, is too old or was never given. Asking changes nothing. */
export async function findPending(database: Queries, confirm: string): Promise<Subscription | undefined> {
  const [row] = await database.query<Subscription>(
    'SELECT cadence, hour, zone FROM subscribers WHERE confirm_hash = $1 AND confirm_ends_at > now()',
    [hashOf(confirm)],
  );
  return row;
}

/** Begins a subscription and uses the token up. Returns the token that manages it; undefined as findPending. */
export async function confirmSubscription(
  database: Queries,
  confirm: string,
  { cadence, hour, zone }: Subscription,
): Promise<string | undefined> {
  const [row] = await database.query<{ token: string }>(
    `UPDATE subscribers SET state = 'active', confirmed_at = now(), confirm_hash = NULL, confirm_ends_at = NULL,
       cadence = $2, hour = $3, zone = $4, failures = 0
     WHERE confirm_hash = $1 AND confirm_ends_at > now() RETURNING token`,
    [hashOf(confirm), cadence, hour, zone],
  );
  return row?.token;
}

/** The subscription that a mail's link manages. */
export async function findSubscription(database: Queries, token: string): Promise<Subscription | undefined> {
  if (!mayBeToken(token)) return undefined;
  const [row] = await database.query<Subscription>(
    "SELECT cadence, hour, zone FROM subscribers WHERE token = $1 AND state <> 'pending'",
    [token],
  );
  return row;
}

/** False where the subscription is gone. */
export async function changeSubscription(
  database: Queries,
  token: string,
  { cadence, hour, zone }: Subscription,
): Promise<boolean> {
  if (!mayBeToken(token)) return false;
  const rows = await database.query(
    `UPDATE subscribers SET cadence = $2, hour = $3, zone = $4 WHERE token = $1 AND state <> 'pending' RETURNING id`,
    [token, cadence, hour, zone],
  );
  return rows.length > 0;
}

/** Ends a subscription: nothing of it stays, and a digest on its way that is not handed over is not sent. Twice is as once. */
export async function unsubscribe(database: Queries, token: string): Promise<string | undefined> {
  if (!mayBeToken(token)) return undefined;
  const [row] = await database.query<{ email: string }>(
    'DELETE FROM subscribers WHERE token = $1 RETURNING email',
    [token],
  );
  return row?.email;
}

/** Removes what was never confirmed. Returns how many. */
export async function sweepPending(database: Queries): Promise<number> {
  const rows = await database.query(
    "DELETE FROM subscribers WHERE state = 'pending' AND created_at < now() - make_interval(days => $1) RETURNING id",
    [PENDING_DAYS],
  );
  return rows.length;
}

export interface EditionView {
  edition: string;
  planned: number;
  sent: number;
  /** Handed to the mail server, which was not heard to answer. */
  unconfirmed: number;
  failed: number;
}

/** How the latest 30 editions went, for the admin. No address. */
export function editionsMailed(database: Queries): Promise<EditionView[]> {
  return database.query(
    `SELECT edition, count(*) FILTER (WHERE state IN ('planned', 'claimed')) AS planned,
       count(*) FILTER (WHERE state = 'sent') AS sent, count(*) FILTER (WHERE state = 'handed') AS unconfirmed,
       count(*) FILTER (WHERE state = 'failed') AS failed
     FROM deliveries GROUP BY edition ORDER BY edition DESC LIMIT 30`,
  );
}

export async function countSubscribers(
  database: Queries,
): Promise<{ active: number; pending: number; paused: number }> {
  const [row] = await database.query<{ active: number; pending: number; paused: number }>(
    `SELECT count(*) FILTER (WHERE state = 'active') AS active, count(*) FILTER (WHERE state = 'pending') AS pending,
       count(*) FILTER (WHERE state = 'paused') AS paused FROM subscribers`,
  );
  return row;
}
