import { expect, test } from 'vitest';
import { openPostgres } from '../postgres.ts';
import { createDatabase, onEachEngine } from '../testing/databases.ts';
import { startJobs } from './jobs.ts';

const complain = (message: string) => {
  throw new Error(message);
};
const until = async (holds: () => boolean, seconds: number) => {
  for (const end = Date.now() + seconds * 1000; !holds() && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 100));
};

onEachEngine('jobs', (open) => {
  test('a job runs, and one that runs at the stop is told to end and waited for', async () => {
    const database = await open();
    const seen: string[] = [];
    const jobs = startJobs(
      database,
      [
        {
          name: 'long',
          cron: '0 0 1 1 *',
          run: async (signal) => {
            seen.push('began');
            await until(() => signal.aborted, 60);
            seen.push('ended');
          },
        },
      ],
      complain,
    );
    await jobs.runNow('long');
    await until(() => seen.length > 0, 30);
    expect((await jobs.overview()).map(({ name }) => name)).toEqual(['long']);
    await jobs.stop();
    expect(seen).toEqual(['began', 'ended']);
    await database.close();
  }, 120_000);
});

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'three servers on one PostgreSQL run a time of a schedule once (skipped without TEST_DATABASE_URL)',
  async () => {
    const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
    const databases = await Promise.all([1, 2, 3].map(() => openPostgres(url, complain)));
    const minutes: number[] = [];
    const run = async () => {
      minutes.push(Math.floor(Date.now() / 60_000));
    };
    const servers = databases.map((database) =>
      startJobs(database, [{ name: 'each-minute', cron: '* * * * *', run }], complain),
    );
    await until(() => minutes.length > 0, 90);
    // Long enough for the other two to have run it as well.
    await new Promise((resolve) => setTimeout(resolve, 8000));
    for (const server of servers) await server.stop();
    for (const database of databases) await database.close();
    await drop();
    expect(minutes.length).toBeGreaterThan(0);
    expect(new Set(minutes).size).toBe(minutes.length);
  },
  180_000,
);
