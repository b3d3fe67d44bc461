import { join } from 'node:path';
import { catalogue } from '@saccade/papers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { onEachEngine } from '../testing/databases.ts';
import { nasty } from '../testing/nasty.ts';
import { openSite, type TestSite } from '../testing/site.ts';
import { dailyItemSchema, paperDetailSchema } from './schemas.ts';

onEachEngine('the API', (open) => {
  let site: TestSite;
  beforeAll(async () => {
    site = await openSite('UTC', open);
  }, 120_000);
  afterAll(() => site?.close());

  async function get(path: string) {
    const { status, headers, text } = await site.get(path);
    return { status, headers, body: JSON.parse(text) };
  }
  const ids = (body: { paper: { id: string } }[]) => body.map(({ paper }) => paper.id);

  describe('the shapes', () => {
    test.each([
      ['daily', '/api/daily_papers?date=2025-03-05'],
      ['paper', '/api/papers/2503.03588'],
      ['paper-undated', '/api/papers/hisa'],
      ['search', '/api/papers/search?q=toeplitz&limit=1'],
    ])('%s is as its golden file', async (name, path) => {
      const { status, body } = await get(path);
      expect(status).toBe(200);
      // a day on which it was run must not be in the file
      await expect(`${JSON.stringify(body, null, 2)}\n`).toMatchFileSnapshot(
        join(import.meta.dirname, `golden/${name}.json`),
      );
    });

    test('every answer is what the description says', async () => {
      for (const path of [
        '/api/daily_papers?limit=100',
        '/api/papers?limit=100',
        '/api/papers/search?q=attention',
      ]) {
        const { body } = await get(path);
        expect(body.length).toBeGreaterThan(10);
        for (const item of body) dailyItemSchema.strict().parse(item);
      }
      for (const { slug } of catalogue)
        paperDetailSchema.strict().parse((await get(`/api/papers/${slug}`)).body);
    });

    test('unknown facts are left out, and said to be unknown under our key', async () => {
      const { body } = await get('/api/papers/2603.28458');
      expect(body).not.toHaveProperty('publishedAt');
      expect(body).not.toHaveProperty('submittedOnDailyAt');
      expect(body.saccade).toMatchObject({ slug: 'hisa', authorCount: null, listedOn: null });
    });
  });

  describe('feeds by day, week and month', () => {
    test.each([
      ['date=2025-03-05', ['2503.03588']],
      ['week=2025-W10', ['2503.03588', '2503.07635']],
      ['month=2025-04', ['2504.17768', '2504.16922']],
      ['date=2025-03-06', []],
      ['submitter=nobody', []],
      ['p=900', []],
      ['week=2025-W10&limit=1&p=1', ['2503.07635']],
    ])('%s has %j', async (query, wanted) => {
      const { status, body } = await get(`/api/daily_papers?${query}`);
      expect(status).toBe(200);
      expect(ids(body)).toEqual(wanted);
    });

    test('without a day they go through all papers, newest or hottest first', async () => {
      const { body } = await get('/api/daily_papers?limit=100');
      expect(body).toHaveLength(41);
      expect(ids((await get('/api/daily_papers?sort=trending')).body)[0]).toBe(ids(body)[0]);
      const pages = [0, 1, 2].map((p) => get(`/api/daily_papers?limit=20&p=${p}`));
      expect((await Promise.all(pages)).flatMap((page) => ids(page.body))).toEqual(ids(body));
    });

    test('the list goes on by cursor to its end', async () => {
      const seen: string[] = [];
      let path: string | undefined = '/api/papers?limit=15';
      while (path) {
        const { headers, body } = await get(path);
        seen.push(...ids(body));
        path = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
      }
      expect(new Set(seen).size).toBe(41);
    });

    test('an arXiv id or address as a question finds that paper', async () => {
      for (const q of ['2403.04690', 'https://arxiv.org/pdf/2403.04690v2'])
        expect(ids((await get(`/api/papers/search?q=${encodeURIComponent(q)}`)).body)).toEqual([
          '2403.04690',
        ]);
    });
  });

  describe('what cannot be answered', () => {
    test.each([
      ['/api/daily_papers?date=2025-02-30', 400, 'date', '2025-02-30', 'a day as YYYY-MM-DD'],
      ['/api/daily_papers?date=', 400, 'date', '', 'a day as YYYY-MM-DD'],
      ['/api/daily_papers?week=2021-W53', 400, 'week', '2021-W53', 'an ISO week of that year as YYYY-Www'],
      ['/api/daily_papers?month=2025-13', 400, 'month', '2025-13', 'a month as YYYY-MM'],
      ['/api/daily_papers?sort=best', 400, 'sort', 'best', 'publishedAt, trending'],
      ['/api/daily_papers?limit=101', 400, 'limit', '101', 'at most 100'],
      ['/api/daily_papers?limit=0', 400, 'limit', '0', 'at least 1'],
      ['/api/daily_papers?p=-1', 400, 'p', '-1', 'at least 0'],
      [
        '/api/daily_papers?date=2025-03-05&month=2025-03',
        400,
        'date',
        '2025-03-05',
        'one of date, week and month',
      ],
      ['/api/papers/search', 400, 'q', null, ''],
      ['/api/papers/search?q=%00', 400, 'q', '\u0000', 'no control characters'],
      [`/api/papers/search?q=${'a'.repeat(251)}`, 400, 'q', 'a'.repeat(251), 'at most 250 characters'],
      ['/api/papers?cursor=x', 400, 'cursor', 'x', 'the cursor of a Link header'],
      ['/api/papers/No%20Slug', 400, 'id', 'No Slug', 'an arXiv id, or lower-case words joined by -'],
      ['/api/papers/unheard-of', 404, 'id', 'unheard-of', 'a paper of GET /api/papers'],
      ['/api/papers/2401.00001', 404, 'id', '2401.00001', 'a paper of GET /api/papers'],
      ['/api/nothing', 404, 'path', '/api/nothing', 'GET /api/daily_papers'],
    ])('%s is refused with %i', async (path, status, argument, given, allowed) => {
      const answer = await get(path);
      expect(answer.status).toBe(status);
      expect(answer.body.error).toMatchObject({ argument, given });
      expect(answer.body.error.allowed).toContain(allowed);
    });

    test('no input makes the server fail', async () => {
      const { body } = await get('/api/openapi.json');
      const encode = (text: string) => encodeURIComponent(text.toWellFormed());
      for (const [path, { get: operation }] of Object.entries(
        body.paths as Record<string, { get: { parameters?: { name: string; in: string }[] } }>,
      )) {
        for (const { name, in: place } of operation.parameters ?? []) {
          for (const value of nasty) {
            const address =
              place === 'path'
                ? `/api${path.replace(`{${name}}`, encode(value))}`
                : `/api${path.replace(/\{.*\}/, 'fna')}?${name}=${encode(value)}`;
            expect((await site.get(address)).status, address).toBeLessThan(500);
          }
        }
        // Several at once, some of them right, each order of values once.
        const names = (operation.parameters ?? []).filter(({ in: place }) => place === 'query');
        const values = [...nasty, '1', '2025-03-05', '2025-W10', 'attention'];
        for (let n = 0; n < values.length; n++) {
          const query = names.map(
            ({ name }, at) => `${name}=${encode(values[(n + 7 * at) % values.length])}`,
          );
          const address = `/api${path.replace(/\{.*\}/, 'fna')}?${query.join('&')}`;
          expect((await site.get(address)).status, address).toBeLessThan(500);
        }
      }
      for (const broken of [
        '/api/papers/%',
        '/api/papers/%ff',
        '/api/papers/search?q=%ff',
        '/feeds/family/%ff.atom',
        '/papers/%ff.bib',
      ])
        expect((await site.get(broken)).status, broken).toBeLessThan(500);
    });
  });

  test('the description is OpenAPI 3.1, and names every path', async () => {
    const { body } = await get('/api/openapi.json');
    expect(body.openapi).toBe('3.1.0');
    expect(Object.keys(body.paths)).toEqual([
      '/daily_papers',
      '/papers/search',
      '/papers',
      '/papers/{id}',
      '/ledger',
    ]);
    const names = body.paths['/daily_papers'].get.parameters.map(({ name }: { name: string }) => name);
    expect(names).toEqual(['date', 'week', 'month', 'submitter', 'sort', 'p', 'limit']);
    expect(body.components.schemas.Paper.required).toContain('saccade');
  });
});
