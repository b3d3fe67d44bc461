// Digests, one a subscriber and edition.
//
// A delivery is a row that goes planned → claimed → handed → sent. It becomes `handed` in a transaction of its own right
// before the line that ends the mail is written to the server, and only for whoever holds the claim. So:
// - never two: a row is handed over once, whatever is killed, restarted or slow, over all processes;
// - what was killed before that is sent by whoever claims it next, once the claim has run out;
// - what was killed after that has been sent, but for the moment between the commit and the write behind it. It stays
//   `handed`, and the admin sees it as not confirmed. Sending it again could make it two, so nobody does.
import { randomUUID } from 'node:crypto';
import type { Database } from '../database.ts';
import { excerpt } from '../queries/papers.ts';
import { type Found, giveBack, takeFound } from './found.ts';
import type { Mailer } from './mailer.ts';
import { type DigestPaper, digestMail } from './messages.ts';

/** A weekly digest whose last one failed covers no more than this. */
const MOST_DAYS = { daily: 7, weekly: 14 } as const;
const MOST_TRIES = 5;
const MOST_FAILURES = 3;
// Any number that no other program on the same server is likely to lock.
const PLANNING_LOCK = 7_220_042;

/**
 * Makes the deliveries that are due: for each subscriber the edition that was closed at their latest hour for mail, if
 * it has papers. A day is closed when it is over in the zone of the site.
 * @param now the instant for which to plan
 * @returns how many are new
 */
export function planDigests(database: Database, zone: string, now: Date): Promise<number> {
  return database.transaction(async (inner) => {
    // Two who plan at once could cover the same days by editions that end on different ones.
    await inner.query('SELECT pg_advisory_xact_lock($1)', [PLANNING_LOCK]);
    const rows = await inner.query(
      `WITH local AS (
         SELECT id, cadence, zone, confirmed_at, CASE cadence WHEN 'daily' THEN interval '1 day' ELSE interval '7 days' END AS period,
           date_trunc(CASE cadence WHEN 'daily' THEN 'day' ELSE 'week' END, $1::timestamptz AT TIME ZONE zone)
             + make_interval(hours => hour) AS next, $1::timestamptz AT TIME ZONE zone AS clock
         FROM subscribers WHERE state = 'active'
       ), slots AS (
         SELECT *, (CASE WHEN next > clock THEN next - period ELSE next END) AT TIME ZONE zone AS slot FROM local
       ), closed AS (
         SELECT id, cadence, (slot AT TIME ZONE $2)::date - 1 AS edition FROM slots WHERE slot >= confirmed_at
       ), spans AS (
         SELECT id, edition, greatest(
           coalesce((SELECT max(d.edition) + 1 FROM deliveries d WHERE d.subscriber_id = id),
             CASE cadence WHEN 'daily' THEN edition ELSE edition - 6 END),
           edition + 1 - CASE cadence WHEN 'daily' THEN $3::int ELSE $4::int END) AS first_day
         FROM closed
       )
       INSERT INTO deliveries (subscriber_id, edition, first_day)
       SELECT id, edition, first_day FROM spans WHERE first_day <= edition
         AND EXISTS (SELECT 1 FROM papers WHERE listed_on BETWEEN first_day AND edition)
       ON CONFLICT DO NOTHING RETURNING 1`,
      [now, zone, MOST_DAYS.daily, MOST_DAYS.weekly],
    );
    return rows.length;
  });
}

interface Delivery {
  subscriberId: string;
  edition: string;
  firstDay: string;
  attempts: number;
  email: string;
  token: string;
  /** What it tells of saved searches, once that is chosen. */
  found: Found[] | null;
}

export interface Sending {
  database: Database;
  mailer: Mailer;
  /** Where readers reach the site. */
  origin: string;
  signal: AbortSignal;
  /** How long a claim keeps others off. */
  leaseSeconds?: number;
  /** How many at once. */
  lanes?: number;
}

