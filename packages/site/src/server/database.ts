import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';

/** Plain SQL with $1, $2 …, so that the embedded and a real PostgreSQL serve alike. */
export interface Database {
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  transaction<T>(work: (database: Pick<Database, 'query'>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/**
 * Opens the embedded PostgreSQL in a directory, or in memory without one, and brings its schema up to date.
 * The caller holds the directory's lock (see lock.ts).
 */
export async function openEmbedded(directory?: string): Promise<Database> {
  if (directory && !existsSync(directory)) await initialise(directory);
  const pglite = await PGlite.create(directory);
  const database: Database = {
    query: async (sql, parameters) => (await pglite.query(sql, parameters as unknown[])).rows as never,
    transaction: (work) =>
      pglite.transaction((inner) =>
        work({
          query: async (sql, parameters) => (await inner.query(sql, parameters as unknown[])).rows as never,
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

/** Applies the migrations that the database has not seen, each in its own transaction, in the order of their numbers. */
export async function migrate(database: Database): Promise<string[]> {
  await database.query(
    'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const done = new Set(
    (await database.query<{ name: string }>('SELECT name FROM migrations')).map(({ name }) => name),
  );
  const folder = join(import.meta.dirname, 'migrations');
  const applied: string[] = [];
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()) {
    if (done.has(name)) continue;
    const statements = readFileSync(join(folder, name), 'utf8').split(/;\s*$/m);
    await database.transaction(async (inner) => {
      for (const statement of statements) if (statement.trim() !== '') await inner.query(statement);
      await inner.query('INSERT INTO migrations (name) VALUES ($1)', [name]);
    });
    applied.push(name);
  }
  return applied;
}
