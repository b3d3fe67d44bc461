import { createHash, randomBytes } from 'node:crypto';
import {
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { catalogue } from '@saccade/papers';
import { type Database, openEmbedded } from '../database.ts';
import { preparePapers } from '../prepare.ts';
import { seed } from '../seed.ts';

const server = join(import.meta.dirname, '..');
const folder = join(server, '../../../../.cache/templates');

/** Changes with all that decides what a new database holds. */
function digest(): string {
  const hash = createHash('sha256').update(JSON.stringify(catalogue));
  const shared = join(server, '../shared');
  for (const path of [server, shared])
    for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' }).sort())
      if (/\.(ts|sql)$/.test(name) && !/\.test\.ts$/.test(name)) hash.update(readFileSync(join(path, name)));
  // Its package.json is no part of what PGlite lets in, so its entry stands for it.
  const pglite = createRequire(import.meta.url).resolve('@electric-sql/pglite');
  return hash.update(readFileSync(pglite)).digest('hex').slice(0, 20);
}

/**
 * Puts an embedded database there as a first start leaves it: making one takes seconds, copying one hardly any time. The
 * first test that asks makes it, and those that change the server's sources make another.
 * @param papers the 41 with their index, or none
 */
export async function copyTemplate(directory: string, papers: boolean): Promise<void> {
  const made = join(folder, `${digest()}-${papers ? 'papers' : 'empty'}`);
  if (!existsSync(made)) {
    mkdirSync(folder, { recursive: true });
    const draft = join(folder, `draft-${randomBytes(6).toString('hex')}`);
    if (papers) await copyTemplate(draft, false);
    const database = await openEmbedded(draft);
    if (papers) {
      await seed(database);
      await preparePapers(database, 'UTC');
    }
    await database.close();
    try {
      renameSync(draft, made);
    } catch {
      // Another process was quicker.
      rmSync(draft, { recursive: true, force: true });
    }
  }
  cpSync(made, directory, { recursive: true, mode: constants.COPYFILE_FICLONE });
}

/** A migrated embedded database of its own, with the 41 papers or without; closing it removes it. */
export async function openTemplate(papers = false): Promise<Database> {
  const own = mkdtempSync(join(tmpdir(), 'saccade-database-'));
  const directory = join(own, 'postgres');
  await copyTemplate(directory, papers);
  const database = await openEmbedded(directory);
  return {
    ...database,
    close: async () => {
      await database.close();
      rmSync(own, { recursive: true, force: true });
    },
  };
}
