import { afterAll, expect, test } from 'vitest';
import type { Positions } from '../mods/expression.ts';
import { attend } from '../softmax/attend.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { openDevice } from './open.ts';
import { openWebGPU } from './webgpu.ts';

const device = await openWebGPU();
afterAll(() => device.close());

const shape = [1, 2, 19, 24];

test('a tensor disposed of while its kernel compiles is read before anyone else gets the buffer', async () => {
  const [query, key, value] = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));
  // no other test asks for this mask, so the kernel is not compiled yet
  const mask = ({ query: i, key: j }: Positions) => i.add(j).mod(23).ne(22);
  const call = attend(query, key, value, { mask });
  const { currentBytes } = device.memory;
  const freed = [query, key, value].map(({ storage }) => storage);
  for (const tensor of [query, key, value]) tensor.dispose();
  expect(device.memory.currentBytes).toBe(currentBytes - 3 * 2 * 19 * 24 * 4);
  const others = [1, 2, 3].map(() => device.gpu.empty(shape, 'f32'));
  for (const other of others) {
    expect(freed).not.toContain(other.storage);
    device.gpu.device.queue.writeBuffer(other.storage, 0, new Float32Array(2 * 19 * 24).fill(7));
  }
  const { output } = await call;
  const reference = await openDevice('reference');
  const [q, k, v] = [1, 2, 3].map((seed) => reference.tensor(randomArray(seed, shape), shape, 'f32'));
  const expected = await attend(q, k, v, { mask });
  expectClose(await output.read(), await expected.output.read(), tolerances.f32);
});

test('once the call is over, the buffer is used again', async () => {
  const tensors = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));
  const call = attend(tensors[0], tensors[1], tensors[2]);
  const freed = tensors.map(({ storage }) => storage);
  for (const tensor of tensors) tensor.dispose();
  const { output, logSumExp } = await call;
  for (const tensor of [output, logSumExp]) tensor.dispose();
  const others = [1, 2, 3, 4].map(() => device.gpu.empty(shape, 'f32').storage);
  for (const buffer of freed) expect(others).toContain(buffer);
});
