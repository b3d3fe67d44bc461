// `saccade backup <file>` and `saccade restore <file> [--replace]` run this. A backup of the embedded database goes
// through the server that holds it, where there is one; a restore waits for nobody: the server has to be stopped.
import { join, resolve } from 'node:path';
import { backup, restore } from './backup.ts';
import { type Database, openEmbedded } from './database.ts';
import { DirectoryInUse, takeDirectory } from './lock.ts';
import { openPostgres } from './postgres.ts';
import { operatorKey, secretOf } from './secret.ts';
import { readSettings } from './settings.ts';

const [task, file, flag] = process.argv.slice(2);
const path = resolve(file);
const settings = readSettings(process.env);

async function main(): Promise<void> {
  const work = (database: Database) =>
    task === 'backup' ? backup(database, path) : restore(database, path, flag === '--replace');
  if (settings.databaseUrl) {
    const database = await openPostgres(settings.databaseUrl, (message) => console.error(message));
    return work(database).finally(() => database.close());
  }
  let lock: ReturnType<typeof takeDirectory>;
  try {
    lock = takeDirectory(settings.data);
  } catch (error) {
    if (task === 'backup' && error instanceof DirectoryInUse && error.address) return through(error.address);
    throw error;
  }
  try {
    const database = await openEmbedded(join(settings.data, 'postgres'));
    await work(database).finally(() => database.close());
  } finally {
    lock.release();
  }
}

async function through(address: string): Promise<void> {
  const answer = await fetch(`${address}/operator/backup`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${operatorKey(settings.secret ?? secretOf(settings.data))}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({ path }),
  });
  if (!answer.ok)
    throw new Error(`the server at ${address} answered ${answer.status}: ${await answer.text()}`);
}

try {
  await main();
} catch (error) {
  console.error(`saccade: ${(error as Error).message}`);
  process.exit(1);
}
