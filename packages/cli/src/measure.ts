import type { Device } from '@saccade/attention';
import { noteBusy, wakeWith } from '@saccade/attention/steady';
import type { Claim, ClaimRun, LedgerEntry, LedgerFile, Paper } from '@saccade/papers/kit';

/** A claim that could not run. */
export interface Failure {
  claim: string;
  message: string;
}

export interface Measuring {
  device: Device;
  machine: LedgerFile['machine'];
  commit: string;
  /** Small shapes and few samples. */
  quick: boolean;
  signal: AbortSignal;
  /** Told what is being measured; an empty text at the end. */
  say(text: string): void;
}

/** Runs a paper's claims as experiments. A claim that cannot run is told of and does not take the others with it. */
export async function measurePaper(
  paper: Paper,
  { device, machine, commit, quick, signal, say }: Measuring,
): Promise<{ ledger: LedgerFile; failures: Failure[] }> {
  const entries: LedgerEntry[] = [];
  const failures: Failure[] = [];
  const claims = await paper.claims();
  for (const [index, claim] of claims.entries()) {
    signal.throwIfAborted();
    const label = `${paper.slug} ${index + 1}/${claims.length} ${claim.id}`;
    say(label);
    const run: ClaimRun = {
      device,
      quick,
      signal,
      progress: (fraction, what) => say(`${label}: ${Math.round(fraction * 100)} % ${what}`),
      time: (work, how) => timeOnDevice(device, signal, work, how),
    };
    try {
      entries.push(await judge(claim, run));
    } catch (error) {
      signal.throwIfAborted();
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
  const { kind, tier } = device;
  const date = new Date().toISOString();
  return {
    ledger: { slug: paper.slug, machine, device: kind, tier, quick, commit, date, entries },
    failures,
  };
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
async function timeOnDevice(
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
