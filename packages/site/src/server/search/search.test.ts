import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../database.ts';
import { seed } from '../seed.ts';
import { onEachEngine } from '../testing/databases.ts';
import { indexPapers } from './index-papers.ts';
import { parseQuestion } from './parse.ts';
import questions from './questions.json' with { type: 'json' };
import { searchPapers } from './search.ts';
import { similarPapers } from './similar.ts';

onEachEngine('search', (open) => {
  let database: Database;
  beforeAll(async () => {
    database = await open();
    await seed(database);
    await indexPapers(database);
  }, 120_000);
  afterAll(() => database?.close());

  async function slugs(question: string): Promise<string[]> {
    const answers = await searchPapers(database, parseQuestion(question));
    const rows = await database.query<{ number: number; slug: string }>('SELECT number, slug FROM papers');
    return answers.map(({ paper }) => rows.find(({ number }) => number === paper)!.slug);
  }

  describe('the thirty questions', () => {
    test('find their papers: mean reciprocal rank at least 0.80, none empty', async () => {
      let sum = 0;
      const told: string[] = [];
      for (const [question, wanted] of questions as [string, string[]][]) {
        const found = await slugs(question);
        expect(found.length, question).toBeGreaterThan(0);
        const rank = found.findIndex((slug) => wanted.includes(slug)) + 1;
        sum += rank === 0 ? 0 : 1 / rank;
        if (rank !== 1) told.push(`${rank}: ${question}`);
      }
      expect(questions).toHaveLength(30);
      expect(sum / questions.length, told.join('\n')).toBeGreaterThanOrEqual(0.8);
    });
  });

  describe('what a question can say', () => {
    test.each([
      ['"neighborhood attention"', ['fna', 'gna']],
      ['"attention neighborhood"', []],
      ['neighbourhood -generalized', ['fna']],
      ['neighborhood -"multi dimensional"', ['fna']],
      ['family:spectral', ['aff', 'kernelized-rpe']],
      ['family:"token pruning"', ['adaptive-sparse-vit']],
      ['family:spectral Toeplitz', ['kernelized-rpe']],
      ['family:spectral -toeplitz', ['aff']],
      ['family:unheard-of attention', []],
      ['-family:spectral toeplitz', []],
      ['zzzzzz', []],
      ['the of and', []],
      ['', []],
      ["'; ZZZ zzzz zzzzz; --", []],
      ['"" - author: %_\u0000 "', []],
    ])('%s finds %j', async (question, wanted) => {
      const found = await slugs(question);
      expect([...found].sort()).toEqual([...wanted].sort());
    });

    test('an author is found by any part of the name, with or without accents, and nobody else', async () => {
      await database.query("UPDATE papers SET authors = $1 WHERE slug = 'fna'", [
        JSON.stringify(['Łukasz Müller-Öz', 'Ada Lovelace']),
      ]);
      expect(await indexPapers(database)).toBe(1);
      for (const name of ['author:muller', 'author:"Lukasz MULLER"', 'author:lovelace attention'])
        expect(await slugs(name), name).toEqual(['fna']);
      expect(await slugs('author:routing')).toEqual([]);
      expect(await slugs('neighborhood -author:lovelace')).toEqual(['gna']);
      await database.query("UPDATE papers SET authors = NULL WHERE slug = 'fna'");
      expect(await indexPapers(database)).toBe(1);
      expect(await slugs('author:muller')).toEqual([]);
    });
  });

  describe('the index', () => {
    test('is left alone when nothing has changed', async () => {
      expect(await indexPapers(database)).toBe(0);
    });

    test('counts papers of a word as they are, also after changes', async () => {
      await database.query("UPDATE papers SET title = 'Zyzzyva attention' WHERE slug = 'fna'");
      await indexPapers(database);
      expect(await slugs('zyzzyva')).toEqual(['fna']);
      await database.query("UPDATE papers SET title = 'Attention' WHERE slug = 'fna'");
      await indexPapers(database);
      expect(await slugs('zyzzyva')).toEqual([]);
      expect(
        await database.query(
          `SELECT term FROM search_terms WHERE papers <> (SELECT count(*) FROM search_postings WHERE search_postings.term = id)`,
        ),
      ).toEqual([]);
    });
  });

  describe('similar papers', () => {
    const similar = async (slug: string) => {
      const [{ number }] = await database.query<{ number: number }>(
        'SELECT number FROM papers WHERE slug = $1',
        [slug],
      );
      return similarPapers(database, number);
    };

    test.each([
      ['lightning-attention', 'lightning-attention-2'],
      ['fna', 'gna'],
      ['vmoba', 'radial-attention'],
    ])('%s has %s among them, with words that both have', async (slug, wanted) => {
      const found = await similar(slug);
      const other = found.find(({ paper }) => paper.slug === wanted);
      expect(other, found.map(({ paper }) => paper.slug).join()).toBeDefined();
      expect(other?.words.length).toBeGreaterThan(1);
      // Each says why it is there.
      for (const { words, family, authors } of found)
        expect(words.length > 0 || family || authors.length > 0).toBe(true);
    });

    test('never list the paper itself, and are the same each time', async () => {
      for (const { slug } of await database.query<{ slug: string }>('SELECT slug FROM papers')) {
        const found = await similar(slug);
        expect(found.length, slug).toBeGreaterThan(0);
        expect(found.map(({ paper }) => paper.slug)).not.toContain(slug);
        expect(await similar(slug)).toEqual(found);
      }
    });

    test('name an author that two papers share', async () => {
      for (const slug of ['fna', 'gna'])
        await database.query('UPDATE papers SET authors = $1 WHERE slug = $2', [
          JSON.stringify(['Ada Lovelace']),
          slug,
        ]);
      await indexPapers(database);
      const other = (await similar('fna')).find(({ paper }) => paper.slug === 'gna');
      expect(other?.authors).toEqual(['Ada Lovelace']);
    });
  });

  test.each([
    ['https://arxiv.org/abs/2403.04690v3', { id: '2403.04690', version: 3 }],
    ['2403.04690', { id: '2403.04690', version: null }],
  ])('%s asks for a page', (text, jump) => {
    expect(parseQuestion(text).jump).toEqual(jump);
  });
});
