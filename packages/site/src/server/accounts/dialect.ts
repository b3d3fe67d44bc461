import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import type { Database } from '../database.ts';

/** Kysely, which better-auth speaks, on our own Database: one connection pool and one embedded database for everything. */
export function dialectOn(database: Database): Dialect {
  const connection: DatabaseConnection = {
    executeQuery: async <Row>({ sql, parameters }: CompiledQuery) => {
      // Our query gives rows and no counts: a change that returns nothing is asked to return a row each.
      const counted =
        /^(update|delete) /i.test(sql) && !/ returning /i.test(sql) ? `${sql} returning 1` : sql;
      const rows = await database.query<Row>(counted, parameters);
      return { rows, numAffectedRows: BigInt(rows.length) };
    },
    streamQuery: () => {
      throw new Error('queries of accounts are small and are not streamed');
    },
  };
  const unsupported = () =>
    Promise.reject(new Error('accounts use Database.transaction, not Kysely transactions'));
  return {
    createAdapter: () => new PostgresAdapter(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: (kysely) => new PostgresIntrospector(kysely),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => connection,
      releaseConnection: async () => {},
      beginTransaction: unsupported,
      commitTransaction: unsupported,
      rollbackTransaction: unsupported,
      destroy: async () => {},
    }),
  };
}
