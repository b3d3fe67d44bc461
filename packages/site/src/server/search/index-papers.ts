import { createHash } from 'node:crypto';
import { plainText } from '../../shared/latex.ts';
import type { Database } from '../database.ts';
import { authorTerms, familyTerm, personTerm } from './parse.ts';
import { folded, tokens } from './tokens.ts';

type Queries = Pick<Database, 'query'>;

/** What is searched of a paper. */
export interface Searchable {
  number: number;
  title: string;
  summary: string | null;
  abstract: string | null;
  authors: readonly string[] | null;
  family: string | null;
}

/** A word of the title counts as often as three of the text. */
const TITLE_WEIGHT = 3;
/** Raise it when tokens, stems or weights change: papers are then indexed anew at the next start. */
const INDEX_VERSION = 1;
/** Papers that are indexed in one transaction. */
const BATCH = 200;
/** Any number, the same in all processes: who holds it is the only one that writes to the index. */
const INDEX_LOCK = 5_264_021;

const columns = 'number, title, summary, abstract, authors, family';

/**
 * Brings the index up to date: papers that are new or whose words changed since. To be called after papers were written;
 * safe beside other processes that do the same.
 * @param numbers which papers; all when absent
 * @returns how many were indexed
 */
export async function indexPapers(database: Database, numbers?: readonly number[]): Promise<number> {
  const which = numbers ? 'WHERE number = ANY($1::int[])' : '';
  const known = await database.query<Searchable & { digest: string | null }>(
    `SELECT ${columns}, digest FROM papers LEFT JOIN search_papers ON paper = number ${which} ORDER BY number`,
    numbers ? [numbers] : [],
  );
  const stale = known
    .map((paper) => ({ paper, digest: digestOf(paper) }))
    .filter(({ paper, digest }) => paper.digest !== digest);
  for (let from = 0; from < stale.length; from += BATCH)
    await database.transaction((inner) => indexBatch(inner, stale.slice(from, from + BATCH)));
  // PGlite has no autovacuum, and a plan made for an empty table is a slow one
  if (stale.length >= BATCH) for (const table of tables) await database.query(`VACUUM ANALYZE ${table}`);
  return stale.length;
}

const tables = ['papers', 'search_terms', 'search_postings', 'search_papers'];

interface Entry {
  number: number;
  digest: string;
  length: number;
  words: string;
  counts: Map<string, number>;
}

async function indexBatch(
  database: Queries,
  batch: readonly { paper: Searchable; digest: string }[],
): Promise<void> {
  await database.query('SELECT pg_advisory_xact_lock($1)', [INDEX_LOCK]);
  const spelt = new Map<string, string>();
  const entries = batch.map(({ paper, digest }) => entryOf(paper, digest, spelt));
  const numbers = entries.map(({ number }) => number);
  const before = await database.query<{ paper: number; length: number; terms: number[] }>(
    'SELECT paper, length, terms FROM search_papers WHERE paper = ANY($1::int[])',
    [numbers],
  );
  for (const { paper, terms } of before) {
    await database.query('DELETE FROM search_postings WHERE paper = $1 AND term = ANY($2::int[])', [
      paper,
      terms,
    ]);
    await database.query('UPDATE search_terms SET papers = papers - 1 WHERE id = ANY($1::int[])', [terms]);
  }
  const terms = [...spelt.keys()].sort();
  await database.query(
    `INSERT INTO search_terms (term, word) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (term) DO NOTHING`,
    [terms, terms.map((term) => spelt.get(term))],
  );
  const ids = new Map(
    (
      await database.query<{ id: number; term: string }>(
        'SELECT id, term FROM search_terms WHERE term = ANY($1::text[])',
        [terms],
      )
    ).map(({ id, term }) => [term, id]),
  );
  const rows = entries.flatMap(({ number, length, counts }) =>
    [...counts].map(([term, count]) => ({ term: ids.get(term) as number, paper: number, count, length })),
  );
  await database.query(
    `INSERT INTO search_postings (term, paper, count, length)
     SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::int[])`,
    [
      rows.map(({ term }) => term),
      rows.map(({ paper }) => paper),
      rows.map(({ count }) => Math.min(count, 32_000)),
      rows.map(({ length }) => Math.min(length, 32_000)),
    ],
  );
  await database.query(
    `UPDATE search_terms SET papers = papers + added FROM (
       SELECT term, count(*)::int AS added FROM unnest($1::int[]) AS given(term) GROUP BY term
     ) AS more WHERE id = more.term`,
    [rows.map(({ term }) => term)],
  );
  for (const { number, digest, length, words, counts } of entries)
    await database.query(
      `INSERT INTO search_papers (paper, digest, length, words, terms) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (paper) DO UPDATE SET digest = $2, length = $3, words = $4, terms = $5`,
      [number, digest, length, words, JSON.stringify([...counts.keys()].map((term) => ids.get(term)))],
    );
  const words = (papers: readonly { length: number }[]) =>
    papers.reduce((sum, { length }) => sum + length, 0);
  await database.query('UPDATE search_size SET papers = papers + $1, length = length + $2', [
    entries.length - before.length,
    words(entries) - words(before),
  ]);
}

function entryOf(paper: Searchable, digest: string, spelt: Map<string, string>): Entry {
  const counts = new Map<string, number>();
  let length = 0;
  const add = (term: string, word: string, weight: number) => {
    counts.set(term, (counts.get(term) ?? 0) + weight);
    if (!spelt.has(term)) spelt.set(term, word);
  };
  const read = (text: string, weight: number) => {
    for (const { stem, word } of tokens(text)) {
      add(stem, word, weight);
      length += weight;
    }
  };
  const texts = textsOf(paper);
  read(texts[0], TITLE_WEIGHT);
  for (const text of texts.slice(1)) read(text, 1);
  if (paper.family) {
    read(paper.family, 1);
    add(familyTerm(paper.family), paper.family, 1);
  }
  for (const author of paper.authors ?? []) {
    for (const term of authorTerms(author)) add(term, term.slice('author:'.length), 1);
    add(personTerm(author), plainText(author), 1);
  }
  // a line between the texts that no phrase can cross
  const words = texts.map((text) => ` ${folded(text)} `).join('|');
  return { number: paper.number, digest, length, words, counts };
}

const textsOf = ({ title, summary, abstract }: Searchable): string[] =>
  [title, summary ?? '', abstract ?? ''].map(plainText);

function digestOf({ title, summary, abstract, authors, family }: Searchable): string {
  return createHash('sha256')
    .update(JSON.stringify([INDEX_VERSION, title, summary, abstract, authors, family]))
    .digest('base64url')
    .slice(0, 22);
}
