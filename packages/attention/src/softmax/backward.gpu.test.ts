import { afterAll, describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { openDevice } from '../device/open.ts';
import { openWebGPU } from '../device/webgpu.ts';
import { DeviceError } from '../errors.ts';
import { table } from '../mods/expression.ts';
import { backwardCases } from '../testing/backward-suite.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { attend } from './attend.ts';
import { attendBackward, type BackwardOptions, checkBackward } from './backward.ts';
import { backwardBytes, chooseBackwardTile } from './tiers/portable-backward-tile.ts';
import { attendBackwardOnGpu } from './webgpu-backward.ts';

const device = await openWebGPU();
afterAll(() => device.close());

describe('gradients on WebGPU are those of the reference', () => {
  test.each(backwardCases.map((item) => [item.name, item] as const))('%s', (_name, item) => item.run(device));
});

describe('the tiles of GPUs', () => {
  const tile = { rowTile: 32, columnTile: 32, rowsPerThread: 4, chunk: 4 };

  test('give the same gradients, with rows unrolled', async () => {
    const reference = await openDevice('reference');
    const shape = [1, 1, 70, 20];
    const requestOn = async (on: Device) => {
      const [query, key, value, outputGradient] = [1, 2, 3, 4].map((seed) =>
        on.tensor(randomArray(seed, shape), shape, 'f32'),
      );
      const bias = table(on.tensor(randomArray(5, [70]), [70], 'f32'), [70]);
      const options: BackwardOptions = {
        causal: true,
        score: ({ score, key: j, read }) => score.mul(read(bias, j)),
        tables: [bias],
      };
      const result = await attend(query, key, value, options);
      return checkBackward(query, key, value, result, outputGradient, options);
    };
    const actual = await attendBackwardOnGpu(device.gpu, await requestOn(device), {
      queries: tile,
      keys: tile,
      tables: tile,
    });
    const expected = await reference.kernels.attendBackward(await requestOn(reference));
    for (const name of ['query', 'key', 'value'] as const)
      expectClose(await actual[name].read(), await expected[name].read(), tolerances.f32, name);
    expectClose(await actual.tables[0].read(), await expected.tables[0].read(), tolerances.f32, 'table');
  });

  test.each([16_384, 32_768, 49_152])('fit into %i bytes of workgroup memory', (memoryBytes) => {
    for (const channels of [1, 33, 64, 128, 256])
      for (const side of ['queries', 'keys', 'tables'] as const)
        for (const rows of [4, 16, 64, 4096]) {
          const shape = chooseBackwardTile(side, rows, channels, channels, {
            memoryBytes,
            threads: 256,
            software: false,
          });
          expect(backwardBytes(shape)).toBeLessThanOrEqual(memoryBytes);
          expect(shape.threads).toBeLessThanOrEqual(256);
        }
  });
});

describe('attendBackward() on WebGPU', () => {
  const shape = [1, 3, 17, 33]; // kernels that a case above has compiled
  const tensors = () => [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));

  test('leaves nothing behind but what it returns', async () => {
    const [query, key, value] = tensors();
    const result = { output: query, logSumExp: device.tensor(new Float32Array(51), [1, 3, 17]) };
    const once = async () => {
      const gradients = await attendBackward(query, key, value, result, value);
      await device.finish();
      for (const tensor of [gradients.query, gradients.key, gradients.value]) tensor.dispose();
      return device.memory.currentBytes;
    };
    const bytes = await once();
    expect((await once()) - bytes).toBeLessThanOrEqual(16); // the plan of a call lives until it is garbage
  });

  test('stops when the signal says so, and refuses tiers that it has not', async () => {
    const [query, key, value] = tensors();
    const result = { output: query, logSumExp: device.tensor(new Float32Array(51), [1, 3, 17]) };
    const run = (options: BackwardOptions) => attendBackward(query, key, value, result, value, options);
    await expect(run({ signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    await expect(run({ tier: 'matrix' })).rejects.toThrow(DeviceError);
    await expect(run({ tier: 'matrix' })).rejects.toThrow(/does not run on this adapter/);
    await expect(run({ tier: 'subgroup' })).rejects.toThrow(/no kernels of the tier 'subgroup'/);
  });
});
