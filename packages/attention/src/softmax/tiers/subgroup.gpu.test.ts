import { afterAll, describe, expect, test } from 'vitest';
import { openDevice } from '../../device/open.ts';
import { openWebGPU } from '../../device/webgpu.ts';
import type { Tensor } from '../../tensor.ts';
import { expectClose, randomArray, tolerances } from '../../testing/close.ts';
import { deviceCases } from '../../testing/suite.ts';
import { checkAttend } from '../attend.ts';

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
  'attention under top k that stays on the device',
];

describe('the subgroup tier does as the reference does', () => {
  test.each(own)('%s', async (name) => {
    const item = deviceCases.find((one) => one.name === name);
    expect(item, 'a case of the suite').toBeDefined();
    await item!.run(device);
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
