import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, migrate } from './database.ts';
import { openPostgres } from './postgres.ts';
import { createDatabase, onEachEngine } from './testing/databases.ts';

const migrations = readdirSync(join(import.meta.dirname, 'migrations')).filter((name) =>
  name.endsWith('.sql'),
);

onEachEngine('the database', (open) => {
  let database: Database;
  beforeAll(async () => {
    database = await open();
    await database.query('CREATE TABLE tried (id int PRIMARY KEY, word text)');
  });
  afterAll(() => database.close());

  test('has each migration once', async () => {
    expect(await migrate(database)).toEqual([]);
    const rows = await database.query<{ name: string }>('SELECT name FROM migrations ORDER BY name');
    expect(rows.map(({ name }) => name)).toEqual(migrations.sort());
  });

  test('gives the same types on both engines', async () => {
    const [row] = await database.query(
      `SELECT count(*) AS count, date '2026-11-25' AS date, timestamptz '2026-11-25T06:00:00Z' AS instant,
        0.5::double precision AS half, true AS yes, NULL AS nothing, '{"a": [1]}'::jsonb AS json, ARRAY['x', 'y'] AS list
        FROM migrations`,
    );
    expect(row).toEqual({
      count: migrations.length,
      date: '2026-11-25',
      instant: new Date('2026-11-25T06:00:00Z'),
      half: 0.5,
      yes: true,
      nothing: null,
      json: { a: [1] },
      list: ['x', 'y'],
    });
  });

  test('takes lists, JSON and hostile text as parameters', async () => {
    const hostile = "'; DROP TABLE tried; -- $1 \\";
    await database.query('INSERT INTO tried VALUES ($1, $2)', [1, hostile]);
    expect(
      await database.query('SELECT id FROM tried WHERE word = ANY($1::text[])', [['no', hostile]]),
    ).toEqual([{ id: 1 }]);
    expect(await database.query('SELECT $1::jsonb AS json', [JSON.stringify([hostile])])).toEqual([
      { json: [hostile] },
    ]);
  });

  test('a transaction that fails leaves nothing, and the next one works', async () => {
    const work = database.transaction(async (inner) => {
      await inner.query('INSERT INTO tried VALUES (2)');
      throw new Error('stop');
    });
    await expect(work).rejects.toThrow('stop');
    await expect(database.transaction((inner) => inner.query('SELECT nonsense'))).rejects.toThrow('nonsense');
    await database.transaction((inner) => inner.query('INSERT INTO tried VALUES (3)'));
    expect(await database.query('SELECT id FROM tried WHERE id > 1')).toEqual([{ id: 3 }]);
  });

  test('many transactions on one row at once lose nothing', async () => {
    await database.query("INSERT INTO tried VALUES (10, '0')");
    const add = () =>
      database.transaction(async (inner) => {
        const [{ word }] = await inner.query<{ word: string }>(
          'SELECT word FROM tried WHERE id = 10 FOR UPDATE',
        );
        await inner.query('UPDATE tried SET word = $1 WHERE id = 10', [String(Number(word) + 1)]);
      });
    await Promise.all(Array.from({ length: 40 }, add));
    expect(await database.query('SELECT word FROM tried WHERE id = 10')).toEqual([{ word: '40' }]);
  });
});

describe.skipIf(!process.env.TEST_DATABASE_URL)(
  'a PostgreSQL server (skipped without TEST_DATABASE_URL)',
  () => {
    test('is migrated once by many processes that start at once', async () => {
      const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
      const silent = () => {};
      const opened = await Promise.all(Array.from({ length: 6 }, () => openPostgres(url, silent)));
      expect(await opened[0].query('SELECT count(*) AS count FROM migrations')).toEqual([
        { count: migrations.length },
      ]);
      await Promise.all(opened.map((database) => database.close()));
      await drop();
    });

    test('that ends all connections is connected to again', async () => {
      const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
      const complaints: string[] = [];
      const database = await openPostgres(url, (message) => complaints.push(message));
      const other = await openPostgres(url, () => {});
      await other.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      );
      await expect.poll(() => complaints.length).toBeGreaterThan(0);
      expect(await database.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
      await Promise.all([database.close(), other.close()]);
      await drop();
    });

    test('runs a transaction again that the server ended for a deadlock', async () => {
      const { open } = await createDatabase(process.env.TEST_DATABASE_URL!);
      const database = await open();
      await database.query('CREATE TABLE pair (id int PRIMARY KEY, times int)');
      await database.query('INSERT INTO pair VALUES (1, 0), (2, 0)');
      const touch = (order: number[]) =>
        database.transaction(async (inner) => {
          for (const id of order) {
            await inner.query('UPDATE pair SET times = times + 1 WHERE id = $1', [id]);
            await inner.query('SELECT pg_sleep(0.1)');
          }
        });
      await Promise.all([touch([1, 2]), touch([2, 1])]);
      expect(await database.query('SELECT times FROM pair')).toEqual([{ times: 2 }, { times: 2 }]);
      await database.close();
    });

    test('that is not there, is named without its password', async () => {
      const opening = openPostgres('postgresql://me:hunter2@127.0.0.1:1/none', () => {});
      await expect(opening).rejects.toThrow(/ECONNREFUSED/);
      await expect(opening).rejects.not.toThrow(/hunter2/);
    });
  },
);
