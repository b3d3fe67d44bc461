import { throwIfAborted } from '../errors.ts';

/** What is timed, and how the end of it is seen. */
export interface Timed {
  /** Queues one call. Resolves when it is queued, not when it is done. */
  work: () => Promise<unknown>;
  /** finish() resolves when all that was queued before is done. */
  device: { finish(): Promise<void> };
  signal?: AbortSignal;
  /** Milliseconds from any start; default: performance.now(). */
  now?: () => number;
}

/**
 * After this long without work a GPU may clock down; back at work it reads up to four times slow for a second, in steps. On an
 * H100 kernels that came after the compilation of one, some 200 ms, were read so: 300 ms were too many here.
 */
const IDLE_MS = 30;
const WAKING_MS = 1000;
const MOST_WAKING_MS = 3000;
const WINDOW_MS = 150;
const SAMPLES_AT_ONCE = 4;
/** Medians of two windows that differ by less than this share agree. */
const AGREEMENT = 0.03;
/** A sample shorter than this says more about queues and timers than about the work. */
const LEAST_SAMPLE_MS = 5;
const MOST_CALLS = 512;

/** When a device last ended a sample. */
const lastBusy = new WeakMap<object, number>();

/** Tells that a device has worked until now. */
export function noteBusy(device: object, now = performance.now()): void {
  lastBusy.set(device, now);
}

function hasRested(device: object, now: number): boolean {
  return now - (lastBusy.get(device) ?? Number.NEGATIVE_INFINITY) > IDLE_MS;
}

/** Repeats `step` for a second on a device that was idle, so that what comes next is read at its full speed. */
export async function wakeWith(device: object, step: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  if (!hasRested(device, start)) return;
  do await step();
  while (performance.now() - start < WAKING_MS);
  noteBusy(device);
}

/** Ends this close to each other were seen at one look: less than what a batch that says something takes. */
const TOGETHER_MS = 0.05;

/**
 * Milliseconds of a call, sample by sample, while the device is never idle: a sample is a batch of `calls` that was queued
 * while the batch before it ran, from the end of that one to its own. Where queueing takes longer than the work, the ends of
 * two batches are seen together, after both: such batches make one sample, which says what queueing takes.
 * @returns `samples` times, fewer where ends keep being seen together
 */
export async function sampleBusy(
  { work, device, signal, now = () => performance.now() }: Timed,
  calls: number,
  samples: number,
): Promise<number[]> {
  const queue = async () => {
    throwIfAborted(signal);
    for (let i = 0; i < calls; i++) await work();
    const done = device.finish().then(now);
    done.catch(() => {}); // it throws where it is awaited, a batch later
    return { done };
  };
  const times: number[] = [];
  let last = Number.NaN;
  let together = 0;
  let batches = 1;
  let running = await queue();
  for (let queued = 1; ; queued++) {
    const more = queued <= Math.min(samples + together, 2 * samples);
    const next = more ? await queue() : undefined;
    const end = await running.done;
    noteBusy(device, end);
    if (end - last <= TOGETHER_MS) {
      together++;
      batches++;
    } else {
      if (queued > 1) times.push((end - last) / (calls * batches));
      last = end;
      batches = 1;
    }
    if (!next) return times;
    running = next;
  }
}

/**
 * How many calls fill a sample. Ends of short batches are seen together, and their difference says nothing: counts grow until
 * a batch is long enough to be seen by itself.
 */
export async function fillSample(timed: Timed): Promise<number> {
  for (let calls = 1; ; calls = Math.min(MOST_CALLS, 4 * calls)) {
    const [timeMs = 0] = await sampleBusy(timed, calls, 1);
    if (calls * timeMs >= LEAST_SAMPLE_MS / 2 || calls === MOST_CALLS) return callsOf(timeMs);
  }
}

function callsOf(timeMs: number): number {
  return Math.min(MOST_CALLS, Math.max(1, Math.ceil(LEAST_SAMPLE_MS / timeMs)));
}

/**
 * Keeps a device busy until successive medians agree, and for a second if it was idle.
 * @returns how many calls fill a sample by then
 */
export async function wake(timed: Timed): Promise<number> {
  const { device, now = () => performance.now() } = timed;
  const start = now();
  const least = hasRested(device, start) ? WAKING_MS : 0;
  let calls = await fillSample(timed);
  for (let before = Number.NaN; ; ) {
    const from = now();
    const samples: number[] = [];
    do samples.push(...(await sampleBusy(timed, calls, SAMPLES_AT_ONCE)));
    while (now() - from < WINDOW_MS);
    const timeMs = samples.length > 0 ? median(samples) : 0;
    calls = callsOf(timeMs);
    const agrees = Math.abs(timeMs - before) <= AGREEMENT * before && now() - start >= least;
    if (agrees || now() - start > MOST_WAKING_MS) return calls;
    before = timeMs;
  }
}

/** Milliseconds of a call on a device that is awake: the median of `samples`, each of 5 ms or more. */
export async function timeSteady(
  timed: Timed,
  samples = 7,
): Promise<{ samplesMs: number[]; medianMs: number }> {
  const samplesMs = await sampleBusy(timed, await wake(timed), samples);
  return { samplesMs, medianMs: median(samplesMs) };
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
