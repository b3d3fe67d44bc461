import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UserCache } from './user-cache.ts';

const page =
  '<!doctype html><title>cache</title><script type="module">import { userCache } from "./user-cache.js"; window.userCache = userCache;</script>';

let browser: Browser;
let server: Server;
let address: string;

beforeAll(async () => {
  const source = readFileSync(new URL('./user-cache.ts', import.meta.url), 'utf8');
  const script = stripTypeScriptTypes(source);
  server = createServer((request, response) => {
    const isScript = request.url === '/user-cache.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await chromium.launch({
    executablePath: process.env.SACCADE_CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
});
afterAll(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

test('in a browser a text is kept in IndexedDB, over a reload', async () => {
  const page = await browser.newPage();
  await page.goto(address);
  const use = (texts: string[]) =>
    page.evaluate(async (texts) => {
      const { userCache } = window as unknown as { userCache: (name: string) => UserCache };
      const cache = userCache('tiles');
      const before = await cache.read();
      for (const text of texts) await cache.write(text);
      return [cache.place, before, await cache.read()];
    }, texts);
  const place = 'IndexedDB, saccade/texts/tiles';
  expect(await use(['first', 'second'])).toEqual([place, undefined, 'second']);
  await page.reload();
  expect(await use([])).toEqual([place, 'second', 'second']);
});
