import type { Database } from '../database.ts';
import { answerFrom } from '../queries/answers.ts';
import { type SavedSearch, see } from '../queries/searches.ts';

/** New answers to a saved search, as they stand in a digest. */
export interface Found {
  search: string;
  name: string;
  query: string;
  slugs: string[];
}

/** The rest of a long answer comes with the next digest. */
const MOST_OF_ONE = 20;

interface Held {
  subscriberId: string;
  edition: string;
}

/**
 * Chooses what a digest tells of its reader's saved searches: the papers that match and were neither told nor seen
 * before, each under one search. It is kept with the delivery and counts as seen, both or neither.
 * @returns undefined where somebody else has the claim by now
 */
export async function takeFound(
  database: Database,
  { subscriberId, edition }: Held,
  claim: string,
): Promise<Found[] | undefined> {
  const searches = await database.query<SavedSearch>(
    `SELECT s.id, s.name, s.query FROM subscribers b JOIN users u ON lower(u.email) = lower(b.email)
     JOIN saved_searches s ON s.user_id = u.id
     WHERE b.id = $1 AND u.suspended_at IS NULL ORDER BY s.name, s.id`,
    [subscriberId],
  );
  if (searches.length === 0) return [];
  const answer = answerFrom(database);
  const matching = new Map<string, readonly string[]>();
  for (const { id, query } of searches) matching.set(id, await answer(new URLSearchParams(query)));
  return database
    .transaction(async (inner) => {
      const found: Found[] = [];
      const told = new Set<string>();
      for (const { id, name, query } of searches) {
        const slugs = matching.get(id) ?? [];
        const rows = await inner.query<{ slug: string }>(
          'SELECT slug FROM saved_search_seen WHERE search_id = $1 AND slug = ANY($2::text[])',
          [id, slugs],
        );
        const seen = new Set(rows.map(({ slug }) => slug));
        const fresh = await see(inner, id, slugs.filter((slug) => !seen.has(slug)).slice(0, MOST_OF_ONE));
        const own = fresh.filter((slug) => !told.has(slug));
        for (const slug of own) told.add(slug);
        if (own.length > 0) found.push({ search: id, name, query, slugs: own });
      }
      const kept = await inner.query(
        `UPDATE deliveries SET found = $4 WHERE subscriber_id = $1 AND edition = $2 AND claim = $3 AND state = 'claimed'
       RETURNING 1`,
        [subscriberId, edition, claim, JSON.stringify(found)],
      );
      if (kept.length === 0) throw new Gone();
      return found;
    })
    .catch((error: unknown) => {
      if (error instanceof Gone) return undefined;
      throw error;
    });
}

class Gone extends Error {
  override readonly name = 'Gone';
}

/** Makes new again what stood in a digest that never arrived. */
export async function giveBack(database: Database, found: readonly Found[]): Promise<void> {
  for (const { search, slugs } of found)
    await database.query('DELETE FROM saved_search_seen WHERE search_id = $1 AND slug = ANY($2::text[])', [
      search,
      slugs,
    ]);
}
