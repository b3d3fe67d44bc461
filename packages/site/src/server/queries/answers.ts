import { type FeedQuery, feedQuery } from '../../shared/schemas.ts';
import type { Database } from '../database.ts';
import { parseQuestion } from '../search/parse.ts';
import { MOST_ANSWERS, searchPapers } from '../search/search.ts';
import { feed, numbersThatRun } from './papers.ts';
import type { Answer } from './searches.ts';

type Asked = Pick<FeedQuery, 'q' | 'family' | 'runs'>;

/** Numbers of the papers that answer the question of a feed, the best first; at most MOST_ANSWERS. */
export async function answersTo(database: Database, { q, family, runs }: Asked): Promise<number[]> {
  const question = parseQuestion(family === '' ? q : `${q} family:"${family}"`);
  const among = runs === '1' ? await numbersThatRun(database) : undefined;
  return (await searchPapers(database, question, among)).map(({ paper }) => paper);
}

/** Slugs of the papers that a feed's address shows, over all its pages. */
export async function slugsOf(database: Database, asked: Asked): Promise<string[]> {
  if (asked.q === '') {
    const filter = { family: asked.family, runs: asked.runs === '1' };
    return (await feed(database, filter, 'newest', 0, MOST_ANSWERS)).papers.map(({ slug }) => slug);
  }
  const rows = await database.query<{ slug: string }>(
    'SELECT slug FROM papers JOIN unnest($1::int[]) WITH ORDINALITY AS answer(number, place) USING (number) ORDER BY place',
    [await answersTo(database, asked)],
  );
  return rows.map(({ slug }) => slug);
}

/** The feed's own search. A stored query that it no longer understands finds nothing. */
export const answerFrom =
  (database: Database): Answer =>
  async (query) => {
    const parsed = feedQuery.safeParse(Object.fromEntries(query));
    return parsed.success ? slugsOf(database, parsed.data) : [];
  };
