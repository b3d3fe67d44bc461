import type { ReadState } from '../../shared/social.ts';
import type { Queries } from '../database.ts';
import { Refused } from '../refused.ts';
import { withPlainTitles } from './titles.ts';

/** What an account keeps of one paper. */
export interface Keeping {
  bookmarked: boolean;
  state: ReadState;
  note: string;
  tags: string[];
}

export interface KeptPaper extends Keeping {
  slug: string;
  title: string;
  changedAt: Date;
}

/**
 * Sets what an account keeps of a paper; keeping nothing removes it from the library.
 * @throws Refused where there is no such paper
 */
export async function keep(
  database: Queries,
  { userId, slug, bookmarked, state, note, tags }: Keeping & { userId: string; slug: string },
): Promise<void> {
  if (!bookmarked && state === 'none' && note === '' && tags.length === 0) {
    await database.query('DELETE FROM library WHERE user_id = $1 AND slug = $2', [userId, slug]);
    return;
  }
  const rows = await database.query(
    `INSERT INTO library (user_id, slug, bookmarked, state, note, tags)
     SELECT $1, slug, $3, $4, $5, $6::text[] FROM papers WHERE slug = $2
     ON CONFLICT (user_id, slug) DO UPDATE SET bookmarked = excluded.bookmarked, state = excluded.state,
       note = excluded.note, tags = excluded.tags, changed_at = now()
     RETURNING slug`,
    [userId, slug, bookmarked, state, note, tags],
  );
  if (rows.length === 0) throw new Refused(404, `There is no paper ${slug}.`);
}

const columns = 'bookmarked, state, note, tags';

/** What an account keeps of a paper; nothing where it keeps nothing. */
export async function keepingOf(database: Queries, userId: string, slug: string): Promise<Keeping> {
  const [row] = await database.query<Keeping>(
    `SELECT ${columns} FROM library WHERE user_id = $1 AND slug = $2`,
    [userId, slug],
  );
  return row ?? { bookmarked: false, state: 'none', note: '', tags: [] };
}

const LIBRARY_PAGE = 50;

/**
 * A page of the library of an account, what changed last first; of one tag or state if they are given.
 * @param page from 0
 */
export async function libraryOf(
  database: Queries,
  userId: string,
  { tag, state }: { tag?: string; state?: ReadState } = {},
  page = 0,
  size = LIBRARY_PAGE,
): Promise<{ papers: KeptPaper[]; more: boolean }> {
  const papers = await withPlainTitles(
    database.query<KeptPaper>(
      `SELECT l.slug, p.title, ${columns}, l.changed_at AS "changedAt" FROM library l JOIN papers p USING (slug)
     WHERE l.user_id = $1 AND ($2::text IS NULL OR $2 = ANY(l.tags)) AND ($3::text IS NULL OR l.state = $3)
     ORDER BY l.changed_at DESC, l.slug LIMIT $4 OFFSET $5`,
      [userId, tag ?? null, state ?? null, size + 1, page * size],
    ),
  );
  return { papers: papers.slice(0, size), more: papers.length > size };
}

/** All papers to which an account gave a tag. */
export async function taggedBy(database: Queries, userId: string, tag: string): Promise<Set<string>> {
  const rows = await database.query<{ slug: string }>(
    'SELECT slug FROM library WHERE user_id = $1 AND $2 = ANY(tags)',
    [userId, tag],
  );
  return new Set(rows.map(({ slug }) => slug));
}

/** The tags of an account with how many papers each has. */
export function tagsOf(database: Queries, userId: string): Promise<{ tag: string; count: number }[]> {
  return database.query(
    `SELECT tag, count(*) AS count FROM library, unnest(tags) AS tag WHERE user_id = $1 GROUP BY tag ORDER BY tag`,
    [userId],
  );
}
