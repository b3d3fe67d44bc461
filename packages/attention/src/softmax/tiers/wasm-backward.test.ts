import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../../device/device.ts';
import { openDevice } from '../../device/open.ts';
import { table } from '../../mods/expression.ts';
import { backwardCases } from '../../testing/backward-suite.ts';
import { randomArray } from '../../testing/close.ts';
import { attend } from '../attend.ts';
import { attendBackward, type BackwardOptions } from '../backward.ts';

beforeAll(() => {
  const kernel = new URL('../../../dist/attention-relaxed-shared.wasm', import.meta.url);
  if (!existsSync(kernel))
    execFileSync(process.execPath, [fileURLToPath(new URL('../../../assembly/build.mjs', import.meta.url))]);
});

describe.each([1, 3])('gradients in WASM with %i threads are those of the reference', (threads) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('wasm', { threads });
  });
  afterAll(() => device.close());

  test.each(backwardCases.map((item) => [item.name, item] as const))('%s', (_name, item) => item.run(device));
});

describe('gradients in WASM', () => {
  test('are the same bits with one thread and with several', async () => {
    const run = async (threads: number) => {
      const device = await openDevice('wasm', { threads });
      const shape = [1, 2, 150, 20];
      const [query, key, value, outputGradient] = [1, 2, 3, 4].map((seed) =>
        device.tensor(randomArray(seed, shape), shape),
      );
      const bias = table(device.tensor(randomArray(5, [150]), [150]), [150]);
      const options: BackwardOptions = {
        causal: true,
        score: ({ score, key: j, read }) => score.mul(read(bias, j)),
        tables: [bias],
      };
      const result = await attend(query, key, value, options);
      const gradients = await attendBackward(query, key, value, result, outputGradient, options);
      const numbers = await Promise.all(
        [gradients.query, gradients.key, gradients.value, gradients.tables[0]].map((tensor) => tensor.read()),
      );
      await device.close();
      return numbers;
    };
    const one = await run(1);
    for (const threads of [2, 4]) expect(await run(threads)).toEqual(one);
  });

  test('leave nothing behind but what they return', async () => {
    const device = await openDevice('wasm', { threads: 1 });
    const shape = [1, 2, 30, 8];
    const [query, key, value] = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));
    const result = await attend(query, key, value);
    const before = device.memory.currentBytes;
    const gradients = await attendBackward(query, key, value, result, value);
    for (const tensor of [gradients.query, gradients.key, gradients.value]) tensor.dispose();
    expect(device.memory.currentBytes).toBe(before);
    await device.close();
  });
});
