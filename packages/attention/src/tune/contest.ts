import { throwIfAborted } from '../errors.ts';
import type { Candidate } from '../softmax/tiers/candidates.ts';
import type { ForcedTile } from '../softmax/tiers/forward.ts';
import { type Racer, race } from './race.ts';

/** What a contest asks of the machine. */
export interface Arena {
  /** Compiles a candidate. */
  compile(candidate: Candidate): Promise<unknown>;
  /** What a candidate computes wrong on a small input, or undefined. */
  check(candidate: Candidate): Promise<string | undefined>;
  /** Brings the machine to its speed. */
  wake(candidate: Candidate): Promise<unknown>;
  /** Milliseconds of a call, `count` times. */
  sample(candidate: Candidate, count: number): Promise<number[]>;
  now(): number;
}

/** A candidate that was not timed. */
export interface Dropped {
  tile: ForcedTile | undefined;
  reason: string;
  /** It computes wrong: it needs no second try. */
  wrong: boolean;
}

export interface Contest {
  /** The candidate to use; undefined: none was left. */
  best: Racer<Candidate> | undefined;
  /** The tier's own choice; undefined where it was dropped or not timed. */
  own: Racer<Candidate> | undefined;
  /** All that were timed, the fastest first. */
  timed: Racer<Candidate>[];
  dropped: Dropped[];
}

export interface ContestLimits {
  /** Milliseconds that a candidate may take to compile, and then for its first run. */
  compileMs: number;
  /** Milliseconds of timing. */
  budgetMs: number;
}

/** In software the processor compiles and computes, and does not do other things meanwhile. */
export const contestLimits = {
  hardware: { compileMs: 3000, budgetMs: 1500 },
  software: { compileMs: 60_000, budgetMs: 3000 },
} as const satisfies Record<string, ContestLimits>;

/** Less is noise: the tier's own choice stays. */
const LEAST_GAIN = 0.02;

/**
 * Finds the fastest of a family's candidates, the first of which is the tier's own choice: compiles them side by side,
 * drops those that compile slowly or compute wrong, races the rest.
 */
export async function holdContest(
  candidates: readonly Candidate[],
  arena: Arena,
  { limits, signal }: { limits: ContestLimits; signal?: AbortSignal },
): Promise<Contest> {
  const dropped: Dropped[] = [];
  const drop = ({ tile }: Candidate, reason: string, wrong = false) => {
    dropped.push({ tile, reason, wrong });
  };
  const { compileMs, budgetMs } = limits;
  const compiled = await Promise.all(
    candidates.map(async (candidate) => {
      try {
        // the tier's own choice runs anyway, however long it takes
        const within = candidate.tile ? compileMs : Infinity;
        if (await inTime(arena.compile(candidate), within)) return candidate;
        drop(candidate, `compiling took more than ${compileMs} ms`);
      } catch (error) {
        drop(candidate, `it does not compile: ${(error as Error).message}`);
      }
      return undefined;
    }),
  );
  const right: Candidate[] = [];
  for (const candidate of compiled) {
    throwIfAborted(signal);
    if (!candidate) continue;
    const start = arena.now();
    const fault = await arena.check(candidate);
    // some drivers compile at the first run
    const slow = candidate.tile && arena.now() - start > compileMs;
    if (fault !== undefined) drop(candidate, fault, true);
    else if (slow) drop(candidate, `the first run took more than ${compileMs} ms`);
    else right.push(candidate);
  }
  if (right.length === 0) return { best: undefined, own: undefined, timed: [], dropped };
  await arena.wake(right[0]);
  const timed = await race(right, {
    sample: (candidate, count) => arena.sample(candidate, count),
    now: () => arena.now(),
    budgetMs,
  });
  const own = timed.find(({ entry }) => entry.tile === undefined);
  const best = own && own.medianMs <= timed[0].medianMs * (1 + LEAST_GAIN) ? own : timed[0];
  return { best, own, timed, dropped };
}

/** Whether work ends within a time; it goes on if not, and what becomes of it then is nobody's concern. */
async function inTime(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  if (milliseconds === Infinity) return work.then(() => true);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
