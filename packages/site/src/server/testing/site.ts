import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { createApp } from '../app.ts';
import { readBench } from '../bench.ts';
import type { Database } from '../database.ts';
import { createLedger, readLedger } from '../ledger.ts';
import { createLimits } from '../limits.ts';
import { outbox } from '../mail/outbox.ts';
import { preparePapers } from '../prepare.ts';
import { seed } from '../seed.ts';
import { ledgerFile, storeLedger } from './fixtures.ts';
import { openTemplate } from './template.ts';

/** The site in this process with the 41 papers; its pages are blank. */
export interface TestSite {
  database: Database;
  app: Hono;
  get(
    path: string,
    headers?: Record<string, string>,
  ): Promise<{ status: number; headers: Headers; text: string }>;
  close(): Promise<void>;
}

/** @param open makes its database: a copy of the embedded one unless it says otherwise (see databases.ts) */
export async function openSite(
  zone = 'UTC',
  open: () => Promise<Database> = () => openTemplate(true),
): Promise<TestSite> {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-site-'));
  const database = await open();
  await seed(database);
  await preparePapers(database, zone);
  await storeLedger(folder, ledgerFile());
  const stored = readLedger(folder, (message) => {
    throw new Error(message);
  });
  const ledger = createLedger(stored, database);
  const bench = readBench(folder, () => {});
  const app = createApp({
    services: {
      database,
      ledger,
      bench,
      mailer: outbox(join(folder, 'outbox')),
      limits: createLimits(database, 'a secret of tests'),
    },
    pages: async () => new Response('a page', { headers: { 'Content-Type': 'text/html' } }),
    client: folder,
    labAssets: join(import.meta.dirname, '../../../../papers/assets'),
  });
  return {
    database,
    app,
    async get(path, headers = {}) {
      const response = await app.request(path, { headers });
      return { status: response.status, headers: response.headers, text: await response.text() };
    },
    async close() {
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
