import { papers as runnable } from '@saccade/papers';
import type { FeedQuery, PaperView } from '../../shared/schemas.ts';
import type { Database, Queries } from '../database.ts';

const columns = `slug, title, arxiv, to_char(listed_on, 'YYYY-MM-DD') AS "listedOn", author_count AS "authorCount",
  comment_count AS "commentCount", upvotes, comments, links, family, summary`;

const withRuns = (row: Omit<PaperView, 'runs'>): PaperView => ({ ...row, runs: runs(row.slug) });

/** Does the paper have a mechanism here? */
export function runs(slug: string): boolean {
  return runnable.some((paper) => paper.slug === slug);
}

/** Papers of the feed, newest first, unknown dates last. Each word of q must stand in title, summary, family or arXiv id. */
export async function feed(
  database: Database,
  { q, family, runs: onlyRunning }: FeedQuery,
): Promise<PaperView[]> {
  const parameters: string[] = [];
  const conditions = q
    .split(/\s+/)
    .filter(Boolean)
    .slice(0, 12)
    .map((word) => {
      parameters.push(`%${word.replace(/[\\%_]/g, '\\$&')}%`);
      const place = `$${parameters.length}`;
      return `(title ILIKE ${place} OR summary ILIKE ${place} OR family ILIKE ${place} OR arxiv ILIKE ${place} OR slug ILIKE ${place})`;
    });
  if (family) {
    parameters.push(family);
    conditions.push(`family = $${parameters.length}`);
  }
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const rows = await database.query<Omit<PaperView, 'runs'>>(
    `SELECT ${columns} FROM papers ${where} ORDER BY listed_on DESC NULLS LAST, slug`,
    parameters,
  );
  const all = rows.map(withRuns);
  return onlyRunning ? all.filter((paper) => paper.runs) : all;
}

/** One paper, or undefined. */
export async function findPaper(database: Database, slug: string): Promise<PaperView | undefined> {
  const [row] = await database.query<Omit<PaperView, 'runs'>>(
    `SELECT ${columns} FROM papers WHERE slug = $1`,
    [slug],
  );
  return row && withRuns(row);
}

/** The families that occur, with how many papers each has. */
export async function families(database: Database): Promise<{ family: string; count: number }[]> {
  return database.query('SELECT family, count(*)::int AS count FROM papers GROUP BY family ORDER BY family');
}

/** Titles by slug, of those that there are. */
export async function titlesOf(database: Queries, slugs: readonly string[]): Promise<Map<string, string>> {
  const rows = await database.query<{ slug: string; title: string }>(
    'SELECT slug, title FROM papers WHERE slug = ANY($1::text[])',
    [slugs],
  );
  return new Map(rows.map(({ slug, title }) => [slug, title]));
}
