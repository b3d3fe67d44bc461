import { afterAll, describe, test } from 'vitest';
import { openDevice } from '../../device/open.ts';
import { openWebGPU } from '../../device/webgpu.ts';
import { expectClose, randomArray, tolerances } from '../../testing/close.ts';
import { type AttendOptions, checkAttend } from '../attend.ts';
import { attendOnGpu } from '../webgpu.ts';
import type { ForcedTile } from './forward.ts';
import type { Tile } from './portable-tile.ts';
import type { SubgroupTile } from './subgroup-tile.ts';

const device = await openWebGPU({ tier: 'subgroup' });
const reference = await openDevice('reference');
afterAll(() => device.close());

const plain: SubgroupTile = {
  queryTile: 16,
  keyTile: 16,
  rowsPerThread: 2,
  keysPerThread: 4,
  queriesAs: 'f16',
  keysAs: 'f16',
  weightsAs: 'f16',
  shared: false,
  prefetch: true,
  abreast: 1,
};

const portable: Tile = { queryTile: 16, keyTile: 16, rowsPerThread: 2, chunk: 2, prefetch: true, abreast: 2 };

const subgroup = (change: Partial<SubgroupTile>): ForcedTile => ({
  tier: 'subgroup',
  tile: { ...plain, ...change },
});

/** Each choice of a tile at least once; lanes of a row beyond a software subgroup's four meet in workgroup memory. */
const tiles: [string, ForcedTile][] = [
  ['portable, prefetch of chunks', { tier: 'portable', tile: portable }],
  ['portable, prefetch of whole rows', { tier: 'portable', tile: { ...portable, chunk: 8, abreast: 1 } }],
  ['prefetch, lanes of one subgroup', subgroup({})],
  ['keys and values in turns, by workgroup memory', subgroup({ shared: true, abreast: 2 })],
  ['eight keys a thread', subgroup({ keysPerThread: 8, keyTile: 32 })],
  ['eight keys, f32 weights, two rows abreast', subgroup({ keysPerThread: 8, abreast: 2, weightsAs: 'f32' })],
  ['f32 queries', subgroup({ queriesAs: 'f32' })],
  ['f32 keys and values in turns', subgroup({ keysAs: 'f32', shared: true, weightsAs: 'f32' })],
  [
    'f32 throughout, no prefetch',
    subgroup({ queriesAs: 'f32', keysAs: 'f32', weightsAs: 'f32', prefetch: false }),
  ],
  ['one vec4 of values a lane', subgroup({ keyTile: 32, rowsPerThread: 4 })],
];

describe('every kind of tile', () => {
  const shapes = { query: [1, 2, 35, 24], key: [1, 1, 41, 24], value: [1, 1, 41, 20] };
  const spoiled = randomArray(3, shapes.value);
  spoiled[33 * 20 + 7] = Number.NaN;
  const window: AttendOptions = { mask: ({ query, key }) => query.sub(key).abs().lt(7), outputDType: 'f32' };

  test.each(tiles)('%s', async (_name, forced) => {
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
        return on === device ? attendOnGpu(device.gpu, request, forced) : on.kernels.attend(request);
      };
      const [actual, expected] = [await run(device), await run(reference)];
      expectClose(await actual.output.read(), await expected.output.read(), tolerances.f16, 'output');
      expectClose(await actual.logSumExp.read(), await expected.logSumExp.read(), tolerances.f32, 'sum');
    }
  });
});
