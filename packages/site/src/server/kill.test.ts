import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openEmbedded } from './database.ts';
import { openPostgres } from './postgres.ts';
import { createDatabase } from './testing/databases.ts';
import { start } from './testing/start.ts';

/** The whole table row is SACCADE_WRITES=1000; the suite writes fewer. */
const WRITES = Number(process.env.SACCADE_WRITES ?? 60);
const CLIENTS = 20;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-kill-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/**
 * Subscriptions are asked for from many clients at once; in the middle the server is killed, and started again on the
 * same data. Returns the addresses whose answer came.
 */
async function writeAndKill(data: string, settings: Record<string, string>): Promise<string[]> {
  const options = { SACCADE_PROXIES: '1', ...settings };
  let server = await start(data, join(folder, 'results'), '0', options);
  const acknowledged: string[] = [];
  let next = 0;
  const client = async () => {
    for (let n = next++; n < WRITES; n = next++) {
      const email = `reader-${n}@example.org`;
      const answer = await fetch(`${server.address}/subscribe`, {
        method: 'POST',
        body: new URLSearchParams({ email }),
        headers: { origin: server.address, 'x-forwarded-for': `10.0.${n >> 8}.${n & 255}` },
      })
        .then((response) => response.status)
        .catch(() => 0);
      if (answer === 200) acknowledged.push(email);
      else expect(answer).toBe(0);
      if (acknowledged.length === WRITES / 2) server.process.kill('SIGKILL');
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  expect(acknowledged.length).toBeGreaterThanOrEqual(WRITES / 2);
  expect(acknowledged.length).toBeLessThan(WRITES);
  server = await start(data, join(folder, 'results'), '0', options);
  expect((await fetch(`${server.address}/readyz`)).status).toBe(200);
  expect(await server.stop()).toBe(0);
  return acknowledged;
}

test('killed in the middle of writes: what was acknowledged is there after a restart; embedded', async () => {
  const data = join(folder, 'data');
  const acknowledged = await writeAndKill(data, {});
  const database = await openEmbedded(join(data, 'postgres'));
  const rows = await database.query('SELECT 1 FROM subscribers WHERE email = ANY($1)', [acknowledged]);
  expect(rows).toHaveLength(acknowledged.length);
  await database.close();
}, 240_000);

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'killed in the middle of writes: what was acknowledged is there after a restart; PostgreSQL (skipped without TEST_DATABASE_URL)',
  async () => {
    const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
    const acknowledged = await writeAndKill(join(folder, 'data'), { DATABASE_URL: url });
    const database = await openPostgres(url, () => {});
    const rows = await database.query('SELECT 1 FROM subscribers WHERE email = ANY($1)', [acknowledged]);
    expect(rows).toHaveLength(acknowledged.length);
    await database.close();
    await drop();
  },
  240_000,
);
