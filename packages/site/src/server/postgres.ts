import pg from 'pg';
import { type Database, migrate, type Queries, type Transaction } from './database.ts';

const OLDEST = 15;
const CONNECTIONS = 10;
const TRIES = 4;

const parsers: Partial<Record<number, (text: string) => unknown>> = {
  [pg.types.builtins.INT8]: Number,
  [pg.types.builtins.DATE]: (text) => text,
};

/**
 * Opens a PostgreSQL server, 15 or newer, and brings its schema up to date. Any number of processes may do so at once.
 * @param url postgresql://user:password@host:port/database
 * @param complain hears of connections that the server closed while nobody used them
 * @throws Error that says what the server is and what is needed
 */
export async function openPostgres(url: string, complain: (message: string) => void): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS,
    // Also how long a request waits for its turn when all connections are busy.
    connectionTimeoutMillis: 30_000,
    statement_timeout: 30_000,
    idle_in_transaction_session_timeout: 30_000,
    application_name: 'saccade',
    types: { getTypeParser: ((oid: number) => parsers[oid] ?? pg.types.getTypeParser(oid)) as never },
  });
  // Without a listener a restart of the server would end this process; the pool makes new connections by itself.
  pool.on('error', (error) => complain(`PostgreSQL closed a connection: ${error.message}`));
  const database: Database = {
    engine: 'postgresql',
    // Connections of its own, so that jobs and requests do not wait for each other.
    queue: { connectionString: url, max: 3 },
    query: queriesOn(pool).query,
    transaction: async (work) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await transactionOn(pool, work);
        } catch (error) {
          if (attempt === TRIES || !isConflict(error)) throw error;
        }
      }
    },
    close: () => pool.end(),
  };
  try {
    const [{ number }] = await database.query<{ number: number }>(
      "SELECT current_setting('server_version_num')::int AS number",
    );
    if (number < OLDEST * 10_000)
      throw new Error(
        `DATABASE_URL names PostgreSQL ${Math.floor(number / 10_000)}; allowed: ${OLDEST} or newer`,
      );
    await migrate(database);
    return database;
  } catch (error) {
    await pool.end();
    throw error;
  }
}

const queriesOn = (client: pg.Pool | pg.PoolClient): Queries => ({
  query: async (sql, parameters) => (await client.query(sql, parameters as unknown[])).rows as never,
});

async function transactionOn<T>(pool: pg.Pool, work: (inner: Transaction) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work({
      ...queriesOn(client),
      script: async (sql) => {
        await client.query(sql);
      },
    });
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((reason: Error) => {
      broken = reason;
    });
    throw error;
  } finally {
    // A connection that cannot even roll back is thrown away.
    client.release(broken);
  }
}

/** Two transactions stood in each other's way and the server ended this one: running it again is right. */
function isConflict(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === '40001' || code === '40P01';
}
