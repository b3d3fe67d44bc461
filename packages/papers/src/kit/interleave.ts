import type { ClaimRun } from './claim.ts';

/**
 * Milliseconds of several pieces of work, taken in turns in one run, so that none profits from a machine that warms up
 * or is slowed down by one that tires.
 * @param works by name; each returns once its work is queued and frees what it made
 * @returns `samples` times for each name
 * @throws the signal's reason when cancelled
 */
export async function interleave<Name extends string>(
  run: Pick<ClaimRun, 'time' | 'signal'>,
  works: Readonly<Record<Name, () => Promise<unknown>>>,
  { samples, warmUp = 2 }: { samples: number; warmUp?: number },
): Promise<Record<Name, number[]>> {
  const names = Object.keys(works) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < samples; round++) {
    for (const name of names) {
      run.signal.throwIfAborted();
      times[name].push(...(await run.time(works[name], { samples: 1, warmUp: round === 0 ? warmUp : 0 })));
    }
  }
  return times;
}
