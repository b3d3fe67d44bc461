import { papers as runnable } from '@saccade/papers';
import { type Days, dayInZone, daysOfMonth, daysOfWeek, monthOf, weekOf } from '../../shared/calendar.ts';
import { plainText } from '../../shared/latex.ts';
import type { PaperDetail, PaperView } from '../../shared/schemas.ts';
import type { Database, Queries } from '../database.ts';

/** Papers of one page of a feed. */
export const PAGE_SIZE = 50;
/** Papers of one page of answers: the best come first, and who asks waits for all of the page. */
export const ANSWERS_SIZE = 20;
/** Letters of an abstract on a card; a little more is read, since LaTeX shrinks. */
const EXCERPT = 420;

const cardColumns = `slug, title, arxiv, to_char(listed_on, 'YYYY-MM-DD') AS "listedOn", author_count AS "authorCount",
  comment_count AS "commentCount", upvotes, comments, links, family, summary, left(abstract, ${2 * EXCERPT}) AS abstract`;
/** Name of the reader who put the paper forward, null where none did. */
const submitterColumn = `(SELECT users.name FROM submissions JOIN users ON users.id = submissions.user_id
    WHERE submissions.arxiv = papers.arxiv AND status = 'approved' ORDER BY decided_at LIMIT 1)`;
const instant = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const detailColumns = `number, slug, title, arxiv, to_char(listed_on, 'YYYY-MM-DD') AS "listedOn",
  author_count AS "authorCount", comment_count AS "commentCount", upvotes, comments, links, family, summary, abstract,
  authors, abstract_source AS "abstractSource", abstract_licence AS "abstractLicence",
  ${instant('published_at')} AS "publishedAt", ${instant('revised_at')} AS "revisedAt",
  ${instant('listed_at')} AS "listedAt", ${instant('withdrawn_at')} AS "withdrawnAt",
  ${instant('changed_at')} AS "changedAt", version, categories, doi, journal, source,
  ${submitterColumn} AS submitter`;

const slugsThatRun = runnable.map(({ slug }) => slug);
const running = new Set(slugsThatRun);

/** Does the paper have a mechanism here? */
export const runs = (slug: string): boolean => running.has(slug);

type CardRow = Omit<PaperView, 'runs'>;
type DetailRow = Omit<PaperDetail, 'runs'>;

const cardOf = (row: CardRow): PaperView => ({
  ...row,
  title: plainText(row.title),
  abstract: row.summary === null ? excerpt(row.abstract) : null,
  runs: runs(row.slug),
});

const detailOf = (row: DetailRow): PaperDetail => ({ ...row, runs: runs(row.slug) });

/** The beginning of an abstract, as plain text. */
export function excerpt(abstract: string | null): string | null {
  if (abstract === null) return null;
  const text = plainText(abstract);
  if (text.length <= EXCERPT) return text;
  return `${text.slice(0, text.lastIndexOf(' ', EXCERPT))} …`;
}

/** One page of a feed, and whether another follows. */
export interface FeedPage {
  papers: PaperView[];
  more: boolean;
}

/** Which papers a feed has. */
export interface Filter {
  family?: string;
  runs?: boolean;
  days?: Days;
  /** Name of the reader who put them forward; null: those that came from lists. */
  submitter?: string | null;
}

/** In which order: the latest listed first and those without a day last, or by hotness (see counts.ts). */
export type Order = 'newest' | 'trending';

const orders: Record<Order, string> = {
  newest: 'listed_on DESC NULLS LAST, slug',
  trending: 'hot DESC NULLS LAST, slug',
};

function conditionsOf(
  { family, runs: onlyRunning, days, submitter }: Filter,
  place: (value: unknown) => string,
): string {
  const conditions: string[] = [];
  if (family) conditions.push(`family = ${place(family)}`);
  if (onlyRunning) conditions.push(`slug = ANY(${place(slugsThatRun)}::text[])`);
  if (days) conditions.push(`listed_on BETWEEN ${place(days.from)}::date AND ${place(days.to)}::date`);
  if (submitter !== undefined) conditions.push(`${submitterColumn} IS NOT DISTINCT FROM ${place(submitter)}`);
  return conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
}

/** @param page from 0 */
export async function feed(
  database: Database,
  filter: Filter = {},
  order: Order = 'newest',
  page = 0,
  size = PAGE_SIZE,
): Promise<FeedPage> {
  const rows = await rowsOf<CardRow>(database, cardColumns, filter, order, page * size, size + 1);
  return { papers: rows.slice(0, size).map(cardOf), more: rows.length > size };
}

/** As feed(), with all that is known of each paper: for the API and for feed readers. */
export async function detailedFeed(
  database: Database,
  filter: Filter = {},
  order: Order = 'newest',
  page = 0,
  size = PAGE_SIZE,
): Promise<PaperDetail[]> {
  return (await rowsOf<DetailRow>(database, detailColumns, filter, order, page * size, size)).map(detailOf);
}

