import {
  bufferOf,
  fromTensorFlow,
  gpuDeviceOf,
  offerNavigatorGpu,
  toTensorFlow,
} from '@saccade/attention/interop';
import { afterAll, describe, expect, test } from 'vitest';
import { attend, openDevice } from '../../packages/attention/src/index.ts';
import { expectClose, randomArray, tolerances } from '../../packages/attention/src/testing/index.ts';
import { peersAreInstalled } from '../peers/installed.ts';

const shape = [1, 2, 9, 8];
const inputs = [1, 2, 3].map((seed) => randomArray(seed, shape));

describe.skipIf(!peersAreInstalled)('TensorFlow.js on our GPUDevice (peers: npm run bench)', async () => {
  if (!peersAreInstalled) return;
  await offerNavigatorGpu();
  const device = await openDevice('webgpu');
  const tf = await import('@tensorflow/tfjs-core');
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  tf.removeBackend('webgpu'); // it would open a GPUDevice of its own
  tf.registerBackend(
    'webgpu',
    async () => new WebGPUBackend(gpuDeviceOf(device), gpuDeviceOf(device).adapterInfo),
  );
  await tf.setBackend('webgpu');
  tf.env().set('WEBGPU_CPU_FORWARD', false); // it computes small tensors on the processor
  afterAll(() => device.close());

  test('what it computed stays on the GPU, and our output enters its computations without a copy', async () => {
    const doubled = tf.mul(tf.tensor(inputs[0], shape), 2);
    const query = await fromTensorFlow(device, {
      ...doubled,
      dataToGPU: () => doubled.dataToGPU(),
      data: () => Promise.reject(new Error('went through the host')),
    });
    const [key, value] = inputs.slice(1).map((numbers) => device.tensor(numbers, shape));
    const { output } = await attend(query, key, value);
    const back = await toTensorFlow(output, tf.tensor);
    const { buffer } = back.dataToGPU();
    expect(buffer).not.toBe(bufferOf(output)); // dataToGPU() copies; toTensorFlow() does not
    const sum = tf.add(back, 1);
    const numbers = await sum.data();

    const reference = await openDevice('reference');
    const [q, k, v] = [inputs[0].map((x) => 2 * x), inputs[1], inputs[2]].map((each) =>
      reference.tensor(each, shape),
    );
    const expected = (await (await attend(q, k, v)).output.read()).map((x) => x + 1);
    expectClose(numbers, expected, tolerances.f32);
    expect(doubled.isDisposed).toBe(false);
    back.dispose();
    expect(output.disposed).toBe(false);
    expectClose(
      await output.read(),
      expected.map((x) => x - 1),
      tolerances.f32,
    );
  });

  test('sees what is written to the tensor later: it is the same buffer', async () => {
    const tensor = device.tensor([1, 2, 3, 4], [4]);
    const shared = await toTensorFlow(tensor, tf.tensor);
    gpuDeviceOf(device).queue.writeBuffer(bufferOf(tensor), 0, Float32Array.of(5, 6, 7, 8));
    expect([...(await tf.add(shared, 0).data())]).toEqual([5, 6, 7, 8]);
  });

  test('numbers that it still holds on the host are uploaded; an odd size is copied', async () => {
    const fresh = await fromTensorFlow(device, tf.tensor([1, 2, 3], [3]));
    expect([...(await fresh.read())]).toEqual([1, 2, 3]);
    const odd = await fromTensorFlow(device, tf.mul(tf.tensor([1, 2, 3], [3]), 2));
    expect([...(await odd.read())]).toEqual([2, 4, 6]);
    const whole = await fromTensorFlow(device, tf.tensor([1, 2, 3, 4], [4], 'int32'));
    expect([whole.dtype, ...(await whole.read())]).toEqual(['u32', 1, 2, 3, 4]);
  });

  test('for a device without a GPU, and back, by way of the host', async () => {
    const wasm = await openDevice('wasm', { threads: 1 });
    const tensor = await fromTensorFlow(wasm, tf.mul(tf.tensor(inputs[0], shape), 1));
    expectClose(await tensor.read(), inputs[0], tolerances.f32);
    expectClose(await (await toTensorFlow(tensor, tf.tensor)).data(), inputs[0], tolerances.f32);
    await wasm.close();
  });

  test('what it has no type for is refused', async () => {
    await expect(toTensorFlow(device.tensor([1], [1], 'f16'), tf.tensor)).rejects.toThrow(
      'tensor is of dtype f16',
    );
    await expect(fromTensorFlow(device, tf.tensor([1], [1], 'bool'))).rejects.toThrow(
      'tensor is of dtype bool',
    );
    const other = await openDevice('webgpu');
    const elsewhere = tf.mul(tf.tensor(inputs[0], shape), 2);
    await expect(fromTensorFlow(other, elsewhere)).rejects.toThrow('fromTensorFlow: buffer is unusable here');
    await other.close();
  });
});
