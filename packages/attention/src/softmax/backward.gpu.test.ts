import { afterAll, describe, test } from 'vitest';
import { openWebGPU } from '../device/webgpu.ts';
import { backwardCases } from '../testing/backward-suite.ts';

const device = await openWebGPU();
afterAll(() => device.close());

describe('gradients on WebGPU are those of the reference', () => {
  test.each(backwardCases.map((item) => [item.name, item] as const))('%s', (_name, item) => item.run(device));
});
