import { afterAll, describe, expect, test } from 'vitest';
import { offerNavigatorGpu } from '../device/adapter.ts';
import { openDevice } from '../device/open.ts';
import { ArgumentError } from '../errors.ts';
import { attend } from '../softmax/attend.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { bufferOf } from './buffers.ts';
import { fromJax, toJax } from './jax.ts';

await offerNavigatorGpu();
const { defaultDevice, getWebGPUDevice, init, numpy: np } = await import('@jax-js/jax');
await init('webgpu', 'wasm');
defaultDevice('webgpu');
const device = await openDevice('webgpu', { gpuDevice: getWebGPUDevice() });
afterAll(() => device.close());

const shape = [1, 2, 9, 8];
const arrayOf = (seed: number, on: 'webgpu' | 'wasm' = 'webgpu') =>
  np.array(Float32Array.from(randomArray(seed, shape)), { shape, device: on });

describe('jax-js arrays', () => {
  test('are read where they are: attention over what jax-js computed agrees with the reference', async () => {
    const doubled = arrayOf(1).mul(2); // not computed yet
    const buffer = await doubled.ref.gpuBuffer();
    const [query, key, value] = await Promise.all(
      [doubled, arrayOf(2), arrayOf(3)].map((each) => fromJax(device, each)),
    );
    expect(bufferOf(query)).toBe(buffer);
    const { output } = await attend(query, key, value);
    const reference = await openDevice('reference');
    const [q, k, v] = [1, 2, 3].map((seed) =>
      reference.tensor(
        randomArray(seed, shape).map((x) => (seed === 1 ? 2 * x : x)),
        shape,
      ),
    );
    expectClose(await output.read(), await (await attend(q, k, v)).output.read(), tolerances.f32);
    for (const tensor of [query, key, value, output]) tensor.dispose();
  });

  test('are consumed, and freed when the tensor is disposed of', async () => {
    const array = arrayOf(4);
    const kept = array.ref;
    const tensor = await fromJax(device, array);
    expect(kept.refCount).toBe(2);
    tensor.dispose();
    expect(kept.refCount).toBe(1);
    expectClose(await kept.data(), randomArray(4, shape), tolerances.f32);
  });

  test('of an odd size, of halves, of whole numbers and of a view come over too', async () => {
    const odd = await fromJax(device, np.array([[1, 2, 3]]));
    expect(odd.shape).toEqual([1, 3]);
    expect([...(await odd.read())]).toEqual([1, 2, 3]);
    const halves = await fromJax(device, np.array([1, 0.5, -2], { dtype: np.float16 }));
    expect([halves.dtype, ...(await halves.read())]).toEqual(['f16', 1, 0.5, -2]);
    const whole = await fromJax(device, np.array([7, 8], { dtype: np.uint32 }));
    expect([whole.dtype, ...(await whole.read())]).toEqual(['u32', 7, 8]);
    const view = await fromJax(
      device,
      np
        .array([
          [1, 2],
          [3, 4],
        ])
        .transpose(),
    );
    expect([...(await view.read())]).toEqual([1, 3, 2, 4]);
  });

  test('on the host, or for a device without a GPU, are copied', async () => {
    const numbers = randomArray(5, shape);
    const up = await fromJax(device, arrayOf(5, 'wasm'));
    expectClose(await up.read(), numbers, tolerances.f32);
    const wasm = await openDevice('wasm', { threads: 1 });
    const down = await fromJax(wasm, arrayOf(5));
    expectClose(await down.read(), numbers, tolerances.f32);
    const back = await toJax(down, np);
    expect(back.device).toBe('wasm');
    expectClose(await back.data(), numbers, tolerances.f32);
    await wasm.close();
  });

  test('of another dtype are refused', async () => {
    await expect(fromJax(device, np.array([1, 2], { dtype: np.int32 }))).rejects.toThrow(
      'array is of dtype int32; allowed: float32, float16, uint32',
    );
  });

  test('on another GPUDevice are refused, and not consumed twice', async () => {
    const other = await openDevice('webgpu', { gpuDevice: undefined });
    const array = arrayOf(6);
    const kept = array.ref;
    await expect(fromJax(other, array)).rejects.toThrow(ArgumentError);
    expect(kept.refCount).toBe(1);
    await expect(toJax(other.tensor([1, 2], [2]), np)).rejects.toThrow('toJax: buffer is unusable here');
    await other.close();
  });
});

describe('tensors for jax-js', () => {
  test('stay on the GPU and enter its computations', async () => {
    const tensor = device.tensor(randomArray(7, shape), shape);
    const array = await toJax(tensor, np);
    expect([array.device, array.shape]).toEqual(['webgpu', shape]);
    const sum = await array.mul(3).data();
    expectClose(
      sum,
      randomArray(7, shape).map((x) => 3 * x),
      tolerances.f32,
    );
    expect(tensor.disposed).toBe(false);
  });

  test('are new arrays: writing the tensor anew does not change them', async () => {
    const [first, second] = [device.tensor([1, 2, 3], [3]), device.tensor([4, 5, 6], [3])];
    const arrays = [await toJax(first, np), await toJax(second, np)];
    first.dispose();
    expect(await Promise.all(arrays.map(async (each) => [...(await each.data())]))).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  test('of halves come as float16, also through the host', async () => {
    const tensor = device.tensor([1, 0.5, -2], [3], 'f16');
    for (const on of ['webgpu', 'wasm']) {
      const array = await toJax(tensor, np, on);
      expect([array.device, array.dtype, ...(await array.data())]).toEqual([on, 'float16', 1, 0.5, -2]);
    }
  });

  test('that are disposed of are refused', async () => {
    const tensor = device.tensor([1], [1]);
    tensor.dispose();
    await expect(toJax(tensor, np)).rejects.toThrow('tensor is a disposed tensor');
  });
});
