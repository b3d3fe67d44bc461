import type { PaperView } from '../../shared/schemas.ts';
import type { Database } from '../database.ts';
import { cardsByNumber } from '../queries/papers.ts';

/** A paper like another, with what they share: characteristic words, the family, and the names of authors. */
export interface SimilarPaper {
  paper: PaperView;
  words: readonly string[];
  /** Both are of one family, which is rare enough to tell something. */
  family: boolean;
  authors: readonly string[];
}

/** The paper's most telling words; more add cost and change little. */
const TELLING_WORDS = 24;
const SHARED_WORDS_SHOWN = 5;
/** A shared author counts as this many shared words that are as rare. */
const AUTHOR_WEIGHT = 3;
/** Papers are found by its most telling words until these have so many postings. */
const MOST_POSTINGS = 8000;

interface Term {
  id: number;
  term: string;
  word: string;
  weight: number;
  papers: number;
}

/**
 * Papers whose words are like those of this one: tf-idf over its most telling words, each candidate's sum divided by the
 * root of its length. A shared author counts for more than a word. The same for the same papers; equal ones by number.
 */
export async function similarPapers(database: Database, number: number, count = 5): Promise<SimilarPaper[]> {
  const terms = await tellingTerms(database, number);
  if (terms.length === 0) return [];
  const best = await database.query<{ paper: number }>(
    `SELECT paper FROM unnest($1::int[], $2::float8[]) AS asked(term, weight)
       JOIN search_postings AS postings ON postings.term = asked.term
     WHERE paper <> $3
     GROUP BY paper
     ORDER BY sum(weight * (1 + ln(count))) / sqrt(max(length)) DESC, paper LIMIT $4`,
    [terms.map(({ id }) => id), terms.map(({ weight }) => weight), number, count],
  );
  const numbers = best.map(({ paper }) => paper);
  const [cards, shared] = await Promise.all([
    cardsByNumber(database, numbers),
    database.query<{ paper: number; term: number }>(
      'SELECT paper, term FROM search_postings WHERE term = ANY($1::int[]) AND paper = ANY($2::int[])',
      [terms.map(({ id }) => id), numbers],
    ),
  ]);
  return cards.map((paper, i) => {
    const both = terms.filter(({ id }) => shared.some((row) => row.paper === numbers[i] && row.term === id));
    return {
      paper,
      words: both
        .filter(({ term }) => !term.includes(':'))
        .slice(0, SHARED_WORDS_SHOWN)
        .map(({ word }) => word),
      family: both.some(({ term }) => term.startsWith('family:')),
      authors: both.filter(({ term }) => term.startsWith('person:')).map(({ word }) => word),
    };
  });
}

/** Words of a paper that others have too, the most telling first. */
async function tellingTerms(database: Database, number: number): Promise<Term[]> {
  const terms = await database.query<Term>(
    `WITH everything AS (SELECT greatest(papers, 1)::float8 AS papers FROM search_size)
     SELECT terms.id, terms.term, terms.word, terms.papers,
       (1 + ln(postings.count)) * CASE WHEN terms.term LIKE 'person:%' THEN ${AUTHOR_WEIGHT} ELSE 1 END * ln(1 + (everything.papers - terms.papers + 0.5) / (terms.papers + 0.5)) ^ 2 AS weight
     FROM search_papers AS here
       CROSS JOIN everything
       CROSS JOIN LATERAL jsonb_array_elements_text(here.terms) AS own(id)
       JOIN search_terms AS terms ON terms.id = own.id::int
       JOIN search_postings AS postings ON postings.term = terms.id AND postings.paper = here.paper
     WHERE here.paper = $1 AND terms.papers BETWEEN 2 AND $2 AND terms.term NOT LIKE 'author:%'
     ORDER BY weight DESC, terms.id LIMIT $3`,
    [number, MOST_POSTINGS, TELLING_WORDS],
  );
  let postings = 0;
  return terms.filter(({ papers }, i) => {
    postings += papers;
    return i < 3 || postings <= MOST_POSTINGS;
  });
}
