import type { Database } from './database.ts';
import type { Ledger } from './ledger.ts';

/** What pages and the API read from. */
export interface Services {
  database: Database;
  ledger: Ledger;
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
