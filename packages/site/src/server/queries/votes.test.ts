import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../database.ts';
import { seed } from '../seed.ts';
import { onEachEngine } from '../testing/databases.ts';
import { person } from '../testing/people.ts';
import { recount } from './counts.ts';
import { setVote, votedFor } from './votes.ts';

interface Counted {
  upvotes: number;
  comments: number;
  hot: number | null;
}

onEachEngine('votes', (open) => {
  let database: Database;
  let ada: string;
  beforeAll(async () => {
    database = await open();
    await seed(database);
    // A listing weighs as a vote does; here only votes and comments shall.
    await database.query('UPDATE papers SET listed_on = NULL');
    ada = (await person(database, 'ada')).id;
  });
  afterAll(() => database.close());

  const counted = async (slug: string) =>
    (await database.query<Counted>('SELECT upvotes, comments, hot FROM papers WHERE slug = $1', [slug]))[0];
  const voteAt = (slug: string, userId: string, at: string) =>
    database.query('INSERT INTO votes (slug, user_id, created_at) VALUES ($1, $2, $3)', [slug, userId, at]);

  test('twenty clicks at once are one vote, and taking it back leaves none', async () => {
    const vote = (wanted: boolean) => setVote(database, { slug: 'fna', userId: ada, wanted });
    expect(await Promise.all(Array.from({ length: 20 }, () => vote(true)))).toEqual(Array(20).fill(1));
    expect(await counted('fna')).toMatchObject({ upvotes: 1 });
    expect(await votedFor(database, ada, ['fna', 'gna'])).toEqual(new Set(['fna']));
    expect(await Promise.all([vote(false), vote(false)])).toEqual([0, 0]);
    expect(await counted('fna')).toEqual({ upvotes: 0, comments: 0, hot: null });
  });

  test('there is no vote for a paper that is not there', async () => {
    expect(await setVote(database, { slug: 'unheard-of', userId: ada, wanted: true })).toBeUndefined();
  });

  test('bots vote, and do not count', async () => {
    const { id: bot } = await person(database, 'bot', { isBot: true });
    expect(await setVote(database, { slug: 'gna', userId: bot, wanted: true })).toBe(0);
    expect(await counted('gna')).toEqual({ upvotes: 0, comments: 0, hot: null });
  });

  test('ten votes at one hour are as hot as five two days later; an old one adds nothing that breaks', async () => {
    const people = await Promise.all(Array.from({ length: 10 }, (_, i) => person(database, `voter-${i}`)));
    for (const [i, { id: voter }] of people.entries()) {
      await voteAt('aff', voter, '2026-03-01T00:00:00Z');
      if (i < 5) await voteAt('kernelized-rpe', voter, '2026-03-03T00:00:00Z');
      await voteAt('radial-attention', voter, i === 0 ? '1990-01-01T00:00:00Z' : '2026-03-01T00:00:00Z');
    }
    const slugs = ['aff', 'kernelized-rpe', 'radial-attention'];
    await database.transaction(async (inner) => {
      for (const slug of slugs) await recount(inner, slug);
    });
    const [ten, five, nine] = await Promise.all(slugs.map(counted));
    // T0 + 790 days is 395 half-lives.
    expect(ten.hot).toBeCloseTo(395 + Math.log2(10), 9);
    expect(five.hot).toBeCloseTo(ten.hot!, 9);
    expect(nine.hot).toBeCloseTo(395 + Math.log2(9), 9);
  });

  test('1,000 votes from 100 accounts in any order leave what each wanted last', async () => {
    const people = await Promise.all(Array.from({ length: 100 }, (_, i) => person(database, `crowd-${i}`)));
    const papers = ['fna', 'gna', 'halonet', 'biformer', 'power-attention'];
    const wishes = people.flatMap(({ id: userId }, i) =>
      Array.from({ length: 10 }, (_, n) => ({
        userId,
        slug: papers[(i + n) % 5],
        wanted: n >= 5 ? i % 3 > 0 : true,
      })),
    );
    // Each account's first wishes before its last: the rest is at once.
    await Promise.all(wishes.filter((_, n) => n % 10 < 5).map((wish) => setVote(database, wish)));
    await Promise.all(wishes.filter((_, n) => n % 10 >= 5).map((wish) => setVote(database, wish)));
    const rows = await database.query<{ slug: string; count: number; upvotes: number }>(
      `SELECT slug, upvotes, (SELECT count(*) FROM votes v JOIN users u ON u.id = v.user_id
        WHERE v.slug = papers.slug AND u.name LIKE 'crowd-%') AS count FROM papers WHERE slug = ANY($1::text[])`,
      [papers],
    );
    for (const { slug, count, upvotes } of rows) {
      expect(count, slug).toBe(66);
      expect(upvotes, slug).toBe(66);
    }
  });
});
