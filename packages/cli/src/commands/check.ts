import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ArgumentError } from '@saccade/attention';
import { papers } from '@saccade/papers';
import type { LedgerFile } from '@saccade/papers/kit';
import { chooseDevice, chooseRunnable, type DeviceOptions } from '../choose.ts';
import { type Context, onDevice, printJson, progressLine, table } from '../console.ts';
import { writeAtomically } from '../files.ts';
import { commitOfSources, describeMachine, repository } from '../machine.ts';
import { type Failure, measurePaper } from '../measure.ts';

export interface CheckOptions extends DeviceOptions {
  all?: boolean;
  quick?: boolean;
  machine?: string;
  results?: string;
}

/** `saccade check`: a paper's claims as experiments, into the ledger. Resolves with the exit code. */
export async function check(
  context: Context,
  slugs: readonly string[],
  options: CheckOptions,
): Promise<0 | 1> {
  if (options.all ? slugs.length > 0 : slugs.length === 0)
    throw new ArgumentError(
      'saccade',
      'slug',
      options.all ? `${slugs.join(', ')} and --all` : 'missing',
      'slugs of papers, or --all',
    );
  const chosen = options.all ? papers : [...new Set(slugs)].map(chooseRunnable);
  const results = resolve(options.results ?? join(repository, 'results'));
  const device = await chooseDevice(options);
  const say = progressLine(context);
  const told: (LedgerFile & { file: string | null; failures: Failure[] })[] = [];
  await onDevice(device, context.signal, async () => {
    const machine = describeMachine(device, options.machine);
    const commit = commitOfSources();
    for (const paper of chosen) {
      const { ledger, failures } = await measurePaper(paper, {
        device,
        machine,
        commit,
        quick: options.quick === true,
        signal: context.signal,
        say,
      });
      const file = await store(context, join(results, machine.id, `${paper.slug}.json`), ledger);
      told.push({ ...ledger, file, failures });
      if (!context.json) printVerdicts(context, ledger, file, failures);
    }
  });
  if (context.json) printJson(context, told);
  return told.some((one) => one.failures.length > 0) ? 1 : 0;
}

/** Writes a ledger file, unless it would replace a full measurement by a quick one. */
async function store(context: Context, path: string, ledger: LedgerFile): Promise<string | null> {
  if (ledger.quick && isFull(path)) {
    if (!context.json)
      context.console.error(
        `${path} holds a full measurement, which a quick one does not replace; --results names another folder\n`,
      );
    return null;
  }
  context.signal.throwIfAborted();
  await writeAtomically('--results', path, `${JSON.stringify(ledger, null, 1)}\n`, { makeFolders: true });
  return path;
}

function isFull(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as LedgerFile).quick === false;
  } catch {
    // A file that is no ledger holds nothing worth keeping.
    return false;
  }
}

function printVerdicts(
  context: Context,
  ledger: LedgerFile,
  file: string | null,
  failures: readonly Failure[],
): void {
  const { out } = context.console;
  out(
    `${ledger.slug} on ${ledger.machine.adapter} (${ledger.device}, tier ${ledger.tier}${ledger.quick ? ', quick' : ''})\n`,
  );
  out(table(ledger.entries.map((entry) => [`  ${entry.id}`, entry.verdict, entry.because])));
  if (file) out(`  written to ${file}\n`);
  if (failures.length > 0) out(`  ${failures.length} of ${ledger.entries.length} claims could not run\n`);
  out('\n');
}
