import type { Database, Queries } from '../database.ts';

/** Hours in which a vote halves its weight against a newer one. */
export const HALF_LIFE_HOURS = 48;
/** What lifts a paper: being listed, a vote, a reader who comments. */
export const weights = { listing: 1, vote: 1, commenter: 0.5 } as const;
/** Where the scale begins; any instant would do, it only has to stay. */
const ORIGIN = '2024-01-01T00:00:00Z';

/** When a paper was listed: at noon where only the day is known. */
const LISTED = "coalesce(listed_at, (listed_on + interval '12 hours') AT TIME ZONE 'UTC')";

/**
 * Takes the paper's row for the rest of the transaction. Every change of votes or comments begins with it, so that
 * changes of one paper follow each other and each recount sees all that were before.
 * @returns false where there is no such paper
 */
export async function lockPaper(inner: Queries, slug: string): Promise<boolean> {
  return (await inner.query('SELECT 1 FROM papers WHERE slug = $1 FOR UPDATE', [slug])).length > 0;
}

/**
 * Writes upvotes, comments and hot of a paper from the rows, after lockPaper in the same transaction. Bots and hidden
 * comments do not count.
 *
 * hot = log2 Σ w · 2^((t − T0) / 48 h) over the listing (at its instant, or at noon of its day), the votes, and each commenter's first
 * comment: ten votes at one hour weigh what five weigh two days later. Only differences matter, and they stay when time
 * goes on, so it is a plain column.
 */
export async function recount(inner: Queries, slug: string): Promise<void> {
  await inner.query(
    `WITH weighted AS (
       SELECT $6::double precision AS weight, ${LISTED} AS at FROM papers
         WHERE slug = $1 AND listed_on IS NOT NULL
       UNION ALL
       SELECT $2::double precision, v.created_at FROM votes v JOIN users u ON u.id = v.user_id
         WHERE v.slug = $1 AND NOT u.is_bot
       UNION ALL
       SELECT $3::double precision, min(c.created_at) FROM comments c JOIN users u ON u.id = c.author_id
         WHERE c.slug = $1 AND NOT u.is_bot AND c.deleted_at IS NULL AND c.removed_at IS NULL GROUP BY c.author_id
     ), powers AS (
       SELECT weight, extract(epoch FROM at - $4::timestamptz)::double precision / ($5 * 3600.0) AS power FROM weighted
     ), largest AS (SELECT max(power) AS power FROM powers)
     UPDATE papers SET
       upvotes = (SELECT count(*) FROM votes v JOIN users u ON u.id = v.user_id WHERE v.slug = $1 AND NOT u.is_bot),
       comments = (SELECT count(*) FROM comments c JOIN users u ON u.id = c.author_id
         WHERE c.slug = $1 AND NOT u.is_bot AND c.deleted_at IS NULL AND c.removed_at IS NULL),
       -- Powers are taken relative to the largest, and no further down than a double reaches.
       hot = (SELECT max(largest.power) + ln(sum(weight * power(2, greatest(powers.power - largest.power, -1000)))) / ln(2::double precision)
         FROM powers, largest)
     WHERE papers.slug = $1`,
    [slug, weights.vote, weights.commenter, ORIGIN, HALF_LIFE_HOURS, weights.listing],
  );
}

/** Gives papers that were just listed the hotness of their listing, which is all of it while nobody voted or wrote. */
export async function warmUp(database: Database): Promise<void> {
  await database.query(
    `UPDATE papers SET hot = (extract(epoch FROM ${LISTED} - $1::timestamptz) / ($2 * 3600.0) + ln($3::double precision) / ln(2::double precision))::double precision
     WHERE hot IS NULL AND listed_on IS NOT NULL AND upvotes = 0 AND comments = 0`,
    [ORIGIN, HALF_LIFE_HOURS, weights.listing],
  );
  const others = await database.query<{ slug: string }>(
    'SELECT slug FROM papers WHERE hot IS NULL AND upvotes + comments > 0 ORDER BY slug',
  );
  for (const { slug } of others)
    await database.transaction(async (inner) => {
      if (await lockPaper(inner, slug)) await recount(inner, slug);
    });
}

/** Recounts every paper that an account voted for or wrote under: after a label changed, or in its deletion. */
export async function recountAllOf(inner: Queries, userId: string): Promise<void> {
  for (const { slug } of await touchedBy(inner, userId)) {
    await lockPaper(inner, slug);
    await recount(inner, slug);
  }
}

/** In the order of slugs, so that two who lock several papers cannot wait for each other. */
export function touchedBy(inner: Queries, userId: string): Promise<{ slug: string }[]> {
  return inner.query(
    'SELECT slug FROM votes WHERE user_id = $1 UNION SELECT slug FROM comments WHERE author_id = $1 ORDER BY slug',
    [userId],
  );
}
