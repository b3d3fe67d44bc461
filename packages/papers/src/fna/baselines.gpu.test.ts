import { attend, openDevice } from '@saccade/attention';
import { offers } from '@saccade/attention/custom';
import { expectClose, randomArray, tolerances } from '@saccade/attention/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { type BaselineName, baseline, type Neighbourhood } from './baselines.ts';

const device = await openDevice('webgpu');
const reference = await openDevice('reference');
afterAll(() => device.close());

/** Neighbourhood attention as a mask over all pairs, on the reference device: slow, and independent of the kernels. */
async function masked(
  arrays: Float32Array[],
  shape: number[],
  { grid, window, dilation, causal }: Neighbourhood,
) {
  const sees = (query: number, key: number): boolean => {
    for (let axis = grid.length - 1; axis >= 0; axis--) {
      const [x, y] = [query % grid[axis], key % grid[axis]];
      query = Math.floor(query / grid[axis]);
      key = Math.floor(key / grid[axis]);
      const d = dilation[axis];
      if (x % d !== y % d) return false;
      const [i, j] = [Math.floor(x / d), Math.floor(y / d)];
      const length = Math.ceil((grid[axis] - (x % d)) / d);
      const [first, last] = causal[axis]
        ? [Math.max(i - window[axis] + 1, 0), i]
        : (() => {
            const start = Math.min(Math.max(i - (window[axis] - 1) / 2, 0), length - window[axis]);
            return [start, start + window[axis] - 1];
          })();
      if (j < first || j > last) return false;
    }
    return true;
  };
  const tokens = shape[2];
  const table = Float32Array.from({ length: tokens * tokens }, (_, pair) =>
    sees(Math.floor(pair / tokens), pair % tokens) ? 1 : 0,
  );
  const { table: handle } = await import('@saccade/attention').then(({ table: make }) => ({
    table: make(table, [tokens, tokens]),
  }));
  const [query, key, value] = arrays.map((data) => reference.tensor(data, shape));
  const { output } = await attend(query, key, value, {
    mask: ({ query: i, key: j, read }) => read(handle, i, j).gt(0.5),
  });
  return output.read();
}

const cases: { name: string; neighbourhood: Neighbourhood; heads: number; headDim: number }[] = [
  {
    name: '1-D, odd length',
    neighbourhood: { grid: [70], window: [9], dilation: [1], causal: [false] },
    heads: 2,
    headDim: 8,
  },
  {
    name: '1-D, dilated and causal',
    neighbourhood: { grid: [67], window: [5], dilation: [3], causal: [true] },
    heads: 1,
    headDim: 16,
  },
  {
    name: '2-D',
    neighbourhood: { grid: [11, 13], window: [5, 3], dilation: [1, 1], causal: [false, false] },
    heads: 2,
    headDim: 20,
  },
  {
    name: '2-D, dilated',
    neighbourhood: { grid: [12, 13], window: [3, 3], dilation: [2, 3], causal: [false, false] },
    heads: 1,
    headDim: 8,
  },
  {
    name: '3-D, causal in time, wide heads',
    neighbourhood: { grid: [5, 6, 7], window: [3, 3, 5], dilation: [1, 1, 1], causal: [true, false, false] },
    heads: 1,
    headDim: 68,
  },
];

const storages = offers(device, 'shader-f16') ? (['f32', 'f16'] as const) : (['f32'] as const);
const runs = storages.flatMap((dtype) => cases.map((each) => ({ ...each, dtype })));

describe.each(['naive', 'unfused'] as BaselineName[])('the %s baseline equals masked attention', (name) => {
  test.each(runs)('$name, $dtype', async ({ neighbourhood, heads, headDim, dtype }) => {
    const tokens = neighbourhood.grid.reduce((product, length) => product * length, 1);
    const shape = [2, heads, tokens, headDim];
    const arrays = [1, 2, 3].map((seed) => randomArray(seed, shape));
    const [query, key, value] = arrays.map((data) => device.tensor(data, shape, dtype));
    const { output, weightBytes } = await baseline(name, { query, key, value }, neighbourhood);
    expectClose(await output.read(), await masked(arrays, shape, neighbourhood), tolerances[dtype]);
    const window = neighbourhood.window.reduce((product, length) => product * length, 1);
    expect(weightBytes).toBe(2 * heads * tokens * window * (dtype === 'f16' ? 2 : 4));
  });
});
