import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { catalogue, papers } from '@saccade/papers';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { readBench } from './bench.ts';
import { type Database, openEmbedded } from './database.ts';
import { readLedger } from './ledger.ts';
import { seed } from './seed.ts';
import { ledgerFile, storeLedger } from './testing/fixtures.ts';

let folder: string;
let database: Database;
let app: Hono;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-site-'));
  database = await openEmbedded();
  await seed(database);
  await storeLedger(folder, ledgerFile());
  app = createApp({
    services: {
      database,
      ledger: readLedger(folder, (message) => expect.fail(message)),
      bench: readBench(join(folder, 'bench'), (message) => expect.fail(message)),
    },
    pages: async () => new Response('a page', { headers: { 'Content-Type': 'text/html' } }),
    client: folder,
    labAssets: join(import.meta.dirname, '../../../papers/assets'),
  });
}, 120_000);
afterAll(async () => {
  await database?.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = async (path: string) => {
  const response = await app.request(path);
  return { status: response.status, headers: response.headers, body: await response.json() };
};

describe('the catalogue', () => {
  test('is seeded once: what has been changed since stays', async () => {
    await database.query("UPDATE papers SET comment_count = 77 WHERE slug = 'fna'");
    expect(await seed(database)).toBe(0);
    const [{ count }] = await database.query<{ count: number }>('SELECT count(*)::int AS count FROM papers');
    expect(count).toBe(catalogue.length);
    expect((await get('/api/papers/fna')).body.commentCount).toBe(77);
    await database.query("UPDATE papers SET comment_count = NULL WHERE slug = 'fna'");
  });
});

describe('the API', () => {
  test('lists the papers newest first, those without a date last', async () => {
    const { body } = await get('/api/papers');
    expect(body).toHaveLength(41);
    const dates: (string | null)[] = body.map((paper: { listedOn: string | null }) => paper.listedOn);
    expect(dates.slice(-3)).toEqual([null, null, null]);
    const known = dates.filter((date) => date !== null);
    expect(known).toEqual([...known].sort().reverse());
  });

  test('tells facts as the catalogue has them, unknown ones as null', async () => {
    for (const paper of [catalogue[0], catalogue.find(({ listedOn }) => listedOn === null)!]) {
      expect((await get(`/api/papers/${paper.slug}`)).body).toMatchObject(paper);
    }
  });

  test('runs is true for the papers that have a mechanism, and only for them', async () => {
    const { body } = await get('/api/papers?runs=1');
    expect(body.map(({ slug }: { slug: string }) => slug).sort()).toEqual(
      papers.map(({ slug }) => slug).sort(),
    );
  });

  test.each([
    ['q=neighborhood', ['gna', 'fna']],
    ['q=THREADBLOCK%20neighborhood', ['fna']],
    ['q=2103.12731', ['halonet']],
    ['q=100%25', []],
    ['q=_', []],
    ["q='%3B%20DROP%20TABLE%20papers%3B--", []],
    ['family=spectral', ['aff', 'kernelized-rpe']],
    ['family=spectral&q=toeplitz', ['kernelized-rpe']],
    ['family=unheard-of', []],
  ])('%s finds %j', async (query, slugs) => {
    const { body } = await get(`/api/papers?${query}`);
    expect(body.map(({ slug }: { slug: string }) => slug)).toEqual(slugs);
  });

  test.each([
    ['/api/papers?runs=yes', 400, { argument: 'runs', given: 'yes', allowed: 'absent or 1' }],
    [
      `/api/papers?q=${'a'.repeat(201)}`,
      400,
      { argument: 'q', given: 'a'.repeat(201), allowed: 'at most 200 characters' },
    ],
    [
      '/api/papers/No%20Slug',
      400,
      { argument: 'slug', given: 'No Slug', allowed: 'lower-case words joined by -' },
    ],
    [
      '/api/papers/unheard-of',
      404,
      { argument: 'slug', given: 'unheard-of', allowed: 'a paper of GET /api/papers' },
    ],
    [
      '/api/nothing',
      404,
      { argument: 'path', given: '/api/nothing', allowed: 'GET /api/papers, /api/papers/:slug, /api/ledger' },
    ],
    [
      '/ledger/nowhere/fna.json',
      404,
      { argument: 'path', given: '/ledger/nowhere/fna.json', allowed: 'a file named on /ledger' },
    ],
  ])('%s is refused with %i', async (path, status, error) => {
    expect(await get(path)).toMatchObject({ status, body: { error } });
  });

  test('serves the ledger, and the raw samples as a download', async () => {
    expect((await get('/api/ledger')).body).toHaveLength(3);
    expect((await get('/api/papers/power-attention')).body.verdicts).toHaveLength(3);
    const { headers, body } = await get('/ledger/test-machine/power-attention.json');
    expect(headers.get('content-disposition')).toContain('attachment');
    expect(body.entries[0].samples.denseMs).toEqual([3, 3.1, 3.2]);
  });
});

describe('headers', () => {
  test.each(['/', '/api/papers', '/api/nothing', '/assets-lab/boats.jpg', '/healthz', '/ledger/no/no.json'])(
    '%s is isolated, and may load from here only',
    async (path) => {
      const { headers } = await app.request(path);
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(headers.get('cross-origin-embedder-policy')).toBe('require-corp');
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("script-src 'self' 'wasm-unsafe-eval'");
      expect(headers.get('content-security-policy')).not.toContain('unsafe-eval;');
    },
  );

  test('a path that leaves the folder of lab files is not served', async () => {
    const response = await app.request('/assets-lab/..%2fpackage.json');
    expect(await response.text()).not.toContain('@saccade/papers');
  });
});
