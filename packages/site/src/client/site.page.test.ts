import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labs } from '@saccade/papers/labs';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FEED_LIMIT_BYTES, feedScriptBytes } from '../../feed-size.ts';
import { createDatabase } from '../server/testing/databases.ts';
import { benchFile, ledgerFile, storeBench, storeLedger } from '../server/testing/fixtures.ts';
import { type Started, start } from '../server/testing/start.ts';
import { hydrated, launch, violations } from './testing/browser.ts';

const artifacts = join(import.meta.dirname, '../../../../test-artifacts');
let folder: string;
let data: string;
let results: string;
let site: Started;
let browser: Browser;

beforeAll(async () => {
  mkdirSync(artifacts, { recursive: true });
  folder = mkdtempSync(join(tmpdir(), 'saccade-pages-'));
  data = join(folder, 'data');
  results = join(folder, 'results');
  await storeLedger(results, ledgerFile());
  await storeBench(results, benchFile());
  site = await start(data, results);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Opens a path in a fresh context; the page's console errors and failed requests are in `complaints`. */
async function open(path: string, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ viewport: { width: 1024, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`);
  });
  const response = await page.goto(site.address + path);
  if (options.javaScriptEnabled !== false) await hydrated(page);
  return { page, complaints, status: response?.status(), close: () => context.close() };
}

const pages = [
  ['feed', '/'],
  ['search', '/?q=window&family=local'],
  ['paper', '/papers/power-attention'],
  ['paper-without-lab', '/papers/hisa'],
  ['ledger', '/ledger'],
  ['speed', '/speed'],
  ['about', '/about'],
] as const;

describe.each(pages)('%s', (name, path) => {
  test.each([
    [320, 'light'],
    [1440, 'dark'],
  ] as const)(
    'at %i px, %s: no sideways scrolling, no violation, no complaint',
    async (width, colorScheme) => {
      const { page, complaints, status, close } = await open(path, {
        viewport: { width, height: 900 },
        colorScheme,
      });
      expect(status).toBe(200);
      if (path === '/papers/power-attention') {
        await page.locator('[data-lab-state]').waitFor();
        // Its own test sees each lab through; here once, within the site.
        if (width === 1440) await page.locator('[data-lab-state="done"]').waitFor({ timeout: 100_000 });
      }
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      expect(await violations(page)).toEqual([]);
      await page.screenshot({
        path: join(artifacts, `site-${name}-${width}-${colorScheme}.png`),
        fullPage: true,
      });
      expect(complaints).toEqual([]);
      await close();
    },
  );
});

describe('the feed', () => {
  test('has a card a paper, with facts known and unknown', async () => {
    const { page, close } = await open('/');
    expect(await page.locator('.card').count()).toBe(41);
    const hisa = page.locator('.card', { hasText: 'HISA' });
    expect(await hisa.textContent()).toContain('authors unknown');
    expect(await hisa.textContent()).toContain('date unknown');
    const power = page.locator('.card', { has: page.locator('a[href="/papers/power-attention"]') });
    const text = await power.textContent();
    for (const words of ['11 authors', '5 March 2025', 'runs', '1 holds', '1 does not hold'])
      expect(text).toContain(words);
    await close();
  });

  test('is searched, and filtered, and says when nothing matches', async () => {
    const { page, close } = await open('/');
    await page.getByLabel('Search', { exact: true }).fill('routing transformers');
    await page.keyboard.press('Enter');
    await page.waitForURL(/q=routing/);
    await page.waitForFunction(() => document.querySelectorAll('.card').length === 1);
    await page.getByText('show all').click();
    await page.waitForFunction(() => document.querySelectorAll('.card').length === 41);
    expect(await page.getByLabel('Search', { exact: true }).inputValue()).toBe('');
    await page.goto(`${site.address}/?q=zzzz`);
    expect(await page.locator('main').textContent()).toContain('Nothing matches');
    await close();
  });

  test('works by keyboard: / searches, j and k move, ? shows the keys, the first Tab skips', async () => {
    const { page, close } = await open('/');
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the page');
    const titles = await page.locator('.card h2 a').allInnerTexts();
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    await page.keyboard.press('j');
    expect(await focused()).toBe(titles[0]);
    await page.keyboard.press('j');
    expect(await focused()).toBe(titles[1]);
    await page.keyboard.press('k');
    expect(await focused()).toBe(titles[0]);
    await page.keyboard.press('?');
    expect(await page.getByRole('dialog').isVisible()).toBe(true);
    await page.keyboard.press('Escape');
    expect(await page.getByRole('dialog').isVisible()).toBe(false);
    await page.keyboard.press('/');
    await page.keyboard.type('j?k');
    expect(await page.locator('#search').inputValue()).toBe('j?k');
    await close();
  });

  test(`loads less than ${FEED_LIMIT_BYTES / 1000} kB of scripts`, async () => {
    const counted = feedScriptBytes(join(import.meta.dirname, '../../build/client'));
    expect(counted).toBeLessThan(FEED_LIMIT_BYTES);
    const { page, close } = await open('/');
    await page.waitForLoadState('networkidle');
    const sizes = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .filter(({ name }) => name.endsWith('.js'))
        .map((entry) => (entry as PerformanceResourceTiming).encodedBodySize),
    );
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(FEED_LIMIT_BYTES);
    await close();
  });
});

describe('without JavaScript', () => {
  const javaScriptEnabled = false;
  test('the feed, its search, a paper and the ledger can be read', async () => {
    const { page, close } = await open('/', { javaScriptEnabled });
    expect(await page.locator('.card').count()).toBe(41);
    await page.locator('#search').fill('halo');
    await page.getByRole('button', { name: 'Search' }).click();
    expect(page.url()).toContain('q=halo');
    expect(await page.locator('.card').count()).toBe(1);
    await page.locator('.card h2 a').click();
    expect(await page.locator('h1').textContent()).toContain('Scaling Local Self-Attention');
    await page.goto(`${site.address}/ledger`);
    expect(await page.locator('table').textContent()).toContain('three times faster than dense');
    await close();
  });
});

describe('a paper', () => {
  test('shows reported beside measured, and the raw samples', async () => {
    const { page, close } = await open('/papers/power-attention');
    const row = page.locator('table').first().locator('tbody tr').first();
    for (const words of [
      'three times faster than dense',
      'holds',
      '3.1',
      'Test adapter',
      '25 November 2026',
      '0123456789',
    ])
      expect(await row.textContent()).toContain(words);
    const download = page.waitForEvent('download');
    await row.getByText('raw samples').click();
    expect((await download).suggestedFilename()).toBe('test-machine-power-attention.json');
    await close();
  });

  test('is reached from the feed without loading a page anew', async () => {
    const { page, complaints, close } = await open('/');
    await page.evaluate(() => Object.assign(window, { same: true }));
    await page.locator('.card a[href="/papers/radial-attention"]').click();
    await page.locator('[data-lab-state]').waitFor();
    expect(await page.evaluate(() => 'same' in window)).toBe(true);
    expect(complaints).toEqual([]);
    await close();
  });

  test('pages are isolated, so that WASM may use threads', async () => {
    const { page, close } = await open('/papers/power-attention');
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await close();
  });

  test.each(Object.keys(labs))('%s: a lab whose code cannot be loaded says so in words', async (slug) => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.route(/assets\/lab-[^/]*\.js$/, (route) => route.abort());
    await page.goto(`${site.address}/papers/${slug}`);
    await page.getByText(/The lab stopped/).waitFor();
    expect(await page.getByText('In code').isVisible()).toBe(true);
    await context.close();
  });
});

describe('speed', () => {
  test('shows every library of a case beside ours, and the raw samples, without JavaScript too', async () => {
    const { page, close } = await open('/speed', { javaScriptEnabled: false });
    const text = await page.locator('figure').innerText();
    for (const words of [
      'Dense',
      '1 x 16 x 4096 x 128, f32',
      'Saccade, WebGPU, portable',
      '6.00 ms',
      '22.9 TFLOP/s',
      'onnxruntime, WebGPU',
      '2.5 times our time',
      '25 November 2026',
    ])
      expect(text).toContain(words);
    const bars = await page
      .locator('.bar')
      .evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().width));
    expect(bars[0] / bars[1]).toBeCloseTo(0.4, 2);
    await close();
    const response = await fetch(`${site.address}/speed/2026-11-25-test-machine.json`);
    expect(response.headers.get('content-disposition')).toContain('2026-11-25-test-machine.json');
    expect(await response.json()).toEqual(benchFile());
    expect((await fetch(`${site.address}/speed/unheard-of.json`)).status).toBe(404);
  });
});

describe('what cannot be shown', () => {
  test.each([
    ['/papers/unheard-of', 404, 'There is no paper unheard-of.'],
    ['/nowhere', 404, 'Nothing is at /nowhere.'],
    ['/?runs=7', 400, 'runs is 7; allowed: absent or 1.'],
    [`/?q=${'a'.repeat(201)}`, 400, 'allowed: at most 200 characters'],
  ])('%s answers %i in words', async (path, status, words) => {
    const { page, status: answered, close } = await open(path);
    expect(answered).toBe(status);
    expect(await page.locator('main').textContent()).toContain(words);
    expect(await violations(page)).toEqual([]);
    await close();
  });
});

describe('the process', () => {
  test('a second server on the same data is refused with the first one named', async () => {
    await expect(start(data, results)).rejects.toThrow(
      `exit code 1: saccade: the data directory ${data} is in use by process ${site.process.pid}, which serves ${site.address}`,
    );
  });

  test('a second start keeps the data and answers within 5 s, also after a crash', async () => {
    const own = join(folder, 'own');
    const first = await start(own, results);
    await first.stop('SIGKILL');
    const second = await start(own, results);
    const response = await fetch(`${second.address}/api/papers`);
    expect(((await response.json()) as unknown[]).length).toBe(41);
    expect(second.readyMs).toBeLessThan(5000);
    expect(await second.stop()).toBe(0);
  });

  test.skipIf(!process.env.TEST_DATABASE_URL)(
    'two servers start at once on one PostgreSQL, and need no directory of their own (skipped without TEST_DATABASE_URL)',
    async () => {
      const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
      const own = join(folder, 'shared');
      const both = await Promise.all([1, 2].map(() => start(own, results, '0', { DATABASE_URL: url })));
      for (const { address } of both) {
        const response = await fetch(`${address}/api/papers`);
        expect(((await response.json()) as unknown[]).length).toBe(41);
      }
      expect(await Promise.all(both.map((server) => server.stop()))).toEqual([0, 0]);
      await drop();
    },
  );

  test('a port that is taken is named', async () => {
    const { port } = new URL(site.address);
    await expect(start(join(folder, 'third'), results, port)).rejects.toThrow(
      /exit code 1: .*EADDRINUSE.*set PORT/s,
    );
  });
});
