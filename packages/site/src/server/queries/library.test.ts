import { afterAll, beforeAll, expect, test } from 'vitest';
import { feedQuery } from '../../shared/schemas.ts';
import type { Viewer } from '../accounts/accounts.ts';
import type { Database } from '../database.ts';
import { preparePapers } from '../prepare.ts';
import { corpusOf } from '../recommend.ts';
import { seed } from '../seed.ts';
import { onEachEngine } from '../testing/databases.ts';
import { person } from '../testing/people.ts';
import { slugsOf } from './answers.ts';
import { keep, keepingOf, libraryOf, taggedBy, tagsOf } from './library.ts';
import { type Answer, newFor, removeSearch, saveSearch, searchesOf, takeNew } from './searches.ts';

onEachEngine('the library', (open) => {
  let database: Database;
  let ada: Viewer;
  let bob: Viewer;
  beforeAll(async () => {
    database = await open();
    await seed(database);
    await preparePapers(database, 'UTC');
    ada = await person(database, 'ada');
    bob = await person(database, 'bob');
  });
  afterAll(() => database.close());
  const nothing = { bookmarked: false, state: 'none', note: '', tags: [] as string[] } as const;
  const answer: Answer = (query) => slugsOf(database, feedQuery.parse(Object.fromEntries(query)));

  test('keeps bookmarks, states, notes and tags of each account apart, and nothing where nothing is kept', async () => {
    const of = { userId: ada.id, slug: 'fna' };
    await keep(database, {
      ...of,
      bookmarked: true,
      state: 'reading',
      note: "it's 100% _good_",
      tags: ['local', 'to try'],
    });
    await keep(database, { ...of, slug: 'gna', ...nothing, tags: ['local'] });
    await keep(database, { ...of, userId: bob.id, ...nothing, note: 'mine' });
    expect(await keepingOf(database, ada.id, 'fna')).toMatchObject({
      note: "it's 100% _good_",
      tags: ['local', 'to try'],
    });
    expect((await libraryOf(database, ada.id)).papers.map(({ slug }) => slug)).toEqual(['gna', 'fna']);
    expect((await libraryOf(database, ada.id, { tag: 'to try' })).papers.map(({ slug }) => slug)).toEqual([
      'fna',
    ]);
    expect(
      (await libraryOf(database, ada.id, { state: 'reading', tag: 'local' })).papers.map(({ slug }) => slug),
    ).toEqual(['fna']);
    expect(await tagsOf(database, ada.id)).toEqual([
      { tag: 'local', count: 2 },
      { tag: 'to try', count: 1 },
    ]);
    await keep(database, { ...of, ...nothing });
    expect(await keepingOf(database, ada.id, 'fna')).toEqual(nothing);
    expect((await libraryOf(database, bob.id)).papers).toHaveLength(1);
    await expect(keep(database, { ...of, slug: 'unheard-of', ...nothing, note: 'x' })).rejects.toMatchObject({
      status: 404,
    });
  });

  test('a library of more than a page has pages, and its tag all papers', async () => {
    await database.query(
      `INSERT INTO library (user_id, slug, bookmarked, state, note, tags)
       SELECT $1, slug, true, 'none', '', '{many}' FROM papers ORDER BY slug LIMIT 5`,
      [ada.id],
    );
    const pages = [
      await libraryOf(database, ada.id, { tag: 'many' }, 0, 3),
      await libraryOf(database, ada.id, { tag: 'many' }, 1, 3),
      await libraryOf(database, ada.id, { tag: 'many' }, 2, 3),
    ];
    expect(pages.map(({ papers, more }) => [papers.length, more])).toEqual([
      [3, true],
      [2, false],
      [0, false],
    ]);
    expect(new Set(pages.flatMap(({ papers }) => papers.map(({ slug }) => slug)))).toEqual(
      await taggedBy(database, ada.id, 'many'),
    );
    await database.query('DELETE FROM library WHERE user_id = $1', [ada.id]);
  });

  test('a saved search shows a new match once, and is its owner’s alone', async () => {
    const id = await saveSearch(database, { userId: ada.id, name: 'windows', query: 'q=window', answer });
    expect(await saveSearch(database, { userId: ada.id, name: 'Windows', query: 'q=window', answer })).toBe(
      id,
    );
    const [search] = await searchesOf(database, ada.id);
    expect(search).toEqual({ id, name: 'Windows', query: 'q=window' });
    expect(await takeNew(database, search, answer)).toEqual([]);
    await database.query(
      `INSERT INTO papers (slug, title, family, summary) VALUES ('new-one', 'A window', 'local', 'Yes.')`,
    );
    await preparePapers(database, 'UTC');
    expect(await newFor(database, search, answer)).toEqual(['new-one']);
    const both = await Promise.all([takeNew(database, search, answer), takeNew(database, search, answer)]);
    expect(both.flat()).toEqual(['new-one']);
    expect(await newFor(database, search, answer)).toEqual([]);
    await expect(removeSearch(database, id, bob.id)).rejects.toMatchObject({ status: 404 });
    await removeSearch(database, id, ada.id);
    expect(await searchesOf(database, ada.id)).toEqual([]);
  });

  test('the corpus is made again when a paper comes', async () => {
    const corpus = corpusOf(database);
    const before = await corpus();
    expect(await corpus()).toBe(before);
    await database.query(
      `INSERT INTO papers (slug, title, family, summary, added_at) VALUES ('newer', 'x', 'local', 'y', now() + interval '1 s')`,
    );
    expect((await corpus()).slugs).toContain('newer');
  });
});
