import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { catalogue } from '@saccade/papers';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { readBench } from './bench.ts';
import type { Database } from './database.ts';
import { createLedger, readLedger } from './ledger.ts';
import { createLimits } from './limits.ts';
import { outbox } from './mail/outbox.ts';
import { seed } from './seed.ts';
import { ledgerFile, storeLedger } from './testing/fixtures.ts';
import { openTemplate } from './testing/template.ts';

let folder: string;
let database: Database;
let app: Hono;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-site-'));
  database = await openTemplate(true);
  await storeLedger(folder, ledgerFile());
  app = createApp({
    services: {
      mailer: outbox(folder),
      database,
      ledger: createLedger(
        readLedger(folder, (message) => expect.fail(message)),
        database,
      ),
      limits: createLimits(database, 'a secret of tests'),
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
    expect((await get('/api/papers/fna')).body.saccade.commentsOnList).toBe(77);
    await database.query("UPDATE papers SET comment_count = NULL WHERE slug = 'fna'");
  });
});

describe('the ledger', () => {
  test('serves all verdicts, and the raw samples as a download', async () => {
    expect((await get('/api/ledger')).body).toHaveLength(3);
    expect((await get('/api/papers/power-attention')).body.saccade.ledger).toHaveLength(3);
    const { headers, body } = await get('/ledger/test-machine/power-attention.json');
    expect(headers.get('content-disposition')).toContain('attachment');
    expect(body.entries[0].samples.denseMs).toEqual([3, 3.1, 3.2]);
    expect(await get('/ledger/nowhere/fna.json')).toMatchObject({
      status: 404,
      body: {
        error: { argument: 'path', given: '/ledger/nowhere/fna.json', allowed: 'a file named on /ledger' },
      },
    });
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
