import type { BenchCase } from '../../packages/site/src/shared/bench.ts';

type Sizes = Pick<BenchCase, 'batch' | 'heads' | 'headDim'>;

/** [batch, heads, tokens, headDim] as [batch, tokens, heads, headDim], in which several libraries take attention. */
export function tokensFirst(data: Float32Array, { batch, heads, headDim }: Sizes): Float32Array {
  return swapMiddle(data, [batch, heads, data.length / (batch * heads * headDim), headDim]);
}

/** The other way round. */
export function headsFirst(data: Float32Array, { batch, heads, headDim }: Sizes): Float32Array {
  return swapMiddle(data, [batch, data.length / (batch * heads * headDim), heads, headDim]);
}

function swapMiddle(data: Float32Array, [a, b, c, d]: [number, number, number, number]): Float32Array {
  const swapped = new Float32Array(data.length);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let k = 0; k < c; k++) {
        const from = ((i * b + j) * c + k) * d;
        swapped.set(data.subarray(from, from + d), ((i * c + k) * b + j) * d);
      }
  return swapped;
}
