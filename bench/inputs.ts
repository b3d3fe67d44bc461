import { randomNumbers } from '../packages/attention/src/testing/close.ts';
import type { BenchCase } from '../packages/site/src/shared/bench.ts';
import type { Inputs } from './peers/peer.ts';

/** Length of the pattern that long tensors repeat: a prime, so that rows differ, and a second's work less to make. */
const PERIOD = 1_000_003;

/** Seeded numbers in (-1, 1), the same for every peer. */
export function inputsOf({ batch, heads, queryTokens, keyTokens, headDim }: BenchCase): Inputs {
  const [query, key, value] = [queryTokens, keyTokens, keyTokens].map((tokens, index) => {
    const numbers = new Float32Array(batch * heads * tokens * headDim);
    const next = randomNumbers(index + 1);
    const drawn = Math.min(PERIOD, numbers.length);
    for (let i = 0; i < drawn; i++) numbers[i] = next();
    for (let at = drawn; at < numbers.length; at += drawn)
      numbers.copyWithin(at, 0, Math.min(drawn, numbers.length - at));
    return numbers;
  });
  return { query, key, value };
}
