// `saccade import` runs this, with the request as JSON on standard input. Ends with 2 and {argument, given, allowed} on
// the error output where the request is bad; prints the report as JSON.

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { text as readAll } from 'node:stream/consumers';
import { type Database, openEmbedded } from './database.ts';
import { politeClient } from './import/client.ts';
import { type ImportReport, type ImportRequest, importPapers, importSchema } from './import/import.ts';
import { DirectoryInUse, takeDirectory } from './lock.ts';
import { openPostgres } from './postgres.ts';
import { operatorKey, secretOf } from './secret.ts';
import { seed } from './seed.ts';
import { readSettings } from './settings.ts';

const cancel = new AbortController();
const { signal } = cancel;
const progress = (message: string) => console.error(message);
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => cancel.abort());

async function main(): Promise<void> {
  const given: unknown = JSON.parse(await readAll(process.stdin));
  const request = importSchema.safeParse(given);
  if (!request.success) {
    const [{ path, message }] = request.error.issues;
    const argument = String(path[0] ?? 'request');
    const value = (given as Record<string, unknown>)[argument];
    console.error(
      JSON.stringify({ argument, given: String(value ?? 'nothing').slice(0, 200), allowed: message }),
    );
    process.exitCode = 2;
    return;
  }
  console.log(JSON.stringify(await run(request.data)));
}

/** On the database itself, or through the server that holds the embedded one. */
async function run(request: ImportRequest): Promise<ImportReport> {
  const { data, zone, databaseUrl, secret } = readSettings(process.env);
  const here = async (database: Database): Promise<ImportReport> => {
    try {
      await seed(database);
      const fetchText = politeClient(database, { progress, signal });
      return await importPapers(request, { database, zone, fetchText, progress, signal });
    } finally {
      await database.close();
    }
  };
  if (databaseUrl) return here(await openPostgres(databaseUrl, progress));
  let lock: ReturnType<typeof takeDirectory>;
  try {
    lock = takeDirectory(data);
  } catch (error) {
    if (!(error instanceof DirectoryInUse) || !error.address) throw error;
    return through(error.address, operatorKey(secret ?? secretOf(data)), request);
  }
  try {
    return await here(await openEmbedded(join(data, 'postgres')));
  } finally {
    lock.release();
  }
}

async function through(address: string, key: string, request: ImportRequest): Promise<ImportReport> {
  const answer = await fetch(`${address}/operator/import`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${key}`,
      'Content-Type': 'application/json',
      // compressed, lines would wait for each other
      'Accept-Encoding': 'identity',
    },
    body: JSON.stringify(request),
    signal,
  });
  if (!answer.ok || !answer.body) throw new Error(`the server at ${address} answered ${answer.status}`);
  for await (const line of createInterface({ input: Readable.fromWeb(answer.body as never) })) {
    if (line === '') continue;
    const said = JSON.parse(line) as { progress?: string; report?: ImportReport; error?: string };
    if (said.progress !== undefined) progress(said.progress);
    else if (said.report) return said.report;
    else throw new Error(said.error);
  }
  throw new Error(`the server at ${address} ended before the import did; what was read is kept`);
}

try {
  await main();
} catch (error) {
  console.error(`saccade: ${signal.aborted ? 'stopped; what was read is kept' : (error as Error).message}`);
  process.exitCode = 1;
}
