import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite, types } from '@electric-sql/pglite';
import { type ConstructorOptions, fromPglite } from 'pg-boss';

/** Runs one statement with $1, $2 …; lists go in as arrays, JSON as text. */
export interface Queries {
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
}

/**
 * Plain SQL, so that the embedded PostgreSQL and a server serve alike. Both give the same JavaScript: counts as
 * numbers, dates as text YYYY-MM-DD, instants as Date.
 */
export interface Database extends Queries {
  readonly engine: 'embedded' | 'postgresql';
  /** How the queue of jobs reaches the same database. */
  readonly queue: Pick<ConstructorOptions, 'db' | 'backend' | 'connectionString' | 'max'>;
  /**
   * All or nothing. Inside `work` only the queries that it is given may be used: the embedded database has one
   * connection, and would wait for itself. On a server `work` runs again after a deadlock, so it changes nothing else.
   */
  transaction<T>(work: (inner: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Transaction extends Queries {
  /** Runs a text of several statements, without parameters. */
  script(sql: string): Promise<void>;
}

/**
 * Opens the embedded PostgreSQL in a directory, or in memory without one, and brings its schema up to date.
 * The caller holds the directory's lock (see lock.ts).
 */
export async function openEmbedded(directory?: string): Promise<Database> {
  if (directory && !existsSync(directory)) await initialise(directory);
  const pglite = await PGlite.create({
    dataDir: directory,
    parsers: { [types.INT8]: Number, [types.DATE]: (text) => text },
  });
  const database: Database = {
    engine: 'embedded',
    queue: { db: fromPglite(pglite), backend: 'pglite' },
    query: async (sql, parameters) => (await pglite.query(sql, parameters as unknown[])).rows as never,
    transaction: (work) =>
      pglite.transaction((inner) =>
        work({
          query: async (sql, parameters) => (await inner.query(sql, parameters as unknown[])).rows as never,
          script: async (sql) => {
            await inner.exec(sql);
          },
        }),
      ),
    close: () => pglite.close(),
  };
  await migrate(database);
  return database;
}

/** Makes the files beside their place and moves them there when whole: a first start that was killed leaves no half database. */
async function initialise(directory: string): Promise<void> {
  const draft = `${directory}.new`;
  await rm(draft, { recursive: true, force: true });
  await (await PGlite.create(draft)).close();
  await rename(draft, directory);
}

// Any number that no other program on the same server is likely to lock.
const MIGRATION_LOCK = 7_220_041;

/**
 * Applies the migrations that the database has not seen, each in its own transaction, in the order of their numbers.
 * Servers that start at once wait for each other, so each migration runs once.
 * @returns the names of those that this call applied
 */
export async function migrate(database: Database): Promise<string[]> {
  const applied: string[] = [];
  for (const name of migrationNames()) {
    const ran = await database.transaction(async (inner) => {
      await inner.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
      await inner.query(
        'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
      );
      if ((await inner.query('SELECT 1 FROM migrations WHERE name = $1', [name])).length > 0) return false;
      await runMigration(inner, name);
      return true;
    });
    if (ran) applied.push(name);
  }
  return applied;
}

const migrations = join(import.meta.dirname, 'migrations');

/** The migrations of this program, in their order. */
export const migrationNames = (): string[] =>
  readdirSync(migrations)
    .filter((file) => file.endsWith('.sql'))
    .sort();

export async function runMigration(inner: Transaction, name: string): Promise<void> {
  // A table cannot be altered while triggers wait for the commit.
  await inner.script('SET CONSTRAINTS ALL IMMEDIATE');
  await inner.script(readFileSync(join(migrations, name), 'utf8'));
  await inner.query('INSERT INTO migrations (name) VALUES ($1)', [name]);
}
