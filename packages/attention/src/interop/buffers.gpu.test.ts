import { afterAll, describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { openWebGPU } from '../device/webgpu.ts';
import { ArgumentError } from '../errors.ts';
import { attend } from '../softmax/attend.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { bufferOf, fromBuffer, gpuDeviceOf } from './buffers.ts';
import { toHalves } from './half.ts';

const [COPY_SRC, COPY_DST, UNIFORM, STORAGE] = [4, 8, 64, 128];
const ours = await openWebGPU();
const foreign = ours.gpu.device;
const device = await openDevice('webgpu', { gpuDevice: foreign });
afterAll(async () => {
  await device.close();
  await ours.close();
});

/** A buffer as another library would make it. */
function made(numbers: ArrayBufferView, options: { bytes?: number; usage?: number; at?: number } = {}) {
  const { bytes = numbers.byteLength, usage = STORAGE | COPY_SRC | COPY_DST, at = 0 } = options;
  const buffer = foreign.createBuffer({ size: bytes, usage });
  foreign.queue.writeBuffer(buffer, at, numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return buffer;
}

describe('a device that another library opened', () => {
  test('is shared, and left open by close()', async () => {
    const second = await openDevice('webgpu', { gpuDevice: foreign });
    expect(second.description).toContain('shared');
    expect(gpuDeviceOf(second)).toBe(foreign);
    const tensor = second.tensor([1, 2, 3, 4], [4]);
    expect([...(await tensor.read())]).toEqual([1, 2, 3, 4]);
    tensor.dispose();
    await second.close();
    const again = made(Float32Array.of(5, 6, 7, 8));
    expect([...(await (await fromBuffer(device, again, [4])).read())]).toEqual([5, 6, 7, 8]);
  });

  test.each(['reference', 'wasm'] as const)('is refused for the kind %s', async (kind) => {
    await expect(openDevice(kind, { gpuDevice: foreign })).rejects.toThrow(ArgumentError);
  });

  test('must be one', async () => {
    const call = openDevice('webgpu', { gpuDevice: {} as GPUDevice });
    await expect(call).rejects.toThrow('gpuDevice is [object Object]; allowed: a GPUDevice');
  });
});

describe('a tensor in a buffer of another library', () => {
  const shape = [1, 2, 17, 8];
  const inputs = [1, 2, 3].map((seed) => randomArray(seed, shape));

  test('is that buffer: attention over it agrees with the reference, and later writes are seen', async () => {
    const buffers = inputs.map((numbers) => made(numbers));
    const before = device.memory.currentBytes;
    const [query, key, value] = await Promise.all(buffers.map((buffer) => fromBuffer(device, buffer, shape)));
    expect(device.memory.currentBytes).toBe(before);
    expect(bufferOf(query)).toBe(buffers[0]);
    const reference = await openDevice('reference');
    const expected = async (numbers: Float32Array) => {
      const [q, k, v] = [numbers, inputs[1], inputs[2]].map((each) => reference.tensor(each, shape));
      return (await attend(q, k, v)).output.read();
    };
    const first = await attend(query, key, value);
    expectClose(await first.output.read(), await expected(inputs[0]), tolerances.f32);
    const other = randomArray(9, shape);
    foreign.queue.writeBuffer(buffers[0], 0, other);
    const second = await attend(query, key, value);
    expectClose(await second.output.read(), await expected(other), tolerances.f32);
  });

  test('holds halves and whole numbers too', async () => {
    const halves = await fromBuffer(device, made(toHalves([1, -2, 0.5, 0]), { bytes: 16 }), [3], {
      dtype: 'f16',
    });
    expect([...(await halves.read())]).toEqual([1, -2, 0.5]);
    const whole = await fromBuffer(device, made(Uint32Array.of(1, 2, 3, 2 ** 31)), [2, 2], { dtype: 'u32' });
    expect([...(await whole.read())]).toEqual([1, 2, 3, 2 ** 31]);
  });

  test('is copied from an offset where that is asked for, and then the buffer is free', async () => {
    let freed = 0;
    const onDispose = () => {
      freed++;
    };
    const buffer = made(Float32Array.of(0, 0, 0, 1, 2, 3));
    const tensor = await fromBuffer(device, buffer, [3], { offset: 12, copy: true, onDispose });
    expect(freed).toBe(1);
    buffer.destroy();
    expect([...(await tensor.read())]).toEqual([1, 2, 3]);
    tensor.dispose();
    expect(freed).toBe(1);
  });

  test('tells its owner once, after the calls that were under way', async () => {
    let freed = 0;
    const onDispose = () => {
      freed++;
    };
    const [query, key, value] = await Promise.all(
      inputs.map((numbers) => fromBuffer(device, made(numbers), shape, { onDispose })),
    );
    const call = attend(query, key, value, { causal: true });
    for (const tensor of [query, key, value]) tensor.dispose();
    query.dispose();
    expect(freed).toBe(0);
    await call;
    expect(freed).toBe(3);
  });
});

describe('fromBuffer refuses', () => {
  const four = Float32Array.of(1, 2, 3, 4);
  const refused = [
    {
      why: 'too few bytes',
      call: () => fromBuffer(device, made(four), [5]),
      message: 'buffer is of 16 bytes; allowed: at least 32: 5 numbers of f32 in shape [5]',
    },
    {
      why: 'too few bytes after the offset',
      call: () => fromBuffer(device, made(four), [4], { offset: 4, copy: true }),
      message: 'buffer is of 16 bytes; allowed: at least 20: 4 numbers of f32 in shape [4] from byte 4 on',
    },
    {
      why: 'an end inside a word of 16 bytes',
      call: () => fromBuffer(device, made(four, { bytes: 20 }), [5]),
      message:
        'buffer is of 20 bytes; allowed: at least 32: 5 numbers of f32 in shape [5], in whole words of 16',
    },
    {
      why: 'an offset without a copy',
      call: () => fromBuffer(device, made(four), [2], { offset: 4 }),
      message: 'offset is 4; allowed: 0, or any multiple of 4 with { copy: true }',
    },
    {
      why: 'an offset inside a number',
      call: () => fromBuffer(device, made(four), [2], { offset: 2, copy: true }),
      message: 'offset is 2; allowed: a multiple of 4 bytes',
    },
    {
      why: 'another usage',
      call: () => fromBuffer(device, made(four, { usage: UNIFORM | COPY_DST }), [4]),
      message: 'buffer is of usage COPY_DST | UNIFORM; allowed: usage with COPY_SRC | STORAGE',
    },
    {
      why: 'more bytes than a kernel may bind',
      call: () => {
        const size = Number(device.capabilities.maxStorageBufferBindingSize) + 16;
        return fromBuffer(device, { size, usage: STORAGE | COPY_SRC } as GPUBuffer, [4]);
      },
      message: 'maxStorageBufferBindingSize; or { copy: true } for a part of it',
    },
    {
      why: 'doubles',
      call: () => fromBuffer(device, made(four), [2], { dtype: 'f64' }),
      message: 'dtype is f64; allowed: f32, f16 or u32',
    },
    {
      why: 'what is no buffer',
      call: () => fromBuffer(device, four as never, [4]),
      message: 'allowed: a GPUBuffer',
    },
    {
      why: 'a shape that is none',
      call: () => fromBuffer(device, made(four), [-1]),
      message: 'shape is [-1]',
    },
    {
      why: 'a destroyed buffer',
      call: () => {
        const buffer = made(four);
        buffer.destroy();
        return fromBuffer(device, buffer, [4]);
      },
      message: 'allowed: a live buffer of the GPUDevice that the device was opened on',
    },
    {
      why: 'a mapped buffer',
      call: () => {
        const usage = STORAGE | COPY_SRC;
        return fromBuffer(device, foreign.createBuffer({ size: 16, usage, mappedAtCreation: true }), [4]);
      },
      message: 'buffer is mapped; allowed: an unmapped buffer',
    },
    {
      why: 'a device without buffers',
      call: async () => fromBuffer(await openDevice('wasm', { threads: 1 }), made(four), [4]),
      message: 'device is of kind wasm; allowed: a device of kind webgpu',
    },
  ];
  test.each(refused)('$why', async ({ call, message }) => {
    const error = await call().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toContain(message);
    // the device is as good as before
    expect([...(await (await fromBuffer(device, made(four), [4])).read())]).toEqual([1, 2, 3, 4]);
  });

  test('a buffer of another GPUDevice', async () => {
    const other = await openWebGPU();
    const buffer = other.gpu.allocate(16);
    await expect(fromBuffer(device, buffer, [4])).rejects.toThrow(
      /unusable here .*; allowed: a live buffer of the GPUDevice/,
    );
    await other.close();
  });
});

describe('bufferOf', () => {
  test('gives the buffer of a tensor, which WebGPU commands of the caller read', async () => {
    const tensor = device.tensor([1, 2, 3, 4], [4]);
    const target = foreign.createBuffer({ size: 16, usage: STORAGE | COPY_SRC | COPY_DST });
    const encoder = foreign.createCommandEncoder();
    encoder.copyBufferToBuffer(bufferOf(tensor), 0, target, 0, 16);
    foreign.queue.submit([encoder.finish()]);
    expect([...(await (await fromBuffer(device, target, [4])).read())]).toEqual([1, 2, 3, 4]);
    tensor.dispose();
    expect(() => bufferOf(tensor)).toThrow('tensor is a disposed tensor');
  });

  test('refuses tensors that have none', async () => {
    const wasm = await openDevice('wasm', { threads: 1 });
    expect(() => bufferOf(wasm.tensor([1], [1]))).toThrow(
      'tensor is on wasm; allowed: a tensor on a WebGPU device',
    );
    await wasm.close();
  });
});
