import type { Database, Queries } from '../database.ts';
import { Refused } from '../refused.ts';

/** A question that an account asks of the feed again and again. */
export interface SavedSearch {
  id: string;
  name: string;
  /** The query of the feed's address, such as q=window&family=local. */
  query: string;
}

/** Answers a stored query with slugs: the search of the feed. */
export type Answer = (query: URLSearchParams) => Promise<readonly string[]>;

const MOST = 50;

/**
 * Stores a search under a name; one that is stored already gets the name. What matches now counts as seen.
 * @throws Refused where the account has 50 already
 */
export async function saveSearch(
  database: Database,
  { userId, name, query, answer }: { userId: string; name: string; query: string; answer: Answer },
): Promise<string> {
  const matching = await answer(new URLSearchParams(query));
  return database.transaction(async (inner) => {
    await inner.query('SELECT 1 FROM users WHERE id = $1 FOR UPDATE', [userId]);
    const [{ count }] = await inner.query<{ count: number }>(
      'SELECT count(*) AS count FROM saved_searches WHERE user_id = $1 AND query <> $2',
      [userId, query],
    );
    if (count >= MOST) throw new Refused(409, `You have ${MOST} saved searches; remove one first.`);
    const [{ id }] = await inner.query<{ id: string }>(
      `INSERT INTO saved_searches (user_id, name, query) VALUES ($1, $2, $3)
       ON CONFLICT (user_id, query) DO UPDATE SET name = excluded.name RETURNING id`,
      [userId, name, query],
    );
    await see(inner, id, matching);
    return id;
  });
}

export function searchesOf(database: Queries, userId: string): Promise<SavedSearch[]> {
  return database.query('SELECT id, name, query FROM saved_searches WHERE user_id = $1 ORDER BY name, id', [
    userId,
  ]);
}

export async function removeSearch(database: Queries, id: string, userId: string): Promise<void> {
  const rows = await database.query(
    'DELETE FROM saved_searches WHERE id = $1 AND user_id = $2 RETURNING id',
    [id, userId],
  );
  if (rows.length === 0) throw new Refused(404, 'There is no such saved search of yours.');
}

/** Papers that match a search and were not among its answers before: each is given once, whoever asks first (page or digest). */
export async function takeNew(
  database: Database,
  { id, query }: SavedSearch,
  answer: Answer,
): Promise<string[]> {
  const matching = await answer(new URLSearchParams(query));
  return database.transaction((inner) => see(inner, id, matching));
}

/** Papers that match a search and were not among its answers before; asking changes nothing. */
export async function newFor(
  database: Queries,
  { id, query }: SavedSearch,
  answer: Answer,
): Promise<string[]> {
  const matching = await answer(new URLSearchParams(query));
  const seen = await database.query<{ slug: string }>(
    'SELECT slug FROM saved_search_seen WHERE search_id = $1',
    [id],
  );
  const known = new Set(seen.map(({ slug }) => slug));
  return matching.filter((slug) => !known.has(slug));
}

/** Counts papers as seen by a search. Returns those that were not before, in their order. */
export async function see(inner: Queries, id: string, slugs: readonly string[]): Promise<string[]> {
  const rows = await inner.query<{ slug: string }>(
    `INSERT INTO saved_search_seen (search_id, slug) SELECT $1, slug FROM papers WHERE slug = ANY($2::text[])
     ON CONFLICT DO NOTHING RETURNING slug`,
    [id, slugs],
  );
  const fresh = new Set(rows.map(({ slug }) => slug));
  return slugs.filter((slug) => fresh.has(slug));
}
