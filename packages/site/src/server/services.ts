import type { Logger } from 'pino';
import type { Accounts } from './accounts/accounts.ts';
import type { BenchStore } from './bench.ts';
import type { Database } from './database.ts';
import type { LookUp } from './import/look-up.ts';
import type { Jobs } from './jobs/jobs.ts';
import type { Ledger } from './ledger.ts';
import type { Limits } from './limits.ts';
import type { Mailer } from './mail/mailer.ts';
import type { Corpus } from './recommend.ts';

/** What pages, actions and the API work with. */
export interface Services {
  database: Database;
  ledger: Ledger;
  bench: BenchStore;
  /** IANA name of the zone in which the days of editions are counted. */
  zone: string;
  accounts: Accounts;
  mailer: Mailer;
  limits: Limits;
  jobs: Jobs;
  /** Where readers reach the site: in mails. */
  origin: string;
  /** Asks arXiv for a paper that a reader puts forward. */
  lookUp: LookUp;
  /** How many days after its publication a reader may put a paper forward; 0: always. */
  submitDays: number;
  /** Hears of errors that nobody answered. */
  log: Pick<Logger, 'error'>;
  /** All papers as vectors, for recommendations. */
  corpus: () => Promise<Corpus>;
}

let provided: Services | undefined;

/** Called once by the server, through the built bundle, before the first request. */
export function provide(services: Services): void {
  provided = services;
}

export function services(): Services {
  if (!provided) throw new Error('the server has not provided its services');
  return provided;
}
