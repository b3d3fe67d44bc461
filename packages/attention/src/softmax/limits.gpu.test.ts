import { afterAll, describe, expect, test } from 'vitest';
import { assemble, emptyLike, runKernel } from '../device/custom.ts';
import { openDevice } from '../device/open.ts';
import { openWebGPU } from '../device/webgpu.ts';
import { DeviceError } from '../errors.ts';
import { selectedPlan } from '../plan.ts';
import { randomArray } from '../testing/close.ts';
import { uniform, write } from '../wgsl/bindings.ts';
import { attend } from './attend.ts';

const device = await openWebGPU();
afterAll(() => device.close());

const shape = [1, 1, 20, 4];
const layout = { slots: 20, block: 8 };

/** Three query blocks that see one key block each, lists on the device. */
function listed(on: typeof device, blocks: number[]) {
  return selectedPlan({
    name: 'listed',
    queryTokens: 20,
    keyTokens: 20,
    queries: layout,
    keys: layout,
    selected: {
      rows: on.tensor(Uint32Array.of(0, 1, 1, 1, 2, 1), [1, 1, 3, 2]),
      blocks: on.tensor(Uint32Array.from(blocks), [3]),
      listBatches: 1,
      listHeads: 1,
    },
  });
}

const inputsOn = (on: typeof device) => [1, 2, 3].map((seed) => on.tensor(randomArray(seed, shape), shape));

describe('lists on the device that name a block out of range', () => {
  test('are refused with debug', async () => {
    const careful = await openWebGPU({ debug: true });
    const [query, key, value] = inputsOn(careful);
    await expect(attend(query, key, value, { plan: listed(careful, [0, 5, 2]) })).rejects.toThrow(
      'plan.keys.blocks is 5 at entry 1, in row 1; allowed: 0 to 2',
    );
    await careful.close();
  });

  test('hold no key without it', async () => {
    const [query, key, value] = inputsOn(device);
    const { output, logSumExp } = await attend(query, key, value, { plan: listed(device, [0, 5, 2]) });
    const [numbers, sums] = [await output.read(), await logSumExp.read()];
    expect([...numbers.slice(8 * 4, 16 * 4)]).toEqual(new Array(32).fill(0));
    expect([...sums.slice(8, 16)]).toEqual(new Array(8).fill(-Infinity));
    expect(
      [...numbers.slice(0, 8 * 4), ...numbers.slice(16 * 4)].every((x) => Number.isFinite(x) && x !== 0),
    ).toBe(true);
  });
});

test('more workgroups than a dimension allows fold into the next', async () => {
  const groups = device.gpu.limits.maxComputeWorkgroupsPerDimension + 1000;
  const kernel = assemble({
    name: 'count',
    bindings: { numbers: write('u32'), shape: uniform({ first: 'u32' }) },
    constants: {},
    stages: [],
    threads: 1,
    main: '  numbers[workgroup] = workgroup + shape.first;',
  });
  const numbers = emptyLike(device.tensor([0], [1]), [groups], 'u32');
  await runKernel(kernel, { numbers, shape: { first: 3 } }, groups);
  const read = await numbers.read();
  expect(read.findIndex((number, index) => number !== index + 3)).toBe(-1);
});

test('a device that is lost while a kernel compiles rejects the call in words; a new one works', async () => {
  const lost = await openWebGPU();
  const [query, key, value] = inputsOn(lost);
  const call = attend(query, key, value, { mask: ({ query: i, key: j }) => i.mul(7).add(j).mod(5).ne(3) });
  lost.gpu.device.destroy();
  const error = await call
    .then(
      ({ output }) => output.read(),
      (reason: unknown) => reason,
    )
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DeviceError);
  expect((error as Error).message).toContain('device was lost; openDevice() gives a new one');
  const again = await openDevice('webgpu');
  const tensor = again.tensor([1, 2], [2]);
  expect([...(await tensor.read())]).toEqual([1, 2]);
  await again.close();
});
