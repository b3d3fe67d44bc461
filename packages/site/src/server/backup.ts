import { createReadStream, createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { z } from 'zod';
import { type Database, migrationNames, runMigration, type Transaction } from './database.ts';

/** Not carried over: counters of minutes, and logins, which are worth nothing where the secret is another one. */
const left = new Set(['migrations', 'limits', 'sessions', 'logins']);
const BATCH = 500;

interface Column {
  name: string;
  type: string;
}

const headSchema = z.object({
  saccade: z.literal('backup'),
  format: z.literal(1, 'format 1'),
  migrations: z.array(z.string().regex(/^[\w-]+\.sql$/)),
});
const tableSchema = z.object({ table: z.string(), columns: z.array(z.string()) });
const rowsSchema = z.array(z.array(z.string().nullable()));
type Head = z.infer<typeof headSchema>;

/**
 * The whole site as lines of JSON: a head, then each table's name and its rows, values as the text that PostgreSQL
 * writes and reads back exactly. The same on both engines, so it moves a site from one to the other.
 */
async function* linesOf(inner: Transaction): AsyncGenerator<string> {
  const migrations = await inner.query<{ name: string }>('SELECT name FROM migrations ORDER BY name');
  const head: Head = { saccade: 'backup', format: 1, migrations: migrations.map(({ name }) => name) };
  yield JSON.stringify(head);
  for (const table of await tables(inner)) {
    const columns = await columnsOf(inner, table);
    yield JSON.stringify({ table, columns: columns.map(({ name }) => name) });
    const list = columns.map(({ name }) => `"${name}"::text`).join(', ');
    await inner.query(
      `DECLARE rows NO SCROLL CURSOR FOR SELECT json_build_array(${list})::text AS row FROM "${table}"`,
    );
    for (;;) {
      const rows = await inner.query<{ row: string }>(`FETCH ${BATCH} FROM rows`);
      if (rows.length === 0) break;
      yield `[${rows.map(({ row }) => row).join(',')}]`;
    }
    await inner.query('CLOSE rows');
  }
  yield JSON.stringify({ end: true });
}

/** Writes everything, as it was at one instant, to a file that appears when it is whole. The site may go on serving. */
export async function backup(database: Database, path: string): Promise<void> {
  const draft = `${path}.${process.pid}.part`;
  await database.transaction(async (inner) => {
    await inner.script('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await asText(inner);
    async function* withBreaks() {
      for await (const line of linesOf(inner)) yield `${line}\n`;
    }
    await pipeline(Readable.from(withBreaks()), createGzip(), createWriteStream(draft, { mode: 0o600 }));
  });
  await rename(draft, path);
}

/**
 * Puts a backup in the place of everything that the database holds, in one transaction, and brings it up to date.
 * @param replace without it only a database without accounts, subscribers and votes is taken
 * @throws Error where the file is no backup, is cut short, is of a newer program, or would replace something
 */
export async function restore(database: Database, path: string, replace: boolean): Promise<void> {
  await database.transaction(async (inner) => {
    await asText(inner);
    if (!replace && (await inUse(inner)))
      throw new Error('the database holds accounts or subscribers; --replace restores over them');
    const lines = createInterface({ input: createReadStream(path).pipe(createGunzip()) })[
      Symbol.asyncIterator
    ]();
    const next = async () => JSON.parse((await lines.next()).value ?? 'null') as unknown;
    const head = headSchema.safeParse(await next());
    if (!head.success) throw new Error(`${path} is no backup of Saccade`);
    const known = migrationNames();
    const unknown = head.data.migrations.find((name) => !known.includes(name));
    if (unknown) throw new Error(`${path} is of a newer Saccade, which has ${unknown}`);

    for (const table of await tables(inner)) await inner.script(`DROP TABLE "${table}" CASCADE`);
    await inner.script('DELETE FROM migrations');
    for (const name of ['limits', 'sessions', 'logins'])
      await inner.script(`DROP TABLE IF EXISTS ${name} CASCADE`);
    for (const name of head.data.migrations) await runMigration(inner, name);
    // Rows come table by table, so what refers to later tables is checked at the end.
    const references = await inner.query<{ table: string; name: string; definition: string }>(
      `SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS definition
       FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace`,
    );
    for (const { table, name } of references)
      await inner.script(`ALTER TABLE ${table} DROP CONSTRAINT "${name}"`);
    await load(inner, next, path);
    for (const { table, name, definition } of references)
      await inner.script(`ALTER TABLE ${table} ADD CONSTRAINT "${name}" ${definition}`);
    for (const name of known) if (!head.data.migrations.includes(name)) await runMigration(inner, name);
  });
}

async function load(inner: Transaction, next: () => Promise<unknown>, path: string): Promise<void> {
  const names = new Set(await tables(inner));
  for (const table of names) await inner.script(`DELETE FROM "${table}"`);
  let insert = '';
  let width = 0;
  for (;;) {
    const line = await next();
    if (line === null) throw new Error(`${path} is cut short`);
    if (typeof line === 'object' && 'end' in line) break;
    if (!Array.isArray(line)) {
      const { table, columns } = tableSchema.parse(line);
      if (!names.has(table)) throw new Error(`${path} has a table ${table} that its migrations do not make`);
      const types = new Map((await columnsOf(inner, table)).map(({ name, type }) => [name, type]));
      const list = columns.map((name) => `"${name}"`).join(', ');
      const values = columns.map((name, at) => `(row ->> ${at})::${types.get(name)}`).join(', ');
      insert = `INSERT INTO "${table}" (${list}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM json_array_elements($1::json) AS row`;
      width = columns.length;
      continue;
    }
    const rows = rowsSchema.parse(line);
    if (rows.some((row) => row.length !== width)) throw new Error(`${path} is damaged`);
    await inner.query(insert, [JSON.stringify(rows)]);
  }
  const counters = await inner.query<{ table: string; column: string }>(
    `SELECT table_name AS table, column_name AS column FROM information_schema.columns
     WHERE table_schema = 'public' AND is_identity = 'YES'`,
  );
  for (const { table, column } of counters)
    await inner.query(
      `SELECT setval(pg_get_serial_sequence('"${table}"', '${column}'), coalesce(max("${column}"), 0) + 1, false) FROM "${table}"`,
    );
}

async function inUse(inner: Transaction): Promise<boolean> {
  const [{ used }] = await inner.query<{ used: boolean }>(
    'SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM subscribers) AS used',
  );
  return used;
}

/** One way of writing values, whatever the server is set to. */
const asText = (inner: Transaction) =>
  inner.script(
    "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1",
  );

async function tables(inner: Transaction): Promise<string[]> {
  const rows = await inner.query<{ name: string }>(
    "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
  );
  return rows.map(({ name }) => name).filter((name) => !left.has(name));
}

/** Columns that are written; what the database computes by itself is not. */
function columnsOf(inner: Transaction, table: string): Promise<Column[]> {
  return inner.query(
    `SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
    [`public."${table}"`],
  );
}
