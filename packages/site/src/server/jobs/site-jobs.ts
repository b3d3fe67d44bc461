import type { Database } from '../database.ts';
import { runPlans } from '../import/plans.ts';
import { planDigests, sendDigests } from '../mail/digests.ts';
import type { Mailer } from '../mail/mailer.ts';
import { sweepPending } from '../queries/subscribers.ts';
import type { Job } from './jobs.ts';

export const IMPORTS = 'imports';

/** What the site does by itself. */
export function siteJobs(options: {
  database: Database;
  mailer: Mailer;
  origin: string;
  zone: string;
  /** Gets texts from the sources of imports. */
  fetchText?: (url: string) => Promise<string>;
}): Job[] {
  const { database, mailer, origin, zone, fetchText } = options;
  return [
    {
      name: 'digests',
      // Some zones are a quarter of an hour off; tries after a failure come in between.
      cron: '*/5 * * * *',
      run: async (signal) => {
        await planDigests(database, zone, new Date());
        await sendDigests({ database, mailer, origin, signal });
      },
    },
    {
      name: IMPORTS,
      cron: '*/5 * * * *',
      run: async (signal) => void (await runPlans({ database, zone, signal, fetchText })),
    },
    { name: 'sweep', cron: '17 3 * * *', run: async () => void (await sweepPending(database)) },
  ];
}
