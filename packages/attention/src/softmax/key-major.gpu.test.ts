import { afterAll, describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { openWebGPU } from '../device/webgpu.ts';
import { topK } from '../index.ts';
import type { Plan } from '../plan.ts';
import { gatheredQueriesPlan } from '../plans.ts';
import type { Tensor } from '../tensor.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { attend, checkAttend } from './attend.ts';
import { attendOnGpu } from './webgpu.ts';
import { attendKeyMajorOnGpu } from './webgpu-key-major.ts';

const device = await openWebGPU({ tier: 'subgroup' });
const reference = await openDevice('reference');
afterAll(() => device.close());

const shapes = [
  [1, 4, 90, 16],
  [1, 2, 64, 16],
  [1, 2, 64, 16],
];
type Input = [query: Tensor, key: Tensor, value: Tensor];
const inputsOn = (on: typeof device | typeof reference) =>
  shapes.map((shape, i) => on.tensor(randomArray(i, shape), shape, 'f16')) as Input;

/** Half of the queries for each of five key blocks, chosen on the device. */
const routed = async (on: typeof device | typeof reference): Promise<Plan> =>
  gatheredQueriesPlan({
    name: 'routed',
    queryTokens: 90,
    keyTokens: 64,
    keys: { slots: 64, block: 13 },
    chosen: await topK(on.tensor(randomArray(5, [1, 2, 5, 90]), [1, 2, 5, 90]), { k: 45 }),
  });

describe('key-major on WebGPU', () => {
  test('on the tier of the device, in one round and in several, with the same bits', async () => {
    const inputs = inputsOn(device);
    const request = checkAttend(...inputs, { plan: await routed(device), causal: true, outputDType: 'f32' });
    const expected = await attend(...inputsOn(reference), {
      plan: await routed(reference),
      causal: true,
      order: 'query-major',
    });
    const [output, logSumExp] = [await expected.output.read(), await expected.logSumExp.read()];
    for (const [mostBytes, rounds] of [
      [undefined, 1],
      [60_000, 3],
      [1, 5],
    ]) {
      let parts = 0;
      const run = () =>
        attendKeyMajorOnGpu(
          device.gpu,
          request,
          (part) => {
            parts++;
            return attendOnGpu(device.gpu, part);
          },
          mostBytes,
        );
      const first = await run();
      expect(parts, `rounds of ${mostBytes} bytes`).toBe(rounds);
      expect(first.tier).toBe('subgroup');
      expectClose(await first.output.read(), output, tolerances.f16, 'output');
      expectClose(await first.logSumExp.read(), logSumExp, tolerances.f32, 'sum');
      if (rounds === 3) expect(await (await run()).output.read()).toEqual(await first.output.read());
    }
  });

  test('leaves nothing behind but what it returns', async () => {
    const inputs = inputsOn(device);
    const plan = await routed(device);
    const call = () => attend(...inputs, { plan });
    const free = async ({ output, logSumExp }: Awaited<ReturnType<typeof call>>) => {
      await device.finish();
      output.dispose();
      logSumExp.dispose();
    };
    await free(await call());
    const before = device.memory.currentBytes;
    await free(await call());
    expect(device.memory.currentBytes).toBe(before);
  });

  test('with debug, lists on the device that share entries are refused', async () => {
    const careful = await openWebGPU({ debug: true });
    const inputs = inputsOn(careful);
    const layout = { slots: 64, block: 16 };
    const call = attend(...inputs, {
      order: 'key-major',
      plan: {
        name: 'shared',
        queryTokens: 90,
        keyTokens: 64,
        queries: { slots: 90, block: 45 },
        keys: {
          kind: 'blocks',
          layout,
          rows: careful.tensor(Uint32Array.of(0, 2, 1, 2), [1, 1, 2, 2]),
          blocks: careful.tensor(Uint32Array.of(0, 1, 2), [3]),
        },
        listBatches: 1,
        listHeads: 1,
      },
    });
    await expect(call).rejects.toThrow(
      'plan.keys.rows is entry 1 in rows 0 and 1; allowed: entries of one row',
    );
    await careful.close();
  });
});
