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
/** To look one posting up takes as long as to read so many that lie beside each other. */
const POSTINGS_FOR_ONE_LOOKED_UP = 3;
/** More answers than this are not ranked. */
export const MOST_ANSWERS = 500;

interface Term {
  id: number;
  term: string;
  papers: number;
}

/**
 * Papers for a question, by BM25 over the postings. Phrases, exclusions and fields are conditions;
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
  const { known, size } = await termsOf(database, [
    ...new Set([...stems, ...names, ...synonyms, ...required, ...forbidden]),
  ]);
  const byTerm = new Map(known.map((term) => [term.term, term]));
  const must = required.map((term) => byTerm.get(term));
  if (must.includes(undefined)) return [];
  const own = new Set([...stems, ...names]);
  const asked = [...own, ...synonyms]
    .map((term) => ({ ...byTerm.get(term), weight: own.has(term) ? 1 : SYNONYM_WEIGHT }))
    .filter((term): term is Term & { weight: number } => term.id !== undefined)
    .map((term) => ({ ...term, weight: (K1 + 1) * term.weight * inverseFrequency(term.papers, size.papers) }))
    .sort((a, b) => a.papers - b.papers || a.id - b.id);
  if (own.size > 0 && asked.length === 0) return [];

  const parameters: unknown[] = [];
  const place: Place = (value) => `$${parameters.push(value)}`;
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
  ];
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const inText = [
    // strpos reads a text several times as fast as LIKE does
    ...phrases.map((phrase) => `strpos(words, ${place(` ${phrase} `)}) > 0`),
    ...without.map((word) => `strpos(words, ${place(` ${word} `)}) = 0`),
  ];
  // As a value, not as EXISTS, which would become a join: so texts are read one by one, in order, until there are enough.
  const whereText =
    inText.length > 0
      ? `WHERE (SELECT ${inText.join(' AND ')} FROM search_papers WHERE search_papers.paper = found.paper)`
      : '';
  const anchored = anchor
    ? `(SELECT paper FROM search_postings WHERE term = ${place(anchor.id)})`
    : '(SELECT number AS paper FROM papers)';
  if (asked.length === 0) {
    if (!anchor && conditions.length === (among ? 1 : 0) && inText.length === 0) return [];
    return database.query<Answer>(
      `SELECT found.paper, 0::float8 AS score
       FROM (
         SELECT found.paper, listed_on FROM ${anchored} AS found JOIN papers ON papers.number = found.paper ${where}
         ORDER BY listed_on DESC NULLS LAST, found.paper OFFSET 0
       ) AS found ${whereText} ORDER BY listed_on DESC NULLS LAST, found.paper LIMIT ${MOST_ANSWERS}`,
      parameters,
    );
  }
  if (anchor) {
    const found = await database.query<{ paper: number }>(
      `SELECT found.paper FROM (SELECT found.paper FROM ${anchored} AS found ${where} OFFSET 0) AS found ${whereText}`,
      parameters,
    );
    return found.length === 0
      ? []
      : scoresOf(
          database,
          size,
          asked,
          found.map(({ paper }) => paper),
        );
  }
  let postings = 0;
  const finding = asked.filter(({ papers }, i) => {
    postings += papers;
    return i === 0 || postings <= POSTINGS_TO_FIND_BY;
  });
  const rest = asked.slice(finding.length);
  const score = scoreIn(size, place);
  const kept = `WITH found AS (
      SELECT postings.paper, sum(${score}) AS score
      FROM ${termsIn(finding, place)} JOIN search_postings AS postings ON postings.term = asked.term GROUP BY postings.paper
    ), kept AS (
      SELECT paper, score FROM (SELECT found.paper, found.score FROM found ${where} ${order} OFFSET 0) AS found ${whereText} ${best}
    )`;
  if (rest.length === 0)
    return database.query<Answer>(`${kept} SELECT paper, score FROM kept ${best}`, parameters);
  return database.query<Answer>(
    `${kept}
     SELECT kept.paper, kept.score + coalesce(sum(${score}), 0) AS score
     FROM kept LEFT JOIN (${termsIn(rest, place)} CROSS JOIN ${lookedUp('kept')}) ON true
     GROUP BY kept.paper, kept.score ${best}`,
    parameters,
  );
}

type Weighed = Pick<Term, 'id' | 'papers'> & { weight: number };
type Place = (value: unknown) => string;

const order = 'ORDER BY score DESC, paper';
const best = `${order} LIMIT ${MOST_ANSWERS}`;

/** Floating-point numbers throughout: a constant such as 0.75 in SQL makes all of it numeric, and that takes ten times as long. */
const scoreIn = ({ length }: Size, place: Place) =>
  `asked.weight * count / (count + ${place(K1 * (1 - B))}::float8 + ${place((K1 * B) / length)}::float8 * length)`;

const termsIn = (terms: readonly Weighed[], place: Place) =>
  `unnest(${place(terms.map(({ id }) => id))}::int[], ${place(terms.map(({ weight }) => weight))}::float8[]) AS asked(term, weight)`;

/** The posting of a paper for a term. The limit says nothing of the result: it keeps the planner, which knows no lists, from reading all postings of the term. */
const lookedUp = (papers: string) =>
  `LATERAL (SELECT count, length FROM search_postings WHERE term = asked.term AND paper = ${papers}.paper LIMIT 1) AS posting`;

/** The best of the papers found, by all words asked for. */
function scoresOf(
  database: Database,
  size: Size,
  asked: readonly Weighed[],
  found: readonly number[],
): Promise<Answer[]> {
  const parameters: unknown[] = [];
  const place: Place = (value) => `$${parameters.push(value)}`;
  const papers = `unnest(${place(found)}::int[]) AS found(paper)`;
  const postings = asked.reduce((sum, term) => sum + term.papers, 0);
  const from =
    found.length * asked.length * POSTINGS_FOR_ONE_LOOKED_UP < postings
      ? `${papers} CROSS JOIN ${termsIn(asked, place)} CROSS JOIN ${lookedUp('found')}`
      : `${termsIn(asked, place)} JOIN search_postings AS postings ON postings.term = asked.term JOIN ${papers} ON found.paper = postings.paper`;
  return database.query<Answer>(
    `SELECT found.paper, sum(${scoreIn(size, place)}) AS score FROM ${from} GROUP BY found.paper ${best}`,
    parameters,
  );
}

interface Size {
  papers: number;
  /** Words of a paper on average. */
  length: number;
}

/** Those of the terms that papers have, and how much is indexed, in one question to the database. */
async function termsOf(database: Database, terms: readonly string[]): Promise<{ known: Term[]; size: Size }> {
  const rows = await database.query<(Term | { id: null }) & { all: number; length: number }>(
    `SELECT id, term, search_terms.papers, size.papers AS all, coalesce(size.length::float8 / nullif(size.papers, 0), 1) AS length
     FROM search_size AS size LEFT JOIN search_terms ON search_terms.papers > 0 AND term = ANY($1::text[])`,
    [terms],
  );
  const [{ all, length }] = rows;
  return { known: rows.filter((row) => row.id !== null), size: { papers: all, length } };
}

/** Never negative, so that a word in nearly all papers just says little. */
const inverseFrequency = (papers: number, all: number) => Math.log(1 + (all - papers + 0.5) / (papers + 0.5));
