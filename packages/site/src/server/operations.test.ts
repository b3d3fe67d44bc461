import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLog } from './log.ts';
import { routeOf } from './metrics.ts';
import { createDatabase } from './testing/databases.ts';
import { type Started, start } from './testing/start.ts';

let folder: string;
let site: Started;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-operations-'));
  site = await start(join(folder, 'data'), join(folder, 'results'), '0', { SACCADE_LOG: 'info' });
}, 120_000);
afterAll(async () => {
  await site?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('a server says that it lives and that it is ready', async () => {
  for (const path of ['/healthz', '/readyz']) {
    const answer = await fetch(site.address + path);
    expect([answer.status, await answer.json()]).toEqual([200, { ok: true }]);
  }
});

test('metrics count answers by route, for programs on this machine', async () => {
  await fetch(`${site.address}/unsubscribe/a-token-that-nobody-may-see?x=1`);
  const answer = await fetch(`${site.address}/metrics`);
  expect(answer.headers.get('content-type')).toContain('text/plain');
  const text = await answer.text();
  expect(text).toMatch(/saccade_request_seconds_count\{method="GET",route="\/unsubscribe",status="200"\} 1/);
  expect(text).toContain('saccade_rows{table="papers"} 41');
  expect(text).toContain('process_resident_memory_bytes');
  expect(text).not.toContain('a-token');
  const proxied = await fetch(`${site.address}/metrics`, { headers: { 'x-forwarded-for': '192.0.2.1' } });
  expect(proxied.status).toBe(404);
});

test('the log names no token, address or question', async () => {
  await fetch(`${site.address}/subscribe`, {
    method: 'POST',
    body: new URLSearchParams({ email: 'ada@example.org' }),
    headers: { origin: site.address },
  });
  await fetch(`${site.address}/?q=secret-question`);
  const lines = site
    .said()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  expect(lines).toContainEqual(
    expect.objectContaining({ level: 'info', method: 'POST', route: '/subscribe', status: 200 }),
  );
  expect(site.said()).not.toMatch(/ada@|a-token|secret-question|127\.0\.0\.1"/);
});

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'a database that is away is told in pages, metrics and lines of the log (skipped without TEST_DATABASE_URL)',
  async () => {
    const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
    const own = await start(join(folder, 'other'), join(folder, 'results'), '0', { DATABASE_URL: url });
    try {
      await drop();
      const page = await fetch(`${own.address}/unsubscribe/a-token-that-nobody-may-see`);
      expect(page.status).toBe(500);
      expect(await page.text()).toContain('Something went wrong');
      expect((await fetch(`${own.address}/readyz`)).status).toBe(503);
      const metrics = await (await fetch(`${own.address}/metrics`)).text();
      expect(metrics).toContain('process_resident_memory_bytes');
      expect(metrics).not.toContain('saccade_rows{');
      const lines = own
        .said()
        .split('\n')
        .filter((line) => line !== '' && !/^(Added|Saccade)/.test(line))
        .map((line) => JSON.parse(line));
      expect(lines).toContainEqual(
        expect.objectContaining({ level: 'error', msg: 'page failed', route: '/unsubscribe' }),
      );
      expect(own.said()).not.toContain('a-token');
    } finally {
      await own.stop();
    }
  },
  60_000,
);

test('an error is logged without what it says of people', () => {
  let line = '';
  const log = createLog('warn', {
    write: (text) => {
      line += text;
    },
  });
  const error = Object.assign(new Error('no mail to ada@example.org'), {
    detail: 'Key (email)=(bob@example.org)',
  });
  log.error({ err: error }, `token ${'x'.repeat(40)}`);
  expect(JSON.parse(line)).toMatchObject({
    level: 'error',
    msg: 'token [token]',
    err: { message: 'no mail to [address]' },
  });
  expect(line).not.toMatch(/ada@|bob@|xxxx/);
});

test.each([
  ['/', '/'],
  ['/papers/fna', '/papers'],
  ['/subscribe.data', '/subscribe'],
  ['/_root.data', '/'],
  ['/wp-login.php', '/…'],
])('%s is counted as %s', (path, route) => {
  expect(routeOf(path)).toBe(route);
});
