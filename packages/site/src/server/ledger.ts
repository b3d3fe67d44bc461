import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { ledgerFileSchema, type VerdictName, type VerdictView } from '../shared/schemas.ts';
import type { Queries } from './database.ts';
import { countVerdicts } from './queries/verdicts.ts';
import { shared } from './shared.ts';

/** The stored measurements of results/<machine>/<slug>.json. */
export interface StoredResults {
  verdicts: readonly VerdictView[];
  /** Text of a stored file with its raw samples, or undefined. */
  file(machine: string, slug: string): string | undefined;
}

/** All verdicts: of the stored files, and of the workers that measure for this site. */
export interface Ledger {
  /** As they are, at most a second ago. */
  read(): Promise<LedgerView>;
  /** Reads what workers have sent since. */
  refresh(): Promise<void>;
  /** Text of a stored file with its raw samples, or undefined. */
  file(machine: string, slug: string): string | undefined;
  /** What a worker measured of a paper, as it signed it; undefined where it has not. */
  signed(worker: string, slug: string): Promise<SignedResult | undefined>;
}

export interface LedgerView {
  verdicts: readonly VerdictView[];
  /** How many claims of each paper have which verdict. */
  counts: ReadonlyMap<string, Partial<Record<VerdictName, number>>>;
}

export interface SignedResult {
  /** The message, byte for byte; its field `ledger` is what `saccade check` writes. */
  message: string;
  signature: string;
  publicKey: string;
}

/** Another server may have stored a result; a feed of a thousand requests a second must not ask each time. */
const STALE_MS = 1000;

/** Joins stored files and what workers sent to the database. */
export function createLedger(stored: StoredResults, database: Queries): Ledger {
  let view: LedgerView | undefined;
  let version = '';
  let checked = Number.NEGATIVE_INFINITY;
  // one at a time, so that an older answer never comes last
  const refresh = shared(async () => {
    checked = performance.now();
    const [now] = await database.query<{ version: string }>(
      `SELECT count(*) || ' ' || coalesce(max(number), 0) AS version FROM measured`,
    );
    if (view && now.version === version) return view;
    const verdicts = [...stored.verdicts, ...(await verdictsOfWorkers(database))].sort(inOrder);
    version = now.version;
    view = { verdicts, counts: countVerdicts(verdicts) };
    return view;
  });
  return {
    refresh: async () => {
      await refresh();
    },
    read: async () => {
      if (!view) return refresh();
      // Who comes while it is read again gets what is there, also where it cannot be read: the next one tries anew.
      if (performance.now() - checked > STALE_MS) refresh().catch(() => {});
      return view;
    },
    file: stored.file,
    signed: async (worker, slug) => {
      const [row] = await database.query<SignedResult>(
        `SELECT m.message, m.signature, w.public_key AS "publicKey" FROM measured m JOIN workers w ON w.id = m.worker_id
         WHERE w.name = $1 AND m.slug = $2 ORDER BY m.quick, m.number DESC LIMIT 1`,
        [worker, slug],
      );
      return row;
    },
  };
}

/** Of each worker and paper the latest full measurement, else the latest quick one. */
async function verdictsOfWorkers(database: Queries): Promise<VerdictView[]> {
  const rows = await database.query<{ worker: string; message: string }>(
    `SELECT DISTINCT ON (m.worker_id, m.slug) w.name AS worker, m.message FROM measured m JOIN workers w ON w.id = m.worker_id
     ORDER BY m.worker_id, m.slug, m.quick, m.number DESC`,
  );
  return rows.flatMap(({ worker, message }) =>
    verdictsIn(ledgerFileSchema.parse(JSON.parse(message).ledger), worker),
  );
}

/**
 * Reads the results once. A file that is not a ledger is left out and reported through `complain`: one broken file must
 * not take the site down, nor pass in silence.
 */
export function readLedger(results: string, complain: (message: string) => void): StoredResults {
  const verdicts: VerdictView[] = [];
  const files = new Map<string, string>();
  const machines = existsSync(results)
    ? readdirSync(results, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    : [];
  for (const { name: machine } of machines) {
    for (const name of readdirSync(join(results, machine)).filter((file) => file.endsWith('.json'))) {
      const text = readFileSync(join(results, machine, name), 'utf8');
      try {
        const file = ledgerFileSchema.parse(JSON.parse(text));
        files.set(`${machine}/${file.slug}`, text);
        verdicts.push(...verdictsIn({ ...file, machine: { ...file.machine, id: machine } }, null));
      } catch (error) {
        complain(`results/${machine}/${name} is not a ledger file: ${(error as Error).message}`);
      }
    }
  }
  return { verdicts: verdicts.sort(inOrder), file: (machine, slug) => files.get(`${machine}/${slug}`) };
}

function verdictsIn(
  { slug, entries, machine, tier, quick, commit, date }: z.infer<typeof ledgerFileSchema>,
  worker: string | null,
): VerdictView[] {
  const { id, adapter } = machine;
  return entries.map((entry) => ({
    slug,
    ...entry,
    machine: id,
    adapter,
    worker,
    tier,
    quick,
    commit,
    date,
  }));
}

/** By paper, the latest first. Stable: the claims of one file stay in the order of the paper's claims. */
const inOrder = (a: VerdictView, b: VerdictView) =>
  a.slug.localeCompare(b.slug) || b.date.localeCompare(a.date);
