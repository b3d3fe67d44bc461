import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ArgumentError, type Device } from '@saccade/attention';
import { noteBusy, wakeWith } from '@saccade/attention/steady';
import { papers } from '@saccade/papers';
import type { Claim, ClaimRun, LedgerEntry, LedgerFile, Paper } from '@saccade/papers/kit';
import { chooseDevice, chooseRunnable, type DeviceOptions } from '../choose.ts';
import { type Context, onDevice, printJson, progressLine, table } from '../console.ts';
import { writeAtomically } from '../files.ts';
import { commitOfSources, describeMachine, repository } from '../machine.ts';

export interface CheckOptions extends DeviceOptions {
  all?: boolean;
  quick?: boolean;
  machine?: string;
  results?: string;
}

interface Failure {
  claim: string;
  message: string;
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
  const told: (LedgerFile & { file: string | null; failures: Failure[] })[] = [];
  await onDevice(device, context.signal, async () => {
    const machine = describeMachine(device, options.machine);
    const commit = commitOfSources();
    for (const paper of chosen) {
      const { entries, failures } = await measure(context, paper, device, options.quick === true);
      const ledger: LedgerFile = {
        slug: paper.slug,
        machine,
        device: device.kind,
        tier: device.tier,
        quick: options.quick === true,
        commit,
        date: new Date().toISOString(),
        entries,
      };
      const file = await store(context, join(results, machine.id, `${paper.slug}.json`), ledger);
      told.push({ ...ledger, file, failures });
      if (!context.json) printVerdicts(context, ledger, file, failures);
    }
  });
  if (context.json) printJson(context, told);
  return told.some((one) => one.failures.length > 0) ? 1 : 0;
}

async function measure(context: Context, paper: Paper, device: Device, quick: boolean) {
  const say = progressLine(context);
  const entries: LedgerEntry[] = [];
  const failures: Failure[] = [];
  const claims = await paper.claims();
  for (const [index, claim] of claims.entries()) {
    context.signal.throwIfAborted();
    const label = `${paper.slug} ${index + 1}/${claims.length} ${claim.id}`;
    say(label);
    const run: ClaimRun = {
      device,
      quick,
      signal: context.signal,
      progress: (fraction, what) => say(`${label}: ${Math.round(fraction * 100)} % ${what}`),
      time: (work, how) => timeOnDevice(device, context.signal, work, how),
    };
    try {
      entries.push(await judge(claim, run));
    } catch (error) {
      context.signal.throwIfAborted();
      // One claim that cannot run does not take the others with it; the ledger says why it has no number.
      const message = error instanceof Error ? error.message : String(error);
      failures.push({ claim: claim.id, message });
      entries.push({
        ...facts(claim),
        verdict: 'not yet measured',
        because: `could not run: ${message}`,
        values: {},
        samples: {},
      });
    }
  }
  say('');
  return { entries, failures };
}

const facts = (claim: Claim) => ({
  id: claim.id,
  states: claim.states,
  where: claim.where,
  check: claim.check,
  how: claim.check === 'none' ? claim.reason : claim.how,
});

async function judge(claim: Claim, run: ClaimRun): Promise<LedgerEntry> {
  if (claim.check === 'none')
    return { ...facts(claim), verdict: claim.verdict, because: claim.reason, values: {}, samples: {} };
  const measured = await claim.measure(run);
  const { verdict, because } = claim.verdict(measured);
  const { values, samples = {}, note } = measured;
  return { ...facts(claim), verdict, because, values, samples, ...(note !== undefined && { note }) };
}

/** A sample shorter than this says more about queues and timers than about the work. */
const LEAST_SAMPLE_MS = 20;
const MOST_REPEATS = 64;

/**
 * Wall-clock milliseconds of `work`, each sample until the device has drained. Short work is queued several times in a
 * sample, whose time is divided by the count, so that the wait at the end is not taken for work.
 */
export async function timeOnDevice(
  device: Device,
  signal: AbortSignal,
  work: () => Promise<unknown>,
  { samples = 10, warmUp = 2 }: { samples?: number; warmUp?: number } = {},
): Promise<number[]> {
  const sample = async (repeats: number) => {
    signal.throwIfAborted();
    const start = performance.now();
    for (let i = 0; i < repeats; i++) await work();
    await device.finish();
    return (performance.now() - start) / repeats;
  };
  for (let round = 1; round < warmUp; round++) await sample(1);
  if (device.kind === 'webgpu') await wakeWith(device, () => sample(4));
  const first = await sample(1);
  const repeats = Math.min(MOST_REPEATS, Math.max(1, Math.ceil(LEAST_SAMPLE_MS / first)));
  const times: number[] = [];
  for (let round = 0; round < samples; round++) times.push(await sample(repeats));
  noteBusy(device);
  return times;
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
