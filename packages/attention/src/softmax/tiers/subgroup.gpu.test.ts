import { afterAll, describe, expect, test } from 'vitest';
import { openDevice } from '../../device/open.ts';
import { openWebGPU } from '../../device/webgpu.ts';
import type { Tensor } from '../../tensor.ts';
import { expectClose, randomArray, tolerances } from '../../testing/close.ts';
import { deviceCases } from '../../testing/suite.ts';
import { type AttendOptions, checkAttend } from '../attend.ts';
import { attendOnGpu } from '../webgpu.ts';
import type { SubgroupTile } from './subgroup-tile.ts';

const device = await openWebGPU({ tier: 'subgroup' });
const reference = await openDevice('reference');
afterAll(() => device.close());

/** What the tier does in a way of its own: the other cases run through stages that it shares. */
const own = [
  '17 tokens, 3 heads',
  'headDim 1',
  'headDim 64',
  'valueDim other than headDim',
  'two batches, grouped query heads',
  'no key',
  'causal, more queries than keys',
  'scores that rise along the keys',
  'f16, odd channels',
  'blocks of 49',
  'blocks with full marks and a fine mask',
  'full marks do not hide a causal mask',
  'orders with padding, lists per batch and head',
  'zero keys under a mask and a score',
  'f16 with an epilogue and a mask',
  'rows that see nothing',
  'masked keys that hold 1e30',
  'a key that is NaN reaches only the rows that see it',
  'a query that is NaN spoils its row only',
  'attention under a selection that stays on the device',
];

describe('the subgroup tier does as the reference does', () => {
  test.each(own)('%s', async (name) => {
    const item = deviceCases.find((one) => one.name === name);
    expect(item, 'a case of the suite').toBeDefined();
    await item!.run(device);
  });
});

const plain: SubgroupTile = {
  queryTile: 16,
  keyTile: 16,
  rowsPerThread: 4,
  keysPerThread: 4,
  queriesAs: 'f16',
  keysAs: 'f16',
  weightsAs: 'f16',
  shared: false,
  prefetch: true,
  abreast: 1,
};

/** Each choice of a tile at least once; lanes of a row beyond a software subgroup's four meet in workgroup memory. */
const tiles: [string, Partial<SubgroupTile>][] = [
  ['prefetch, lanes of one subgroup', {}],
  ['keys and values in turns, by workgroup memory', { shared: true, abreast: 2 }],
  ['eight keys a thread', { keysPerThread: 8, keyTile: 32 }],
  ['eight keys, f32 weights, two rows abreast', { keysPerThread: 8, abreast: 2, weightsAs: 'f32' }],
  ['f32 queries', { queriesAs: 'f32', rowsPerThread: 2 }],
  ['f32 keys and values in turns', { keysAs: 'f32', shared: true, weightsAs: 'f32' }],
  ['f32 throughout, no prefetch', { queriesAs: 'f32', keysAs: 'f32', weightsAs: 'f32', prefetch: false }],
  ['one vec4 of values a lane', { keyTile: 32, rowsPerThread: 2 }],
];

describe('every kind of tile', () => {
  const shapes = { query: [1, 2, 35, 24], key: [1, 1, 41, 24], value: [1, 1, 41, 20] };
  const spoiled = randomArray(3, shapes.value);
  spoiled[33 * 20 + 7] = Number.NaN;
  const window: AttendOptions = { mask: ({ query, key }) => query.sub(key).abs().lt(7), outputDType: 'f32' };

  test.each(tiles)('%s', async (_name, change) => {
    for (const [options, value] of [
      [{ outputDType: 'f32' } as AttendOptions, randomArray(3, shapes.value)],
      [window, spoiled],
    ] as const) {
      const run = async (on: typeof device | typeof reference) => {
        const tensors = [
          on.tensor(randomArray(1, shapes.query), shapes.query, 'f16'),
          on.tensor(randomArray(2, shapes.key), shapes.key, 'f16'),
          on.tensor(value, shapes.value, 'f16'),
        ] as const;
        const request = checkAttend(...tensors, options);
        return on === device
          ? attendOnGpu(device.gpu, request, { tier: 'subgroup', tile: { ...plain, ...change } })
          : on.kernels.attend(request);
      };
      const [actual, expected] = [await run(device), await run(reference)];
      expectClose(await actual.output.read(), await expected.output.read(), tolerances.f16, 'output');
      expectClose(await actual.logSumExp.read(), await expected.logSumExp.read(), tolerances.f32, 'sum');
    }
  });
});

describe('accuracy of f16', () => {
  const shape = [1, 1, 48, 64];
  const tensorsOn = (on: { tensor: typeof device.tensor }, spread: number) =>
    [1, 2, 3].map((seed) => on.tensor(randomArray(seed, shape, seed < 3 ? spread : 1), shape, 'f16')) as [
      Tensor,
      Tensor,
      Tensor,
    ];

  // |score| = |q·k| / 8 of uniform numbers in (-spread, spread) has a deviation of spread² / 3
  test.each([
    ['random inputs', 1, 2e-3],
    ['scores up to about 100', 10, 1e-2],
  ])('%s', async (_name, spread, allowed) => {
    const run = async (on: typeof device | typeof reference) => {
      const tensors = tensorsOn(on, spread);
      const request = checkAttend(...tensors, {});
      const { output, logSumExp } = await on.kernels.attend(request);
      return [await output.read(), await logSumExp.read()];
    };
    const [[actual, sums], [expected, expectedSums]] = [await run(device), await run(reference)];
    if (spread > 1) expect(Math.max(...expectedSums.map(Math.abs))).toBeGreaterThan(60);
    expectClose(actual, expected, { absolute: allowed, relative: allowed, rms: allowed });
    expectClose(sums, expectedSums, tolerances.f32);
  });
});
