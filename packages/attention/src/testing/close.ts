import { sizeOf, type Tensor } from '../tensor.ts';

export interface Tolerance {
  absolute: number;
  relative: number;
  /** Allowed ratio of root mean squares: of the difference, over the expected. */
  rms: number;
}

/**
 * One table for all tests. f32 kernels sum some hundreds of products in another order than float64 does: 2e-5 leaves
 * a factor of ten. f16 storage rounds inputs and outputs to 11 bits: 2^-11 = 4.9e-4, times a few for the two products.
 */
export const tolerances = {
  f64: { absolute: 1e-10, relative: 1e-10, rms: 1e-10 },
  f32: { absolute: 2e-5, relative: 2e-5, rms: 5e-6 },
  f16: { absolute: 4e-3, relative: 4e-3, rms: 2e-3 },
} as const satisfies Record<string, Tolerance>;

/**
 * Compares arrays: length, then places of NaN and infinities, then |a − e| ≤ absolute + relative |e| for each element,
 * then the ratio of root mean squares. Throws an Error that says how many differ, the worst index and both values.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
  label = '',
): void {
  const fail = (text: string) => {
    throw new Error(`${label ? `${label}: ` : ''}${text}`);
  };
  if (actual.length !== expected.length)
    fail(`${actual.length} numbers where ${expected.length} are expected`);
  let wrong = 0;
  let worst = -1;
  let worstExcess = 0;
  let differenceSquares = 0;
  let expectedSquares = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i];
    const e = expected[i];
    if (Number.isFinite(a) && Number.isFinite(e)) {
      const excess = Math.abs(a - e) / (tolerance.absolute + tolerance.relative * Math.abs(e));
      differenceSquares += (a - e) ** 2;
      expectedSquares += e ** 2;
      if (excess <= 1) continue;
      wrong++;
      if (excess > worstExcess) [worst, worstExcess] = [i, excess];
    } else if (!Object.is(a, e)) {
      wrong++;
      [worst, worstExcess] = [i, Infinity];
    }
  }
  if (wrong > 0)
    fail(
      `${wrong} of ${expected.length} differ; worst at ${worst}: ${actual[worst]} where ${expected[worst]} is expected`,
    );
  const ratio = Math.sqrt(differenceSquares / Math.max(expectedSquares, Number.MIN_VALUE));
  if (expectedSquares > 0 && ratio > tolerance.rms)
    fail(`root mean square of the difference is ${ratio} of the expected; allowed ${tolerance.rms}`);
}

/** Seeded numbers in (-1, 1), the same on every machine (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** Seeded array of a shape. */
export function randomArray(seed: number, shape: readonly number[], spread = 1): Float32Array {
  const next = randomNumbers(seed);
  return Float32Array.from({ length: sizeOf(shape) }, () => next() * spread);
}

/** Reads a tensor as plain numbers. */
export async function numbers(tensor: Tensor): Promise<number[]> {
  return Array.from(await tensor.read());
}
