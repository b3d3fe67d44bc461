import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbedded } from '../../packages/site/src/server/database.ts';
import { openPostgres } from '../../packages/site/src/server/postgres.ts';
import { preparePapers } from '../../packages/site/src/server/prepare.ts';
import { seed } from '../../packages/site/src/server/seed.ts';
import { createDatabase } from '../../packages/site/src/server/testing/databases.ts';
import { crowdSettings } from '../../packages/site/src/server/testing/logins.ts';
import { addManyPapers } from '../../packages/site/src/server/testing/many-papers.ts';
import { type Started, start } from '../../packages/site/src/server/testing/start.ts';
import { copyTemplate } from '../../packages/site/src/server/testing/template.ts';

export const engines = ['PostgreSQL', 'PGlite'] as const;
export type Engine = (typeof engines)[number];

/** A started site with many papers. */
export interface FilledSite {
  engine: Engine;
  site: Started;
  /** Its data directory, with the outbox. */
  data: string;
  close(): Promise<void>;
}

/** Starts the built site on a database of its own with the 41 papers and `papers` that are made up. */
export async function filledSite(engine: Engine, papers: number): Promise<FilledSite> {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-load-'));
  const data = join(folder, 'data');
  const server = process.env.TEST_DATABASE_URL;
  if (engine === 'PostgreSQL' && !server) throw new Error('TEST_DATABASE_URL is not set');
  const made = engine === 'PostgreSQL' ? await createDatabase(server!) : undefined;
  if (!made) await copyTemplate(join(data, 'postgres'), true);
  const database = made
    ? await openPostgres(made.url, console.error)
    : await openEmbedded(join(data, 'postgres'));
  await seed(database);
  await addManyPapers(database, papers);
  await preparePapers(database, 'UTC');
  await database.close();
  const settings = { ...crowdSettings, ...(made && { DATABASE_URL: made.url }) };
  const site = await start(data, join(folder, 'results'), '0', settings);
  return {
    engine,
    site,
    data,
    close: async () => {
      await site.stop();
      await made?.drop();
      if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
    },
  };
}
