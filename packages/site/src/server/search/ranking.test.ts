import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../database.ts';
import { seed } from '../seed.ts';
import { onEachEngine } from '../testing/databases.ts';
import { addManyPapers } from '../testing/many-papers.ts';
import { indexPapers } from './index-papers.ts';
import { parseQuestion } from './parse.ts';
import { type Answer, searchPapers } from './search.ts';
import { synonymsOf } from './synonyms.ts';

/** Words of many papers, so many that not all of their postings are read to find papers. */
const COMMON =
  'cebaceba attention dibaceba fobaceba gubaceba token habaceba kibaceba block models lobaceba sparse training mubaceba heads';

interface Posting {
  term: string;
  paper: number;
  count: number;
  length: number;
}

/** The rule of search.ts written from its equations, over all postings at once: found by the rarest words, ranked by all. */
function reference(postings: readonly Posting[], papers: readonly { length: number }[], question: string) {
  const { stems, names } = parseQuestion(question);
  const lengthMean = papers.reduce((sum, { length }) => sum + length, 0) / papers.length;
  const own = new Set([...stems, ...names]);
  const lists = [...own, ...synonymsOf(stems)]
    .map((term) => ({ own: own.has(term), list: postings.filter((posting) => posting.term === term) }))
    .filter(({ list }) => list.length > 0)
    .sort((a, b) => a.list.length - b.list.length);
  const scores = (some: typeof lists) => {
    const sums = new Map<number, number>();
    for (const { own, list } of some) {
      const rarity = Math.log(1 + (papers.length - list.length + 0.5) / (list.length + 0.5));
      for (const { paper, count, length } of list) {
        const saturated = (count * 2.2) / (count + 1.2 * (1 - 0.75 + (0.75 * length) / lengthMean));
        sums.set(paper, (sums.get(paper) ?? 0) + (own ? 1 : 0.35) * rarity * saturated);
      }
    }
    return sums;
  };
  const ranked = (sums: Map<number, number>) =>
    [...sums].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 500);
  let read = 0;
  const rarest = lists.filter(({ list }, i) => {
    read += list.length;
    return i === 0 || read <= 6000;
  });
  const found = new Set(ranked(scores(rarest)).map(([paper]) => paper));
  return {
    all: rarest.length === lists.length,
    answers: ranked(new Map([...scores(lists)].filter(([paper]) => found.has(paper)))),
  };
}

onEachEngine('ranking', (open) => {
  let database: Database;
  let postings: Posting[];
  let papers: { paper: number; length: number; words: string }[];
  beforeAll(async () => {
    database = await open();
    await seed(database);
    await addManyPapers(database, 900);
    await indexPapers(database);
    postings = await database.query(
      'SELECT search_terms.term, paper, count, length FROM search_postings JOIN search_terms ON id = search_postings.term',
    );
    papers = await database.query('SELECT paper, length, words FROM search_papers');
  }, 240_000);
  afterAll(() => database?.close());

  /** As sums of floating-point numbers agree: the scores, and the papers except where scores are equal. */
  function expectRanked(answers: readonly Answer[], wanted: readonly (readonly [number, number])[]) {
    expect(answers).toHaveLength(wanted.length);
    answers.forEach(({ score }, i) => {
      expect(score).toBeCloseTo(wanted[i][1], 9);
    });
    const scoreOf = new Map(wanted);
    for (const { paper, score } of answers)
      expect(scoreOf.get(paper), `paper ${paper}`).toBeCloseTo(score, 9);
  }

  test.each([
    ['window attention', true],
    ['attention', true],
    [`${COMMON} quantization`, false],
    [COMMON, false],
  ])('%s is ranked as the equations say', async (question, all) => {
    const wanted = reference(postings, papers, question);
    // So that both ways to rank are tried: all words at once, and common words for what rare ones found.
    expect(wanted.all).toBe(all);
    expectRanked(await searchPapers(database, parseQuestion(question)), wanted.answers);
  });

  test.each([
    ['"sparse attention"', ' sparse attention ', ''],
    ['"sparse attention" -video', ' sparse attention ', ' video '],
    ['attention -image', '', ' image '],
    ['-attention -tokens', '', ' tokens '],
  ])('%s keeps all that meet its conditions and no other', async (question, has, hasNot) => {
    const meets = papers.filter(
      ({ words }) =>
        words.includes(has) &&
        !(hasNot && words.includes(hasNot)) &&
        !(question.startsWith('-att') && words.includes(' attention ')),
    );
    const found = (await searchPapers(database, parseQuestion(question))).map(({ paper }) => paper);
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found).size).toBe(found.length);
    const numbers = new Set(meets.map(({ paper }) => paper));
    expect(found.filter((paper) => !numbers.has(paper))).toEqual([]);
    if (has) expect(found).toHaveLength(Math.min(500, meets.length));
  });

  test('phrases and fields rank by all words, whether few papers are left or many', async () => {
    for (const question of ['"sparse attention" window', 'attention "attention"']) {
      const all = new Map(reference(postings, papers, question).answers);
      const answers = await searchPapers(database, parseQuestion(question));
      const known = answers.filter(({ paper }) => all.has(paper));
      expect(known.length, question).toBeGreaterThan(5);
      for (const { paper, score } of known) expect(score).toBeCloseTo(all.get(paper) as number, 9);
    }
  });

  test('the size of the index is that of its papers, also after a paper was changed', async () => {
    const size = async () => {
      const [row] = await database.query(
        `SELECT search_size.papers = (SELECT count(*) FROM search_papers) AS papers,
           search_size.length = (SELECT sum(length) FROM search_papers) AS length FROM search_size`,
      );
      return row;
    };
    expect(await size()).toEqual({ papers: true, length: true });
    await database.query("UPDATE papers SET abstract = 'Shorter by far' WHERE slug = 'made-up-3'");
    expect(await indexPapers(database)).toBe(1);
    expect(await size()).toEqual({ papers: true, length: true });
  });
});
