import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { describe } from 'vitest';
import type { Database } from '../database.ts';
import { openPostgres } from '../postgres.ts';
import { openTemplate } from './template.ts';

/** A migrated database that nobody else uses; closing it removes it. */
export type OpenFresh = () => Promise<Database>;

/**
 * Describes a suite once for each engine. PostgreSQL is the server of TEST_DATABASE_URL, which `npm test` starts where
 * it can; without it that half is skipped, and its name says so.
 */
export function onEachEngine(name: string, suite: (open: OpenFresh) => void): void {
  describe(`${name}, embedded`, () => suite(() => openTemplate()));
  const url = process.env.TEST_DATABASE_URL;
  if (url) describe(`${name}, PostgreSQL`, () => suite(async () => (await createDatabase(url)).open()));
  else
    describe.skip(`${name}, PostgreSQL: skipped, TEST_DATABASE_URL is not set (node scripts/postgres.mjs starts a server)`, () =>
      suite(() => Promise.reject(new Error('no PostgreSQL'))));
}

/** Makes an empty database on the server and gives its address; `open` migrates it and removes it when it is closed. */
export async function createDatabase(
  server: string,
): Promise<{ url: string; open: OpenFresh; drop(): Promise<void> }> {
  const name = `saccade_test_${randomBytes(6).toString('hex')}`;
  await onServer(server, `CREATE DATABASE ${name}`);
  const address = new URL(server);
  address.pathname = `/${name}`;
  const drop = () => onServer(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  return {
    url: address.href,
    drop,
    open: async () => {
      const database = await openPostgres(address.href, () => {});
      return {
        ...database,
        close: async () => {
          await database.close();
          await drop();
        },
      };
    },
  };
}

async function onServer(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
