import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Viewer } from '../accounts/accounts.ts';
import { person } from '../testing/people.ts';
import { openSite, type TestSite } from '../testing/site.ts';
import { allMeasurements, askToMeasure, cancelMeasurement } from './measurements.ts';
import { registerWorker } from './workers.ts';

const command = join(import.meta.dirname, '../../../../cli/bin/saccade.mjs');

let folder: string;
let site: TestSite;
let server: ReturnType<typeof serve>;
let address: string;
let ada: Viewer;
const running: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-worker-'));
  site = await openSite();
  ada = await person(site.database, 'ada', { role: 'admin' });
  server = serve({ fetch: site.app.fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise((listening) => server.once('listening', listening));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}, 120_000);
afterAll(async () => {
  for (const child of running)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  server?.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The command as a process of its own, with a key in a file of that name. */
function saccadeWorker(name: string, ...more: string[]) {
  const args = [
    'worker',
    address,
    '--key',
    join(folder, name),
    '--device',
    'wasm',
    '--machine',
    'bench',
    ...more,
  ];
  const child = spawn(process.execPath, [command, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SACCADE_COMMIT: '0123456789ab' },
  });
  running.push(child);
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes;
  });
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes;
  });
  const ended = new Promise<{ code: number | null; said: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, said })),
  );
  return { child, ended };
}

const until = async (holds: () => Promise<boolean>) => {
  for (const end = Date.now() + 90_000; !(await holds()); await new Promise((next) => setTimeout(next, 50)))
    if (Date.now() > end) throw new Error('it did not come to that within 90 s');
};
const first = async () => (await allMeasurements(site.database))[0];
const ask = (slug: string) => askToMeasure(site.database, { slugs: [slug], quick: true, actor: ada });
const rowsOf = async (
  slug: string,
): Promise<
  { id: string; verdict: string; worker: string; check: string; values: Record<string, number> }[]
> => JSON.parse((await site.get(`/api/papers/${slug}`)).text).saccade.ledger;

test('a machine shows its key, is refused until an admin has registered it, and then measures', async () => {
  const { code, said } = await saccadeWorker('one', '--show-key').ended;
  expect(code).toBe(0);
  const publicKey = said.trim();
  expect(statSync(join(folder, 'one')).mode & 0o777).toBe(0o600);
  const refused = await saccadeWorker('one', '--once').ended;
  expect(refused.code).toBe(2);
  expect(refused.said).toContain(`key is ${publicKey}`);
  expect(refused.said).toContain('an admin has registered');

  await registerWorker(site.database, { name: 'bench-one', publicKey, actor: ada });
  await ask('radial-attention');
  const measured = await saccadeWorker('one', '--once').ended;
  expect(measured).toMatchObject({ code: 0, said: expect.stringContaining('radial-attention, quick: sent') });
  expect(await first()).toMatchObject({ state: 'done', worker: 'bench-one' });
  const before = await rowsOf('radial-attention');
  expect(before.map(({ worker }) => worker)).toEqual(before.map(() => 'bench-one'));
  // The numbers of the page are those of the stored run.
  const stored = JSON.parse((await site.get('/ledger/workers/bench-one/radial-attention.json')).text).ledger;
  expect(stored).toMatchObject({ quick: true, commit: '0123456789ab', machine: { id: 'bench' } });
  expect(before.map(({ id, values }) => ({ id, values }))).toEqual(
    stored.entries.map(({ id, values }: { id: string; values: object }) => ({ id, values })),
  );

  // Measured again: what is arithmetic is the same, and what depends on the clock is of the same size.
  await ask('radial-attention');
  expect((await saccadeWorker('one', '--once').ended).code).toBe(0);
  const after = await rowsOf('radial-attention');
  expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  for (const [index, { check, values }] of before.entries())
    for (const [name, value] of Object.entries(values)) {
      const again = after[index].values[name];
      if (check === 'kernel') expect(again / value, name).toSatisfy((ratio) => ratio > 0.1 && ratio < 10);
      else expect(again, name).toBeCloseTo(value, 12);
    }
}, 180_000);

test('a machine that is killed loses what it measured to the next, and one that is stopped gives it back', async () => {
  const key = (await saccadeWorker('two', '--show-key').ended).said.trim();
  await registerWorker(site.database, { name: 'bench-two', publicKey: key, actor: ada });
  await ask('fna');
  const killed = saccadeWorker('one');
  await until(async () => (await first()).state === 'running');
  killed.child.kill('SIGKILL');
  await killed.ended;
  expect(await first()).toMatchObject({ state: 'running', worker: 'bench-one' });
  // As two minutes later.
  await site.database.query('UPDATE measurements SET leased_until = now()');

  const stopped = saccadeWorker('two');
  await until(async () => (await first()).worker === 'bench-two');
  stopped.child.kill('SIGTERM');
  expect(await stopped.ended).toMatchObject({ code: 0, said: expect.stringContaining('given back') });
  expect(await first()).toMatchObject({ state: 'queued', worker: null });

  const done = saccadeWorker('two', '--once');
  expect(await done.ended).toMatchObject({ code: 0, said: expect.stringContaining('fna, quick: sent') });
  expect(await first()).toMatchObject({ slug: 'fna', state: 'done', worker: 'bench-two', attempts: 2 });
  expect((await rowsOf('fna'))[0].worker).toBe('bench-two');
}, 240_000);

test('what is cancelled is not sent, and the machine goes on with the next', async () => {
  await ask('gna');
  const { id } = await first();
  const away = saccadeWorker('two');
  await until(async () => (await first()).state === 'running');
  await cancelMeasurement(site.database, { id, actor: ada });
  await until(async () => (await rowsOf('gna')).length === 0 && (await first()).state === 'cancelled');
  await ask('halonet');
  await until(async () =>
    (await allMeasurements(site.database)).some(({ slug, state }) => slug === 'halonet' && state === 'done'),
  );
  away.child.kill('SIGTERM');
  const { code, said } = await away.ended;
  expect(code).toBe(0);
  expect(said).toMatch(/gna, quick: (taken away|failed)/);
  expect(await rowsOf('gna')).toEqual([]);
}, 180_000);