/** Sends what is planned until nothing is due or `signal` aborts. Returns how many were sent and how many were not. */
export async function sendDigests(sending: Sending): Promise<{ sent: number; failed: number }> {
  const { database, signal, lanes = 4 } = sending;
  const papersOf = remembered((firstDay: string, edition: string) =>
    papersBetween(database, firstDay, edition),
  );
  const counts = { sent: 0, failed: 0 };
  const lane = async () => {
    while (!signal.aborted) {
      const claim = randomUUID();
      const delivery = await claimOne(sending, claim);
      if (!delivery) return;
      const papers = await papersOf(delivery.firstDay, delivery.edition);
      const found = delivery.found ?? (await takeFound(database, delivery, claim));
      // Somebody else has it by now.
      if (!found) counts.failed++;
      else counts[await deliver(sending, { ...delivery, found }, claim, papers)]++;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return counts;
}

async function claimOne(
  { database, leaseSeconds = 120 }: Sending,
  claim: string,
): Promise<Delivery | undefined> {
  const [row] = await database.query<Delivery>(
    `WITH next AS MATERIALIZED (
       SELECT d.subscriber_id, d.edition, s.email, s.token FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
       WHERE s.state = 'active' AND d.try_at <= now()
         AND (d.state = 'planned' OR (d.state = 'claimed' AND d.claimed_until < now()))
       ORDER BY d.try_at, d.subscriber_id LIMIT 1 FOR UPDATE OF d SKIP LOCKED)
     UPDATE deliveries d SET state = 'claimed', claim = $1, attempts = attempts + 1,
       claimed_until = now() + make_interval(secs => $2)
     FROM next WHERE d.subscriber_id = next.subscriber_id AND d.edition = next.edition
     RETURNING d.subscriber_id AS "subscriberId", d.edition, d.first_day AS "firstDay", d.attempts, d.found,
       next.email, next.token`,
    [claim, leaseSeconds],
  );
  return row;
}

/** The claim ran out and somebody else has it, or the subscription ended. */
class Lost extends Error {
  override readonly name = 'Lost';
}

async function deliver(
  { database, mailer, origin }: Sending,
  delivery: Delivery & { found: Found[] },
  claim: string,
  papers: readonly DigestPaper[],
): Promise<'sent' | 'failed'> {
  const { subscriberId, edition, email } = delivery;
  const step = async (from: string, assignments: string, ...values: unknown[]) => {
    const rows = await database.query(
      `UPDATE deliveries SET ${assignments} WHERE subscriber_id = $1 AND edition = $2 AND claim = $3 AND state = '${from}' RETURNING 1`,
      [subscriberId, edition, claim, ...values],
    );
    return rows.length > 0;
  };
  let handed = false;
  try {
    const found = await withPapers(database, delivery.found);
    const message = digestMail({ ...delivery, found, to: email, origin, papers });
    await mailer.send(message, async () => {
      if (!(await step('claimed', "state = 'handed'"))) throw new Lost();
      handed = true;
    });
    await step('handed', "state = 'sent', sent_at = now()");
    await database.query('UPDATE subscribers SET failures = 0 WHERE id = $1 AND failures > 0', [
      subscriberId,
    ]);
    return 'sent';
  } catch (error) {
    if (error instanceof Lost) return 'failed';
    const { responseCode, command } = error as { responseCode?: number; command?: string };
    // Without an answer to the end of the mail nobody knows: it stays handed.
    if (handed && responseCode === undefined) return 'failed';
    const noMailbox = command === 'RCPT TO' && [550, 551, 553].includes(responseCode ?? 0);
    const last = noMailbox || delivery.attempts >= MOST_TRIES;
    await step(
      handed ? 'handed' : 'claimed',
      `state = $4, answer = $5, claimed_until = NULL, try_at = now() + make_interval(mins => $6)`,
      last ? 'failed' : 'planned',
      responseCode ?? null,
      5 * 3 ** (delivery.attempts - 1),
    );
    if (last) {
      await giveBack(database, delivery.found);
      await database.query(
        `UPDATE subscribers SET failures = failures + 1,
           state = CASE WHEN $2::boolean OR failures + 1 >= $3 THEN 'paused' ELSE state END WHERE id = $1`,
        [subscriberId, noMailbox, MOST_FAILURES],
      );
    }
    return 'failed';
  }
}

const paperColumns = 'slug, title, summary, abstract, author_count AS "authorCount"';

/** The papers of an edition, the hottest first. */
async function papersBetween(database: Database, firstDay: string, edition: string): Promise<DigestPaper[]> {
  const rows = await database.query<DigestRow>(
    `SELECT ${paperColumns} FROM papers WHERE listed_on BETWEEN $1 AND $2 ORDER BY hot DESC NULLS LAST, slug`,
    [firstDay, edition],
  );
  return rows.map(digestPaper);
}

/** What was found with the facts of its papers; a paper that is gone by now is left out. */
async function withPapers(
  database: Database,
  found: readonly Found[],
): Promise<(Omit<Found, 'slugs'> & { papers: DigestPaper[] })[]> {
  if (found.length === 0) return [];
  const rows = await database.query<DigestRow>(
    `SELECT ${paperColumns} FROM papers WHERE slug = ANY($1::text[])`,
    [found.flatMap(({ slugs }) => slugs)],
  );
  const known = new Map(rows.map((row) => [row.slug, digestPaper(row)]));
  return found.map(({ slugs, ...search }) => ({
    ...search,
    papers: slugs.flatMap((slug) => known.get(slug) ?? []),
  }));
}

type DigestRow = DigestPaper & { abstract: string | null };
const digestPaper = ({ abstract, ...paper }: DigestRow): DigestPaper => ({
  ...paper,
  summary: paper.summary ?? excerpt(abstract),
});

/** Subscribers of one edition get the same papers: they are read once in a run. */
function remembered<Value>(
  read: (a: string, b: string) => Promise<Value>,
): (a: string, b: string) => Promise<Value> {
  const known = new Map<string, Promise<Value>>();
  return (a, b) => {
    const key = `${a} ${b}`;
    const value = known.get(key) ?? read(a, b);
    known.set(key, value);
    return value;
  };
}
