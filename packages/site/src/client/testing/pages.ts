import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { type Started, start } from '../../server/testing/start.ts';
import { launch } from './browser.ts';

/** Where screenshots are kept. */
export const artifacts = join(import.meta.dirname, '../../../../../test-artifacts');

/** What a file of page tests runs on: the site with a database of its own, and a browser. There from beforeAll to afterAll. */
export interface TestedSite {
  readonly site: Started;
  readonly browser: Browser;
  /** A temporary folder, with `data` and `results` in it. */
  readonly folder: string;
  /** The site's data directory. */
  readonly data: string;
  readonly results: string;
  /** A page of its own; its console errors and warnings are in `complaints`. */
  fresh(options?: BrowserContextOptions): Promise<Awaited<ReturnType<typeof freshPage>>>;
  /** The link in the latest mail of the outbox. */
  mailedLink(): string;
}

/** @param prepare fills the folder of results before the site starts */
export function testedSite(prepare?: (results: string) => Promise<void>): TestedSite {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-pages-'));
  const [data, results] = [join(folder, 'data'), join(folder, 'results')];
  let site: Started | undefined;
  let browser: Browser | undefined;
  beforeAll(async () => {
    mkdirSync(artifacts, { recursive: true });
    await prepare?.(results);
    site = await start(data, results);
    browser = await launch();
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const there = <T>(thing: T | undefined): T => {
    if (!thing) throw new Error('the site is there from beforeAll on');
    return thing;
  };
  return {
    folder,
    data,
    results,
    get site() {
      return there(site);
    },
    get browser() {
      return there(browser);
    },
    fresh: (options = {}) => freshPage(there(browser), options),
    mailedLink() {
      const box = join(data, 'outbox');
      const latest = readdirSync(box)
        .filter((name) => name.endsWith('.json'))
        .sort()
        .at(-1);
      if (!latest) throw new Error('the outbox is empty');
      const link = /http\S+/.exec(JSON.parse(readFileSync(join(box, latest), 'utf8')).text);
      if (!link) throw new Error(`${latest} has no link`);
      return link[0];
    },
  };
}

async function freshPage(browser: Browser, options: BrowserContextOptions) {
  const context = await browser.newContext({ viewport: { width: 1024, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { context, page, complaints };
}
