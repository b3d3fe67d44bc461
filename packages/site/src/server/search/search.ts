import type { Database } from '../database.ts';
import type { Question } from './parse.ts';
import { synonymsOf } from './synonyms.ts';

/** A paper that answers, by its number, with its BM25 score. Best first; equal ones by number. */
export interface Answer {
  paper: number;
  score: number;
}

/** Robertson's usual constants: how soon repetition stops to count, and how much length does. */
const K1 = 1.2;
const B = 0.75;
/** A synonym counts this much of the word itself. */
const SYNONYM_WEIGHT = 0.35;
/** Papers are found by the rarest words until these have so many postings; the others only add to their scores. */
const POSTINGS_TO_FIND_BY = 6000;
/** More answers than this are not ranked. */
export const MOST_ANSWERS = 500;

interface Term {
  id: number;
  term: string;
  papers: number;
}

/**
 * Papers for a question, by BM25 over the postings, as one SQL statement. Phrases, exclusions and fields are conditions;
 * words are alternatives. Without a word all papers that meet the conditions answer, the newest first.
 * @param among only these papers
 */
export async function searchPapers(
  database: Database,
  question: Question,
  among?: readonly number[],
): Promise<Answer[]> {
  const { stems, names, phrases, without, required, forbidden } = question;
  const synonyms = synonymsOf(stems);
  const [known, size] = await Promise.all([
    database.query<Term>(
      'SELECT id, term, papers FROM search_terms WHERE papers > 0 AND term = ANY($1::text[])',
      [[...new Set([...stems, ...names, ...synonyms, ...required, ...forbidden])]],
    ),
    sizeOf(database),
  ]);
  const byTerm = new Map(known.map((term) => [term.term, term]));
  const must = required.map((term) => byTerm.get(term));
  if (must.includes(undefined)) return [];
  const own = new Set([...stems, ...names]);
  const asked = [...own, ...synonyms]
    .map((term) => ({ ...byTerm.get(term), weight: own.has(term) ? 1 : SYNONYM_WEIGHT }))
    .filter((term): term is Term & { weight: number } => term.id !== undefined)
    .map((term) => ({ ...term, weight: term.weight * inverseFrequency(term.papers, size.papers) }))
    .sort((a, b) => a.papers - b.papers || a.id - b.id);
  if (own.size > 0 && asked.length === 0) return [];

  const parameters: unknown[] = [];
  const place = (value: unknown) => `$${parameters.push(value)}`;
  // the rarest of what must be there is where the others are looked for
  const [anchor, ...others] = (must as Term[]).sort((a, b) => a.papers - b.papers);
  const has = (term: Term) =>
    `EXISTS (SELECT FROM search_postings WHERE term = ${place(term.id)} AND paper = found.paper)`;
  const conditions = [
    ...(among ? [`found.paper = ANY(${place(among)}::int[])`] : []),
    ...others.map(has),
    ...forbidden.flatMap((term) => {
      const known = byTerm.get(term);
      return known ? [`NOT ${has(known)}`] : [];
    }),
    ...phrases.map((phrase) => wordsOf(`LIKE ${place(`% ${phrase} %`)}`)),
    ...without.map((word) => wordsOf(`NOT LIKE ${place(`% ${word} %`)}`)),
  ];
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const anchored = anchor
    ? `(SELECT paper FROM search_postings WHERE term = ${place(anchor.id)})`
    : '(SELECT number AS paper FROM papers)';
  if (asked.length === 0) {
    if (!anchor && conditions.length === (among ? 1 : 0)) return [];
    return database.query<Answer>(
      `SELECT found.paper, 0::float8 AS score
       FROM ${anchored} AS found JOIN papers ON papers.number = found.paper ${where}
       ORDER BY papers.listed_on DESC NULLS LAST, found.paper LIMIT ${MOST_ANSWERS}`,
      parameters,
    );
  }
  const lengthMean = place(size.length);
  const score = `asked.weight * count * ${K1 + 1} / (count + ${K1} * (1 - ${B} + ${B} * length / ${lengthMean}::float8))`;
  const postingsOf = (terms: readonly { id: number; weight: number }[]) =>
    `unnest(${place(terms.map(({ id }) => id))}::int[], ${place(terms.map(({ weight }) => weight))}::float8[]) AS asked(term, weight)
     JOIN search_postings AS postings ON postings.term = asked.term`;
  const best = `ORDER BY score DESC, paper LIMIT ${MOST_ANSWERS}`;
  if (anchor)
    return database.query<Answer>(
      `WITH found AS MATERIALIZED (SELECT found.paper FROM ${anchored} AS found ${where})
       SELECT found.paper, sum(${score}) AS score
       FROM ${postingsOf(asked)} JOIN found ON found.paper = postings.paper GROUP BY found.paper ${best}`,
      parameters,
    );
  let postings = 0;
  const finding = asked.filter(({ papers }, i) => {
    postings += papers;
    return i === 0 || postings <= POSTINGS_TO_FIND_BY;
  });
  const rest = asked.slice(finding.length);
  const kept = `WITH found AS (SELECT postings.paper, sum(${score}) AS score FROM ${postingsOf(finding)} GROUP BY postings.paper),
    kept AS (SELECT found.paper, found.score FROM found ${where} ${best})`;
  if (rest.length === 0)
    return database.query<Answer>(`${kept} SELECT paper, score FROM kept ${best}`, parameters);
  return database.query<Answer>(
    `${kept}, more AS (
       SELECT postings.paper, sum(${score}) AS score FROM ${postingsOf(rest)}
       WHERE postings.paper IN (SELECT paper FROM kept) GROUP BY postings.paper
     )
     SELECT kept.paper, kept.score + coalesce(more.score, 0) AS score
     FROM kept LEFT JOIN more ON more.paper = kept.paper ${best}`,
    parameters,
  );
}

interface Size {
  papers: number;
  /** Words of a paper on average. */
  length: number;
}

/**
 * How many papers are indexed. Reading all of them takes as long as the rest of a search, so it is done again only where
 * the number that rises with each change of papers has risen (060-page-version.sql).
 */
async function sizeOf(database: Database): Promise<Size> {
  const [{ version }] = await database.query<{ version: number }>('SELECT version FROM page_version');
  const known = sizes.get(database);
  if (known?.version === version) return known.size;
  const size = database
    .query<Size>(
      'SELECT count(*)::int AS papers, coalesce(avg(length), 1)::float8 AS length FROM search_papers',
    )
    .then(([row]) => row);
  sizes.set(database, { version, size });
  size.catch(() => sizes.delete(database));
  return size;
}
const sizes = new WeakMap<Database, { version: number; size: Promise<Size> }>();

const wordsOf = (condition: string) =>
  `EXISTS (SELECT FROM search_papers WHERE search_papers.paper = found.paper AND words ${condition})`;

/** Never negative, so that a word in nearly all papers just says little. */
const inverseFrequency = (papers: number, all: number) => Math.log(1 + (all - papers + 0.5) / (papers + 0.5));
