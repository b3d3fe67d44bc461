import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Viewer } from '../accounts/accounts.ts';
import type { Database } from '../database.ts';
import { openPostgres } from '../postgres.ts';
import { createDatabase, onEachEngine } from '../testing/databases.ts';
import { person } from '../testing/people.ts';
import { addPlan, allPlans, changePlan, requestOf, runPlans } from './plans.ts';
import { SourceError } from './record.ts';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');
const plan = { intent: 'plan', source: 'arxiv-rss', what: '', hour: 6 } as const;

onEachEngine('planned imports', (open) => {
  let database: Database;
  let ada: Viewer;
  let asked: string[];
  let answer: () => string;
  beforeAll(async () => {
    database = await open();
    ada = await person(database, 'ada', { role: 'admin' });
  }, 120_000);
  afterAll(() => database?.close());
  beforeEach(async () => {
    asked = [];
    answer = () => fixture('rss.xml');
    await database.query('DELETE FROM import_plans');
    await database.query('DELETE FROM papers');
  });
  const add = (over: Partial<Parameters<typeof requestOf>[0]> = {}) => {
    const given = { ...plan, ...over };
    return addPlan(database, { request: requestOf(given), hour: given.hour, actor: ada });
  };
  const at = (instant: string, over: Partial<Parameters<typeof runPlans>[0]> = {}) =>
    runPlans({
      database,
      zone: 'Europe/Zurich',
      signal: new AbortController().signal,
      now: () => new Date(instant),
      fetchText: async (url) => {
        asked.push(url);
        return answer();
      },
      ...over,
    });

  test('runs once a day from its hour on, in the zone of the editions, also when the hour was missed', async () => {
    await add({ what: 'cs.LG, cs.CV' });
    expect(await at('2026-11-25T04:59:00Z')).toBe(0);
    expect(await at('2026-11-25T05:00:00Z')).toBe(1);
    expect(await at('2026-11-25T05:05:00Z')).toBe(0);
    expect(await at('2026-11-25T22:59:00Z')).toBe(0);
    // Midnight in Zurich has passed, six o'clock there has not.
    expect(await at('2026-11-25T23:30:00Z')).toBe(0);
    expect(await at('2026-11-26T17:00:00Z')).toBe(1);
    expect(asked).toEqual(Array(2).fill('https://rss.arxiv.org/rss/cs.LG+cs.CV'));
    const [{ report, failure, running, endedAt }] = await allPlans(database);
    expect(report).toMatchObject({ added: 0, changed: 0 });
    expect(report?.read).toBeGreaterThan(0);
    expect({ failure, running, endedAt }).toEqual({
      failure: null,
      running: false,
      endedAt: new Date('2026-11-26T17:00:00Z'),
    });
    expect((await database.query('SELECT 1 FROM papers')).length).toBeGreaterThan(0);
  });

  test('a source that is away is asked again later, and given up for the day in the end', async () => {
    await add();
    answer = () => {
      throw new SourceError('rss.arxiv.org answered 500');
    };
    expect(await at('2026-11-25T06:00:00Z')).toBe(1);
    expect((await allPlans(database))[0]).toMatchObject({
      attempts: 1,
      failure: 'rss.arxiv.org answered 500',
    });
    expect(await at('2026-11-25T06:09:00Z')).toBe(0);
    for (const minutes of [10, 30, 70, 150]) {
      const when = new Date(Date.parse('2026-11-25T06:00:00Z') + minutes * 60_000).toISOString();
      expect(await at(when), `${minutes}`).toBe(1);
    }
    expect(await at('2026-11-25T22:00:00Z')).toBe(0);
    expect(asked).toHaveLength(5);
    answer = () => fixture('rss.xml');
    expect(await at('2026-11-26T06:00:00Z')).toBe(1);
    expect((await allPlans(database))[0]).toMatchObject({ attempts: 0, failure: null });
  });

  test('is paused, resumed, asked for now, removed; what is asked for now does not take the place of the hour', async () => {
    await add();
    const [{ id }] = await allPlans(database);
    const change = (name: 'run' | 'pause' | 'resume' | 'remove') =>
      changePlan(database, { id, change: name, actor: ada });
    await change('run');
    expect(await at('2026-11-25T04:00:00Z')).toBe(1);
    expect(await at('2026-11-25T06:00:00Z')).toBe(1);
    await change('pause');
    expect(await at('2026-11-26T06:00:00Z')).toBe(0);
    await change('resume');
    expect(await at('2026-11-26T06:00:00Z')).toBe(1);
    await change('remove');
    expect(await at('2026-11-27T06:00:00Z')).toBe(0);
    await expect(change('run')).rejects.toThrow('no such import');
  });

  test('one that is told to end is free at once for another', async () => {
    await add();
    const stop = new AbortController();
    answer = () => {
      stop.abort();
      return fixture('rss.xml');
    };
    await at('2026-11-25T06:00:00Z', { signal: stop.signal });
    answer = () => fixture('rss.xml');
    expect(await at('2026-11-25T06:00:01Z')).toBe(1);
    expect(await at('2026-11-25T06:00:02Z')).toBe(0);
  });

  test('what a source does not understand is refused in words, and the same is planned once', async () => {
    expect(() => requestOf({ ...plan, what: 'cs LG!' })).toThrow(
      /“cs LG!”; allowed: a category such as cs.LG/,
    );
    expect(() => requestOf({ ...plan, source: 'arxiv-oai', what: '../x' })).toThrow('a set such as');
    await add();
    await expect(add({ hour: 9 })).rejects.toThrow('imported already');
  });
});

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'three processes on one PostgreSQL, one killed: each page is asked for once, in turn, and the harvest ends (skipped without TEST_DATABASE_URL)',
  async () => {
    const PAUSE_MS = 400;
    const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
    const database = await openPostgres(url, () => {});
    const ada = await person(database, 'ada', { role: 'admin' });
    for (const given of [
      { source: 'arxiv-rss', what: 'cs.LG' },
      { source: 'arxiv-rss', what: 'cs.CV' },
      { source: 'arxiv-oai', what: 'cs:cs:LG' },
    ] as const)
      await addPlan(database, { request: requestOf({ ...plan, ...given, hour: 0 }), hour: 0, actor: ada });
    const last = fixture('oai.xml').replace(/<resumptionToken>.*<\/resumptionToken>/, '<resumptionToken/>');
    const seen: { what: string; at: number; ended: number }[] = [];
    const processes: ChildProcess[] = [];
    let killed = false;
    const server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
      const what = searchParams.get('resumptionToken') ?? (searchParams.get('set') || pathname);
      const entry = { what, at: performance.now(), ended: 0 };
      seen.push(entry);
      response.on('close', () => {
        entry.ended = performance.now();
      });
      if (what === 'page-2' && !killed) {
        // Whoever harvests is killed in the middle of it.
        killed = true;
        const owner = Number(/\d+$/.exec(request.headers['user-agent'] ?? '')?.[0]);
        processes.find(({ pid }) => pid === owner)?.kill('SIGKILL');
        return;
      }
      response.end(what === 'page-2' ? last : what === 'cs:cs:LG' ? fixture('oai.xml') : fixture('rss.xml'));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const fake = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const run = () => {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, '../testing/run-imports.ts'), url, fake, String(PAUSE_MS)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      processes.push(child);
      return new Promise<string | null>((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
    };
    const signals = await Promise.all([run(), run(), run()]);
    expect(signals.filter((signal) => signal === 'SIGKILL')).toHaveLength(1);
    // The claim of the dead process runs out; the next time of the schedule goes on.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await run();
    expect(seen.map(({ what }) => what).sort()).toEqual(
      ['/rss/cs.CV', '/rss/cs.LG', 'cs:cs:LG', 'page-2', 'page-2'].sort(),
    );
    for (let i = 1; i < seen.length; i++) expect(seen[i].at - seen[i - 1].at).toBeGreaterThan(PAUSE_MS - 20);
    for (const one of await allPlans(database)) expect(one).toMatchObject({ failure: null, running: false });
    expect((await allPlans(database)).every(({ report }) => report !== null)).toBe(true);
    server.close();
    await database.close();
    await drop();
  },
  180_000,
);
