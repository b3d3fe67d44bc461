import type { Database } from './database.ts';
import { warmUp } from './queries/counts.ts';
import { indexPapers } from './search/index-papers.ts';

/**
 * Brings what is derived from the papers up to date: their days in the edition zone, their hotness, the search index.
 * Does nothing where all of it is; called at every start, after migrations and seed.
 * @param zone IANA name of the zone in which the days of editions are counted
 */
export async function preparePapers(database: Database, zone: string): Promise<void> {
  await countDaysIn(database, zone);
  await warmUp(database);
  await indexPapers(database);
}

/** Papers listed at a known instant change their day when the zone is another one than at the last start. */
async function countDaysIn(database: Database, zone: string): Promise<void> {
  await database.transaction(async (inner) => {
    const [known] = await inner.query<{ value: string }>(
      "SELECT value FROM site_facts WHERE name = 'edition zone' FOR UPDATE",
    );
    if (known?.value === zone) return;
    await inner.query(
      'UPDATE papers SET listed_on = (listed_at AT TIME ZONE $1)::date WHERE listed_at IS NOT NULL',
      [zone],
    );
    await inner.query(
      "INSERT INTO site_facts (name, value) VALUES ('edition zone', $1) ON CONFLICT (name) DO UPDATE SET value = $1",
      [zone],
    );
  });
}
