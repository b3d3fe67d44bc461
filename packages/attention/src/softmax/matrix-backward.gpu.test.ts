import { afterAll, describe, expect, test } from 'vitest';
import { openWebGPU } from '../device/webgpu.ts';
import { halfBackwardCases } from '../testing/backward-suite.ts';
import { randomArray } from '../testing/close.ts';
import { inSoftware } from '../testing/matrix-in-software.ts';
import { attendBackward, type BackwardOptions } from './backward.ts';

// No adapter in software has subgroup matrices: these kernels run with fragments in f32 registers, all else as it is.
const device = await openWebGPU();
afterAll(() => device.close());
const { gpu } = device;
const create = gpu.device.createShaderModule.bind(gpu.device);
gpu.device.createShaderModule = (module) => create({ ...module, code: inSoftware(module.code) });
Object.defineProperty(gpu, 'tier', { value: 'matrix' });
// less than there is: copies of a workgroup's rows take the rest
const limits = Object.fromEntries(
  Object.keys(Object.getPrototypeOf(gpu.limits)).map((name) => [
    name,
    gpu.limits[name as keyof GPUSupportedLimits],
  ]),
);
Object.defineProperty(gpu, 'limits', { value: { ...limits, maxComputeWorkgroupStorageSize: 20_000 } });

/** What only the matrix units' kernels do in their own way: tokens looked up, tiles left alone, scales, odd rows. */
const taken = new Set([
  'two batches, grouped query heads',
  'f16, odd channels',
  'blocks of 32 with full marks and a fine mask',
  'ranges in an order, causal',
  'a gradient of the log-sum-exp',
  'gradients of size 1e-20 in f32',
]);
const cases = halfBackwardCases.filter(({ name }) => taken.has(name));

describe('gradients on the matrix units, in software, are those of the reference', () => {
  test('all cases are there', () => expect(cases.map(({ name }) => name).sort()).toEqual([...taken].sort()));
  test.each(cases.map((item) => [item.name, item] as const))('%s', (_name, item) => item.run(device));
});

describe('attendBackward() on a device with matrix units', () => {
  const shape = [1, 1, 40, 16];
  const call = async (options: BackwardOptions) => {
    const [query, key, value] = [1, 2, 3].map((seed) =>
      device.tensor(randomArray(seed, shape), shape, 'f16'),
    );
    const result = { output: query, logSumExp: device.tensor(new Float32Array(40).fill(4), [1, 1, 40]) };
    return attendBackward(query, key, value, result, value, options);
  };

  test('gives the same bits on every run', async () => {
    const runs = [await call({}), await call({})];
    expect(runs.map(({ tier }) => tier)).toEqual(['matrix', 'matrix']);
    for (const name of ['query', 'key', 'value'] as const) {
      const [first, again] = await Promise.all(runs.map((run) => run[name].read()));
      expect(again).toEqual(first);
    }
  });

  test('runs the portable kernels where scores change by more or less than a number is added', async () => {
    const { tier } = await call({ score: ({ score }) => score.mul(2) });
    expect(tier).toBe('portable');
  });
});
