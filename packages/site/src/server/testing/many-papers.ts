import { catalogue } from '@saccade/papers';
import type { Database } from '../database.ts';

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Words that are made up; rare ones are as rare as in real texts (Zipf's law). */
const TAIL = 40_000;
const syllables = [
  'ba',
  'ce',
  'di',
  'fo',
  'gu',
  'ha',
  'ki',
  'lo',
  'mu',
  'na',
  'pe',
  'qui',
  'ro',
  'su',
  'ta',
  've',
];
const madeUp = (n: number) =>
  [n & 15, (n >> 4) & 15, (n >> 8) & 15, (n >> 12) & 15].map((at) => syllables[at]).join('');

/**
 * Puts papers that do not exist into the database: titles of ten words, abstracts of 150, six words in ten drawn from the
 * summaries of the 41 with their frequencies, so that common words are as common as in a collection about one subject.
 */
export async function addManyPapers(database: Database, count: number, seed = 1): Promise<void> {
  const random = randomFrom(seed);
  const real = catalogue.flatMap(({ title, summary }) => `${title} ${summary}`.split(/\s+/));
  const word = () =>
    random() < 0.6 ? real[Math.floor(random() * real.length)] : madeUp(Math.floor(TAIL ** random()) + 256);
  const text = (length: number) => Array.from({ length }, word).join(' ');
  const name = () =>
    `${madeUp(Math.floor(random() * 400) + 300)} ${madeUp(Math.floor(TAIL ** random()) + 9000)}`;
  const batch = 1000;
  for (let from = 0; from < count; from += batch) {
    const rows = Array.from({ length: Math.min(batch, count - from) }, (_, i) => {
      const at = new Date(Date.UTC(2016, 0, 1) + Math.floor(random() * 3800 * 86_400_000));
      const authors = Array.from({ length: 1 + Math.floor(random() * 8) }, name);
      return {
        slug: `made-up-${from + i}`,
        title: text(10),
        abstract: text(150),
        authors: JSON.stringify(authors),
        count: authors.length,
        at: at.toISOString(),
      };
    });
    await database.query(
      `INSERT INTO papers (slug, title, abstract, authors, author_count, listed_at, listed_on, source)
       SELECT slug, title, abstract, authors::jsonb, author_count, listed_at, (listed_at AT TIME ZONE 'UTC')::date, 'arxiv'
       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[])
         AS given(slug, title, abstract, authors, author_count, listed_at)`,
      [
        rows.map(({ slug }) => slug),
        rows.map(({ title }) => title),
        rows.map(({ abstract }) => abstract),
        rows.map(({ authors }) => authors),
        rows.map((row) => row.count),
        rows.map(({ at }) => at),
      ],
    );
  }
}
