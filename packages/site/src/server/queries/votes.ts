import type { Database, Queries } from '../database.ts';
import { lockPaper, recount } from './counts.ts';

/**
 * Makes a vote be there, or not be there: the state wanted, not a toggle, so that a click that arrives twice, or again
 * after a broken connection, changes nothing.
 * @param signal of the request: one that is seen to be cut off when its turn comes is not carried out, since its sender
 * may have sent another wish meanwhile
 * @returns the paper's upvotes afterwards; undefined where there is no such paper
 */
export function setVote(
  database: Database,
  { slug, userId, wanted, signal }: { slug: string; userId: string; wanted: boolean; signal?: AbortSignal },
): Promise<number | undefined> {
  return database.transaction(async (inner) => {
    if (!(await lockPaper(inner, slug))) return undefined;
    signal?.throwIfAborted();
    const changed = wanted
      ? await inner.query(
          'INSERT INTO votes (slug, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING slug',
          [slug, userId],
        )
      : await inner.query('DELETE FROM votes WHERE slug = $1 AND user_id = $2 RETURNING slug', [
          slug,
          userId,
        ]);
    if (changed.length > 0) await recount(inner, slug);
    const [{ upvotes }] = await inner.query<{ upvotes: number }>(
      'SELECT upvotes FROM papers WHERE slug = $1',
      [slug],
    );
    return upvotes;
  });
}

/** Which of these papers the account has voted for. */
export async function votedFor(
  database: Queries,
  userId: string,
  slugs: readonly string[],
): Promise<Set<string>> {
  const rows = await database.query<{ slug: string }>(
    'SELECT slug FROM votes WHERE user_id = $1 AND slug = ANY($2::text[])',
    [userId, slugs],
  );
  return new Set(rows.map(({ slug }) => slug));
}
