import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../database.ts';
import { openPostgres } from '../postgres.ts';
import { createDatabase } from '../testing/databases.ts';
import { type MailServer, mailServer } from '../testing/mail-server.ts';
import { startJobs } from './jobs.ts';

const SUBSCRIBERS = 20;
const names = ['first', 'second'] as const;
type Name = (typeof names)[number];

const until = async (holds: () => Promise<boolean>, seconds: number) => {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await wait(50)) if (await holds()) return;
  throw new Error(`not within ${seconds} s`);
};

const server = process.env.TEST_DATABASE_URL;

describe.skipIf(!server)(
  'two servers on one PostgreSQL, a schedule is due, one is killed (skipped without TEST_DATABASE_URL)',
  () => {
    let url: string;
    let drop: () => Promise<void>;
    let database: Database;
    let running: Map<Name, ChildProcess>;
    let mailServers: MailServer[];

    beforeEach(async () => {
      ({ url, drop } = await createDatabase(server!));
      database = await openPostgres(url, () => {});
      await database.query(
        `INSERT INTO papers (slug, title, listed_on, links, family, summary)
         VALUES ('a', 'A', (now() AT TIME ZONE 'UTC')::date - 1, '[]', 'local', 'Does it.')`,
      );
      await database.query(
        `INSERT INTO subscribers (email, state, consent, source, token, hour, confirmed_at)
         SELECT 'reader-' || n || '@example.org', 'active', 'test', 'page', 'token-' || n, 0, '2026-01-01'
         FROM generate_series(1, $1::int) n`,
        [SUBSCRIBERS],
      );
      running = new Map();
      mailServers = [];
    });
    afterEach(async () => {
      for (const child of running.values()) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill();
        await ended;
      }
      for (const each of mailServers) await each.close();
      await database.close();
      await drop();
    });

    /** Each with a mail server of its own, which so knows whose mail it gets, and its name on its connections. */
    async function startBoth(at: (name: Name, step: string) => void = () => {}): Promise<void> {
      for (const name of names) {
        const mail = await mailServer({ at: (step) => at(name, step) });
        mailServers.push(mail);
        running.set(
          name,
          spawn(
            process.execPath,
            [
              join(import.meta.dirname, '../testing/run-jobs.ts'),
              `${url}?application_name=${name}`,
              mail.url,
            ],
            { stdio: 'inherit' },
          ),
        );
      }
    }

    const accepted = () => mailServers.flatMap(({ mails }) => mails.map(({ to }) => to)).sort();
    const everybody = Array.from({ length: SUBSCRIBERS }, (_, n) => `reader-${n + 1}@example.org`).sort();

    /** The times of the schedule that came, and the jobs that they made. */
    async function ran() {
      const [times] = await database.query<{ times: number; slots: number }>(
        `SELECT count(*) AS times, count(DISTINCT singleton_on) AS slots FROM jobs.job WHERE name = '__pgboss__send-it'`,
      );
      const jobs = await database.query<{ state: string; tries: number }>(
        `SELECT state::text, retry_count AS tries FROM jobs.job WHERE name = 'digests' ORDER BY created_on`,
      );
      return { ...times, jobs };
    }
    const isDone = async () => {
      const { times, jobs } = await ran();
      return times > 0 && jobs.length === times && jobs.every(({ state }) => state === 'completed');
    };

    test('while it files the time that has come: the other does', async () => {
      // The queue's tables come first, so that one of them can be locked before anybody uses it.
      const none = startJobs(database, [], () => {});
      await none.overview();
      await none.stop();
      const lock = new pg.Client({ connectionString: url });
      await lock.connect();
      await lock.query('BEGIN; LOCK TABLE jobs.job IN SHARE ROW EXCLUSIVE MODE');
      await startBoth();
      let filing: { pid: number; name: Name } | undefined;
      await until(async () => {
        [filing] = await database.query<{ pid: number; name: Name }>(
          `SELECT pid, application_name AS name FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO jobs.job%'`,
        );
        return filing !== undefined;
      }, 60);
      running.get(filing!.name)!.kill('SIGKILL');
      // As if the statement had not left: PostgreSQL would run it once the lock is free.
      await database.query('SELECT pg_terminate_backend($1)', [filing!.pid]);
      expect((await ran()).times).toBe(0);
      await lock.query('COMMIT');
      await lock.end();
      await until(isDone, 60);
      const { times, slots, jobs } = await ran();
      expect(slots).toBe(times);
      expect(jobs).toEqual(Array(times).fill({ state: 'completed', tries: 0 }));
      expect(accepted()).toEqual(everybody);
    }, 180_000);

    test('in the middle of the job: the other takes it over soon, and nothing is done twice', async () => {
      let killed: Name | undefined;
      await startBoth((name, step) => {
        if (killed || step !== 'recipient' || accepted().length < SUBSCRIBERS / 2) return;
        killed = name;
        running.get(name)!.kill('SIGKILL');
      });
      await until(async () => killed !== undefined, 60);
      // Two minutes pass for the mails that the dead one had claimed.
      await database.query(`UPDATE deliveries SET claimed_until = now() WHERE state = 'claimed'`);
      await until(isDone, 60);
      const { times, slots, jobs } = await ran();
      expect(slots).toBe(times);
      expect(jobs.map(({ tries }) => tries)).toEqual([1, ...Array(times - 1).fill(0)]);
      const got = accepted();
      expect(new Set(got).size).toBe(got.length);
      // A mail that was handed over in the very moment of the kill is not sent again; that is at most one of each lane.
      const handed = await database.query<{ email: string }>(
        `SELECT email FROM deliveries JOIN subscribers ON id = subscriber_id WHERE deliveries.state = 'handed'`,
      );
      expect(handed.length).toBeLessThanOrEqual(4);
      expect([...new Set([...got, ...handed.map(({ email }) => email)])].sort()).toEqual(everybody);
      expect(mailServers[killed === 'first' ? 1 : 0].mails.length).toBeGreaterThan(0);
    }, 180_000);
  },
);
