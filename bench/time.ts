import { wakeWith } from '../packages/attention/src/tune/steady.ts';
import type { BenchFile, BenchResult } from '../packages/site/src/shared/bench.ts';
import type { TimedCase } from './cases.ts';
import { inputsOf } from './inputs.ts';
import type { Peer, Prepared } from './peers/peer.ts';

/** Outputs are means of values in (-1, 1): sums in another order differ by some 1e-7 in f32, halves by some 1e-3. */
const MOST_DIFFERENCE = { f32: 1e-5, f16: 5e-3 };

interface Ready {
  prepared: Prepared;
  result: BenchResult;
}

/** Runs a case on every peer that takes it: equal outputs first, then times, round by round. */
export async function runCase(
  item: TimedCase,
  peers: readonly Peer[],
): Promise<Pick<BenchFile, 'results' | 'skipped'>> {
  const { facts, chains } = item;
  const inputs = inputsOf(facts);
  const ready: Ready[] = [];
  const skipped: BenchFile['skipped'] = [];
  const leave = (peer: string, why: string) => skipped.push({ case: facts.id, peer, why });
  let expected: Float32Array | undefined;
  try {
    for (const peer of peers.filter((candidate) => candidate.takes(facts))) {
      const missing = await peer.unavailable(facts);
      if (missing) {
        leave(peer.name, missing);
        continue;
      }
      let prepared: Prepared | undefined;
      try {
        const made = await peer.prepare(item, inputs);
        prepared = made;
        const output = await prepared.output();
        const difference = expected && output ? largestDifference(expected, output) : null;
        if (difference !== null && !(difference <= MOST_DIFFERENCE[facts.dtype]))
          throw new Error(`differs by ${difference} from ${ready[0].result.peer}: not the same attention`);
        expected ??= output;
        await wakeWith(made, () => made.run(chains[0]));
        const { description } = prepared;
        const empty = { case: facts, peer: peer.name, description, samplesMs: [], rawMs: [] };
        ready.push({ prepared, result: { ...empty, chains: [...chains], difference } });
      } catch (error) {
        leave(peer.name, String((error as Error).message ?? error).split('\n')[0]);
        await prepared?.close();
      }
    }
    await time(item, ready);
  } finally {
    for (const { prepared } of ready) await prepared.close();
  }
  return { results: ready.map(({ result }) => result), skipped };
}

/**
 * Interleaved: every round times every peer, in turns of order, so that a busy machine slows all alike. Before the clock
 * starts a peer runs as much as its longest chain untimed, so that none pays for what the one before left (clocks, caches).
 */
async function time({ chains, rounds }: TimedCase, ready: readonly Ready[]): Promise<void> {
  const [short, long] = chains;
  for (let round = 0; round < rounds; round++) {
    for (const { prepared, result } of round % 2 ? ready.toReversed() : ready) {
      await prepared.run(long ?? short);
      const spent: number[] = [];
      for (const chain of chains) {
        const begin = performance.now();
        await prepared.run(chain);
        spent.push(performance.now() - begin);
      }
      result.rawMs?.push(spent);
      result.samplesMs.push(long ? (spent[1] - spent[0]) / (long - short) : spent[0] / short);
    }
  }
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
