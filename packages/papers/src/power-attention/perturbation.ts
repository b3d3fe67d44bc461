import type { Options } from './paper.ts';
import { powerAttention } from './reference.ts';

/**
 * Which tokens the last token of a random model depends on: the model is run once as it is and once for each token
 * with that token changed, in float64, and the last output is compared bit for bit.
 * A layer is x ← x + attention(x Wq, x Wk, x Wv), with weights drawn from the seed.
 * @returns [tokens − 1]: whether a change of the token changes the last one
 */
export function layerChanges(
  options: Options,
  { tokens, layers, seed }: { tokens: number; layers: number; seed: number },
): boolean[] {
  const headDim = 4;
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const matrix = () => Float64Array.from({ length: headDim * headDim }, random);
  const weights = Array.from({ length: layers }, () => [matrix(), matrix(), matrix()]);
  const start = Float64Array.from({ length: tokens * headDim }, random);

  const lastOf = (input: Float64Array) => {
    let state = input;
    for (const layer of weights) {
      const [query, key, value] = layer.map((weight) => multiply(state, weight, headDim));
      const shape = { batch: 1, heads: 1, keyHeads: 1, tokens, headDim };
      const { output } = powerAttention({ ...shape, query, key, value }, options);
      state = output.map((number, i) => number + state[i]);
    }
    return state.slice((tokens - 1) * headDim);
  };

  const unchanged = lastOf(start);
  return Array.from({ length: tokens - 1 }, (_, token) => {
    const changed = Float64Array.from(start);
    for (let d = 0; d < headDim; d++) changed[token * headDim + d] += 1;
    return lastOf(changed).some((number, d) => number !== unchanged[d]);
  });
}

function multiply(rows: Float64Array, weight: Float64Array, size: number): Float64Array {
  const product = new Float64Array(rows.length);
  for (let row = 0; row < rows.length / size; row++)
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++) product[row * size + j] += rows[row * size + i] * weight[i * size + j];
  return product;
}
