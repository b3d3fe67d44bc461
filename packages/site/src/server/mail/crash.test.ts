import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openEmbedded } from '../database.ts';
import { openPostgres } from '../postgres.ts';
import { createDatabase } from '../testing/databases.ts';
import { mailServer } from '../testing/mail-server.ts';
import { copyTemplate } from '../testing/template.ts';
import { planDigests } from './digests.ts';

/** SACCADE_SUBSCRIBERS=1000 is the run of the acceptance table; the suite takes fewer. */
const SUBSCRIBERS = Number(process.env.SACCADE_SUBSCRIBERS ?? 20);
const LEASE_SECONDS = 0.3;
/** After which part of the mails, and at which step of the next one, the process is killed. */
const kills = [
  { after: SUBSCRIBERS * 0.2, step: 'recipient' },
  { after: SUBSCRIBERS * 0.5, step: 'end' },
  { after: SUBSCRIBERS * 0.8, step: 'recipient' },
] as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-crash-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function killedThreeTimes(place: string, open: () => Promise<Database>): Promise<void> {
  let database = await open();
  await database.query(
    `INSERT INTO papers (slug, title, listed_on, links, family, summary) VALUES ('a', 'A', '2026-03-03', '[]', 'local', 'Does it.')`,
  );
  await database.query(
    `INSERT INTO subscribers (email, state, consent, source, token, confirmed_at)
     SELECT 'reader-' || n || '@example.org', 'active', 'test', 'page', 'token-' || n, '2026-01-01' FROM generate_series(1, $1::int) n`,
    [SUBSCRIBERS],
  );
  expect(await planDigests(database, 'UTC', new Date('2026-03-04T09:00Z'))).toBe(SUBSCRIBERS);
  await database.close();

  let sender: ChildProcess;
  let killed = 0;
  const server = await mailServer({
    at: (step) => {
      const next = kills[killed];
      if (!next || step !== next.step || server.mails.length < next.after) return;
      killed++;
      sender.kill('SIGKILL');
    },
  });
  const run = () => {
    sender = spawn(
      process.execPath,
      [join(import.meta.dirname, '../testing/send-digests.ts'), place, server.url, String(LEASE_SECONDS)],
      {
        stdio: 'inherit',
      },
    );
    return new Promise<number | null>((resolve) => sender.once('exit', resolve));
  };
  for (let n = 0; n < kills.length; n++) {
    expect(await run()).toBeNull();
    // A claim of a process that was killed has to run out.
    await new Promise((resolve) => setTimeout(resolve, 1000 * LEASE_SECONDS + 200));
  }
  expect(await run()).toBe(0);
  await server.close();
  expect(killed).toBe(3);

  const got = server.mails.map(({ to }) => to).sort();
  const all = Array.from({ length: SUBSCRIBERS }, (_, n) => `reader-${n + 1}@example.org`).sort();
  expect(got).toEqual(all);
  database = await open();
  const states = await database.query('SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state');
  // The mail whose answer nobody heard stays as it was handed over.
  expect(states).toEqual([
    { state: 'handed', count: 1 },
    { state: 'sent', count: SUBSCRIBERS - 1 },
  ]);
  await database.close();
}

test('killed three times, each subscriber gets exactly one digest; embedded', async () => {
  const place = join(folder, 'postgres');
  await copyTemplate(place, false);
  await killedThreeTimes(place, () => openEmbedded(place));
}, 900_000);

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'killed three times, each subscriber gets exactly one digest; PostgreSQL (skipped without TEST_DATABASE_URL)',
  async () => {
    const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
    await killedThreeTimes(url, () => openPostgres(url, () => {}));
    await drop();
  },
  900_000,
);