function rowsOf<Row>(
  database: Database,
  columns: string,
  filter: Filter,
  order: Order,
  skip: number,
  limit: number,
): Promise<Row[]> {
  const parameters: unknown[] = [];
  const place = (value: unknown) => `$${parameters.push(value)}`;
  const where = conditionsOf(filter, place);
  return database.query<Row>(
    `SELECT ${columns} FROM papers ${where} ORDER BY ${orders[order]} LIMIT ${place(limit)} OFFSET ${place(skip)}`,
    parameters,
  );
}

/** How many papers a feed has. */
export async function countPapers(database: Database, filter: Filter = {}): Promise<number> {
  const parameters: unknown[] = [];
  const where = conditionsOf(filter, (value) => `$${parameters.push(value)}`);
  const [{ count }] = await database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM papers ${where}`,
    parameters,
  );
  return count;
}

/** The numbers of the papers that run. */
export async function numbersThatRun(database: Database): Promise<number[]> {
  const rows = await database.query<{ number: number }>(
    'SELECT number FROM papers WHERE slug = ANY($1::text[])',
    [slugsThatRun],
  );
  return rows.map(({ number }) => number);
}

/** Cards by number, in the order given. */
export async function cardsByNumber(database: Database, numbers: readonly number[]): Promise<PaperView[]> {
  const rows = await database.query<CardRow & { number: number }>(
    `SELECT number, ${cardColumns} FROM papers WHERE number = ANY($1::int[])`,
    [numbers],
  );
  return inOrder(rows, numbers).map(({ number: _, ...row }) => cardOf(row));
}

/** As cardsByNumber(), with all that is known of each paper. */
export async function papersByNumber(database: Database, numbers: readonly number[]): Promise<PaperDetail[]> {
  const rows = await database.query<DetailRow>(
    `SELECT ${detailColumns} FROM papers WHERE number = ANY($1::int[])`,
    [numbers],
  );
  return inOrder(rows, numbers).map(detailOf);
}

function inOrder<Row extends { number: number }>(rows: readonly Row[], numbers: readonly number[]): Row[] {
  const byNumber = new Map(rows.map((row) => [row.number, row]));
  return numbers.map((number) => byNumber.get(number)).filter((row) => row !== undefined);
}

/** Papers in the order in which they came, newest first, before a number: paging that does not shift. */
export async function papersBefore(
  database: Database,
  number: number | null,
  size: number,
): Promise<PaperDetail[]> {
  const rows = await database.query<DetailRow>(
    `SELECT ${detailColumns} FROM papers WHERE number < coalesce($1::int, 2147483647) ORDER BY number DESC LIMIT $2`,
    [number, size],
  );
  return rows.map(detailOf);
}

/** One paper by its slug or by its arXiv id, or undefined. */
export async function findPaper(
  database: Database,
  name: { slug: string } | { arxiv: string },
): Promise<PaperDetail | undefined> {
  const [column, value] = 'slug' in name ? ['slug', name.slug] : ['arxiv', name.arxiv];
  const [row] = await database.query<DetailRow>(`SELECT ${detailColumns} FROM papers WHERE ${column} = $1`, [
    value,
  ]);
  return row && detailOf(row);
}

/** The families that occur, with how many papers each has. */
export async function families(database: Database): Promise<{ family: string; count: number }[]> {
  return database.query(
    'SELECT family, count(*)::int AS count FROM papers WHERE family IS NOT NULL GROUP BY family ORDER BY family',
  );
}

/** The kinds of edition, by the word in their address, each with the days of one and the one that a day is in. */
export const editions = {
  date: { daysOf: (day: string): Days => ({ from: day, to: day }), of: (day: string) => day },
  week: { daysOf: daysOfWeek, of: weekOf },
  month: { daysOf: daysOfMonth, of: monthOf },
} as const;
export type EditionKind = keyof typeof editions;

/** The nearest editions before and after these days that have papers; null where there is none. */
export async function neighbours(
  database: Database,
  kind: EditionKind,
  { from, to }: Days,
): Promise<{ before: string | null; after: string | null }> {
  const [{ before, after }] = await database.query<{ before: string | null; after: string | null }>(
    `SELECT (SELECT to_char(max(listed_on), 'YYYY-MM-DD') FROM papers WHERE listed_on < $1::date) AS before,
            (SELECT to_char(min(listed_on), 'YYYY-MM-DD') FROM papers WHERE listed_on > $2::date) AS after`,
    [from, to],
  );
  const { of } = editions[kind];
  return { before: before && of(before), after: after && of(after) };
}

/** The latest edition with papers; that of today where there is no dated paper. */
export async function latestEdition(database: Database, kind: EditionKind, zone: string): Promise<string> {
  const [{ day }] = await database.query<{ day: string | null }>(
    `SELECT to_char(max(listed_on), 'YYYY-MM-DD') AS day FROM papers`,
  );
  return editions[kind].of(day ?? dayInZone(new Date(), zone));
}

/** Titles by slug, of those that there are. */
export async function titlesOf(database: Queries, slugs: readonly string[]): Promise<Map<string, string>> {
  const rows = await database.query<{ slug: string; title: string }>(
    'SELECT slug, title FROM papers WHERE slug = ANY($1::text[])',
    [slugs],
  );
  return new Map(rows.map(({ slug, title }) => [slug, plainText(title)]));
}
