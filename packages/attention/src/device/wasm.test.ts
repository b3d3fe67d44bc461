import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { table } from '../mods/expression.ts';
import { attend } from '../softmax/attend.ts';
import { runAttend } from '../testing/cases.ts';
import { deviceCases, expectClose, randomArray, tolerances } from '../testing/index.ts';
import type { Device } from './device.ts';
import { openDevice } from './open.ts';

beforeAll(() => {
  const kernel = new URL('../../dist/attention-relaxed-shared.wasm', import.meta.url);
  if (!existsSync(kernel))
    execFileSync(process.execPath, [fileURLToPath(new URL('../../assembly/build.mjs', import.meta.url))]);
});

describe.each([1, 3])('WASM with %i threads', (threads) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('wasm', { threads });
  });
  afterAll(async () => {
    await device.close();
  });

  it.each(deviceCases.map((item) => [item.name, item] as const))('%s', async (_name, item) => {
    await item.run(device);
  });
});

describe('WASM with channels that fill its vectors and that do not', async () => {
  const device = await openDevice('wasm', { threads: 1 });
  afterAll(() => device.close());

  it.each([16, 20, 24, 40, 48, 72, 96, 100, 112, 160, 192, 224, 255])('headDim %i', async (headDim) => {
    const sizes = { queryTokens: 21, keyTokens: 70, headDim };
    await runAttend({ ...sizes, name: `f32 of ${headDim}`, options: () => ({ causal: true }) }, device);
    await runAttend({ ...sizes, name: `f16 of ${headDim}`, dtype: 'f16', valueDim: headDim - 3 }, device);
  });
});

async function run(threads: number, options: (device: Device) => Parameters<typeof attend>[3]) {
  const device = await openDevice('wasm', { threads });
  try {
    const shape = [1, 3, 200, 40];
    const tensors = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));
    const result = await attend(tensors[0], tensors[1], tensors[2], options(device));
    return { output: await result.output.read(), logSumExp: await result.logSumExp.read() };
  } finally {
    await device.close();
  }
}

describe('WASM', () => {
  it('gives the same bits with one thread and with several', async () => {
    const options = () => ({ causal: true });
    const one = await run(1, options);
    for (const threads of [2, 4]) {
      const several = await run(threads, options);
      expect(several.output).toEqual(one.output);
      expect(several.logSumExp).toEqual(one.logSumExp);
    }
  });

  it('stops soon when cancelled, and works on afterwards', async () => {
    for (const threads of [1, 2]) {
      const device = await openDevice('wasm', { threads });
      const shape = [1, 8, 2048, 64];
      const [query, key, value] = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));
      const controller = new AbortController();
      const ended = attend(query, key, value, { signal: controller.signal });
      setTimeout(() => controller.abort(new Error('enough')), 5);
      await expect(ended).rejects.toThrow('enough');
      const before = device.memory.currentBytes;
      const small = device.tensor(randomArray(4, [1, 1, 9, 8]), [1, 1, 9, 8]);
      const { output, logSumExp } = await attend(small, small, small);
      expect((await output.read()).every(Number.isFinite)).toBe(true);
      for (const tensor of [small, output, logSumExp]) tensor.dispose();
      expect(device.memory.currentBytes).toBe(before);
      await device.close();
    }
  });

  it('names the bytes and the limit when memory runs out', async () => {
    const device = await openDevice('wasm', { threads: 1 });
    const limit = device.capabilities.memoryLimitBytes as number;
    const data = { length: limit / 4 } as ArrayLike<number>;
    expect(() => device.tensor(data, [limit / 4])).toThrow(
      new RegExp(`needs: ${limit} more bytes.*${limit}`),
    );
    await device.close();
  });

  it('takes little memory beside inputs and outputs', async () => {
    const device = await openDevice('wasm', { threads: 2 });
    const shape = [1, 4, 2048, 64];
    const [query, key, value] = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));
    const inputs = device.memory.currentBytes;
    device.resetPeak();
    const { output, logSumExp } = await attend(query, key, value, { causal: true });
    const all = device.memory.currentBytes;
    expect(device.memory.peakBytes - all).toBeLessThan(0.1 * all);
    expect(all).toBeGreaterThan(inputs);
    for (const tensor of [query, key, value, output, logSumExp]) tensor.dispose();
    expect(device.memory.currentBytes).toBe(0);
    await device.close();
  });

  it('computes on one shared definition of i32 division', async () => {
    const shape = [1, 1, 16, 4];
    const divisors = table(Int32Array.of(0, -1, 3, -7), [4]);
    const device = await openDevice('wasm', { threads: 1 });
    const reference = await openDevice('reference');
    const results = [];
    for (const on of [device, reference]) {
      const [query, key, value] = [1, 2, 3].map((seed) => on.tensor(randomArray(seed, shape), shape, 'f32'));
      const { output } = await attend(query, key, value, {
        score: ({ score, query: i, key: j, readInt }) => {
          const divisor = readInt(divisors, j.bitAnd(3));
          const number = i.sub(8).mul(j.add(1));
          return score.add(number.div(divisor).add(number.mod(divisor)).toFloat().mul(0.01));
        },
      });
      results.push(await output.read());
    }
    expectClose(results[0], results[1], tolerances.f32);
    await device.close();
  });

  it('refuses threads that are no count', async () => {
    await expect(openDevice('wasm', { threads: 0 })).rejects.toThrow('threads is 0');
  });
});
