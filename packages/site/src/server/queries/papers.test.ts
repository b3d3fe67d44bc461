import { papers as runnable } from '@saccade/papers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { daysOfMonth, daysOfWeek } from '../../shared/calendar.ts';
import { preparePapers } from '../prepare.ts';
import { onEachEngine } from '../testing/databases.ts';
import { openSite, type TestSite } from '../testing/site.ts';
import {
  cardsByNumber,
  countPapers,
  feed,
  findPaper,
  latestEdition,
  neighbours,
  papersBefore,
} from './papers.ts';

onEachEngine('papers', (open) => {
  let site: TestSite;
  beforeAll(async () => {
    site = await openSite('UTC', open);
    await list('monday', '2026-04-20T08:00:00Z');
    await list('sunday-late', '2026-04-26T23:30:00Z');
    await list('may-in-zurich', '2026-04-30T22:30:00Z');
    await list('last-of-2020', '2021-01-03T12:00:00Z');
    await list('first-of-2021', '2021-01-04T00:00:00Z');
  }, 120_000);
  afterAll(() => site?.close());

  async function list(slug: string, at: string): Promise<void> {
    await site.database.query(
      `INSERT INTO papers (slug, title, listed_at, listed_on, abstract, source)
     VALUES ($1, $2, $3, ($3::timestamptz AT TIME ZONE 'UTC')::date, $4, 'arxiv')`,
      [slug, `On $n^2$ ${slug}`, at, `Costs $O(n)$. ${'Words of an abstract. '.repeat(60)}`],
    );
  }

  const slugs = async (days: { from: string; to: string }) =>
    (await feed(site.database, { days })).papers.map(({ slug }) => slug);

  describe('editions', () => {
    test('a week and a month have the papers of their days, also at the end of a year', async () => {
      expect(await slugs(daysOfWeek('2026-W17'))).toEqual(['sunday-late', 'monday']);
      expect(await slugs(daysOfMonth('2026-04'))).toEqual(['may-in-zurich', 'sunday-late', 'monday']);
      expect(await slugs(daysOfWeek('2020-W53'))).toEqual(['last-of-2020']);
      expect(await slugs(daysOfWeek('2021-W01'))).toEqual(['first-of-2021']);
      expect(await slugs({ from: '2026-04-21', to: '2026-04-21' })).toEqual([]);
    });

    test('a day belongs to the edition zone, and follows it', async () => {
      await preparePapers(site.database, 'Europe/Zurich');
      expect(await slugs(daysOfWeek('2026-W17'))).toEqual(['monday']);
      expect(await slugs(daysOfMonth('2026-05'))).toEqual(['may-in-zurich']);
      expect((await findPaper(site.database, { slug: 'fna' }))?.listedOn).toBe('2024-03-07');
      await preparePapers(site.database, 'UTC');
      expect(await slugs(daysOfWeek('2026-W17'))).toEqual(['sunday-late', 'monday']);
    });

    test('lead to the nearest ones that have papers', async () => {
      const day = (date: string) => neighbours(site.database, 'date', { from: date, to: date });
      expect(await day('2026-04-23')).toEqual({ before: '2026-04-20', after: '2026-04-26' });
      expect(await day('2026-04-30')).toEqual({ before: '2026-04-26', after: null });
      expect(await neighbours(site.database, 'week', daysOfWeek('2026-W17'))).toEqual({
        before: '2026-W12',
        after: '2026-W18',
      });
      expect(await latestEdition(site.database, 'month', 'UTC')).toBe('2026-04');
    });
  });

  describe('a feed', () => {
    test('has each paper once over its pages, those without a date last', async () => {
      const all: string[] = [];
      for (let page = 0; ; page++) {
        const { papers, more } = await feed(site.database, {}, 'newest', page, 10);
        all.push(...papers.map(({ slug }) => slug));
        if (!more) break;
      }
      expect(new Set(all).size).toBe(46);
      expect(all.slice(-3).sort()).toEqual(['flux-attention', 'hisa', 'softmax-rnn']);
      expect((await feed(site.database, {}, 'newest', 5, 10)).papers).toEqual([]);
    });

    test('can be of one family, or of what runs', async () => {
      const { papers } = await feed(site.database, { family: 'spectral' });
      expect(papers.map(({ slug }) => slug)).toEqual(['aff', 'kernelized-rpe']);
      const running = await feed(site.database, { runs: true });
      expect(running.papers.map(({ slug }) => slug).sort()).toEqual(runnable.map(({ slug }) => slug).sort());
      expect(await countPapers(site.database, { runs: true })).toBe(runnable.length);
    });

    test('shows an abstract cut at a word and without LaTeX where there is no summary of ours', async () => {
      const [paper] = (await feed(site.database, { days: { from: '2026-04-20', to: '2026-04-20' } })).papers;
      expect(paper).toMatchObject({ title: 'On n² monday', summary: null, authorCount: null, family: null });
      expect(paper.abstract).toMatch(/^Costs O\(n\)\. .*\S …$/);
      expect(paper.abstract?.length).toBeLessThan(430);
      const [ours] = (await feed(site.database, { family: 'spectral' })).papers;
      expect(ours.abstract).toBeNull();
    });

    test('trending begins with the latest, and a vote lifts an old paper', async () => {
      const first = async () =>
        (await feed(site.database, {}, 'trending', 0, 3)).papers.map(({ slug }) => slug);
      expect(await first()).toEqual(['may-in-zurich', 'sunday-late', 'monday']);
      await site.database.query("UPDATE papers SET hot = hot + 100 WHERE slug = 'monday'");
      expect((await first())[0]).toBe('monday');
    });
  });

  test('papers are found by number in the order asked for, and paged by number', async () => {
    const [a, b, c] = await papersBefore(site.database, null, 3);
    expect([a, b, c].map(({ slug }) => slug)).toEqual(['first-of-2021', 'last-of-2020', 'may-in-zurich']);
    expect((await papersBefore(site.database, c.number, 1))[0].slug).toBe('sunday-late');
    const cards = await cardsByNumber(site.database, [b.number, 1_000_000, a.number]);
    expect(cards.map(({ slug }) => slug)).toEqual(['last-of-2020', 'first-of-2021']);
  });
});
