import { median } from './steady.ts';

/** What came of one entry of a race. */
export interface Racer<T> {
  entry: T;
  samplesMs: number[];
  medianMs: number;
}

export interface RaceOptions<T> {
  /** Milliseconds of a call, `count` times. */
  sample(entry: T, count: number): Promise<number[]>;
  /** Milliseconds after which no new sample begins. */
  budgetMs: number;
  now(): number;
}

const SAMPLES = 3;
/** A leader that is ahead by this much needs no more samples. */
const CLEAR_LEAD = 0.08;
/** The last two meet this often. */
const FINALS = 3;

/**
 * Times entries against each other by successive halving: every round takes turns among those that are left and drops the
 * slower half, until the leader is clearly ahead, the last two have met in the finals, or the budget is spent.
 * @returns those that were timed, the fastest first
 */
export async function race<T>(
  entries: readonly T[],
  { sample, budgetMs, now }: RaceOptions<T>,
): Promise<Racer<T>[]> {
  const start = now();
  const spent = () => now() - start >= budgetMs;
  const byTime = (a: Racer<T>, b: Racer<T>) => a.medianMs - b.medianMs;
  let left: Racer<T>[] = entries.map((entry) => ({ entry, samplesMs: [], medianMs: Infinity }));
  const dropped: Racer<T>[] = [];
  for (let finals = 0; finals < FINALS; ) {
    for (const racer of left) {
      if (spent()) break;
      racer.samplesMs.push(...(await sample(racer.entry, SAMPLES)));
      racer.medianMs = median(racer.samplesMs);
    }
    left.sort(byTime);
    if (left.length < 2 || spent() || left[1].medianMs > left[0].medianMs * (1 + CLEAR_LEAD)) break;
    if (left.length === 2) finals++;
    else {
      const half = Math.max(2, Math.ceil(left.length / 2));
      dropped.push(...left.slice(half));
      left = left.slice(0, half);
    }
  }
  return [...left, ...dropped.sort(byTime)].filter(({ samplesMs }) => samplesMs.length > 0);
}
