import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ledgerFileSchema, type VerdictView } from '../shared/schemas.ts';

/** All verdicts, from results/<machine>/<slug>.json. */
export interface Ledger {
  verdicts: readonly VerdictView[];
  /** Text of a stored file with its raw samples, or undefined. */
  file(machine: string, slug: string): string | undefined;
}

/**
 * Reads the results once. A file that is not a ledger is left out and reported through `complain`: one broken file
 * must not take the site down, nor pass in silence.
 */
export function readLedger(results: string, complain: (message: string) => void): Ledger {
  const verdicts: VerdictView[] = [];
  const files = new Map<string, string>();
  const machines = existsSync(results)
    ? readdirSync(results, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    : [];
  for (const { name: machine } of machines) {
    for (const name of readdirSync(join(results, machine)).filter((file) => file.endsWith('.json'))) {
      const text = readFileSync(join(results, machine, name), 'utf8');
      try {
        const {
          slug,
          entries,
          machine: { adapter },
          tier,
          quick,
          commit,
          date,
        } = ledgerFileSchema.parse(JSON.parse(text));
        files.set(`${machine}/${slug}`, text);
        for (const entry of entries)
          verdicts.push({ slug, ...entry, machine, adapter, tier, quick, commit, date });
      } catch (error) {
        complain(`results/${machine}/${name} is not a ledger file: ${(error as Error).message}`);
      }
    }
  }
  // Stable: the claims of one file stay in the order of the paper's claims.
  verdicts.sort((a, b) => a.slug.localeCompare(b.slug) || b.date.localeCompare(a.date));
  return { verdicts, file: (machine, slug) => files.get(`${machine}/${slug}`) };
}
