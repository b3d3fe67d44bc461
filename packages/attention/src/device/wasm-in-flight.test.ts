import { describe, expect, it } from 'vitest';
import { attend } from '../softmax/attend.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { openDevice } from './open.ts';

describe('a WASM tensor that is disposed of while a call uses it', () => {
  it.each([1, 2])('is read to the end, on %i threads', async (threads) => {
    const device = await openDevice('wasm', { threads });
    const shape = [1, 2, 129, 16];
    const make = (on: typeof device) =>
      [1, 2, 3].map((seed) => on.tensor(randomArray(seed, shape), shape, 'f32'));
    const [query, key, value] = make(device);
    const calls = [
      attend(query, key, value),
      attend(query, key, value, { mask: ({ query: i, key: j }) => j.le(i) }),
    ];
    for (const tensor of [query, key, value]) tensor.dispose();
    const poison = [1, 2, 3].map(() => device.tensor(new Float32Array(2 * 129 * 16).fill(Number.NaN), shape));
    const reference = await openDevice('reference');
    const expected = await attend(...(make(reference) as [never, never, never]));
    const [plain, masked] = await Promise.all(calls);
    expectClose(await plain.output.read(), await expected.output.read(), tolerances.f32);
    expect((await masked.output.read()).every(Number.isFinite)).toBe(true);
    for (const { output, logSumExp } of [plain, masked])
      for (const tensor of [output, logSumExp]) tensor.dispose();
    for (const tensor of poison) tensor.dispose();
    expect(device.memory.currentBytes).toBe(0);
    await device.close();
  });
});
