import { bufferOf, fromOnnx, gpuDeviceOf, offerNavigatorGpu, toOnnx } from '@saccade/attention/interop';
import { afterAll, describe, expect, test } from 'vitest';
import { ArgumentError, attend, openDevice } from '../../packages/attention/src/index.ts';
import { expectClose, randomArray, tolerances } from '../../packages/attention/src/testing/index.ts';
import { unaryModel } from '../onnx-model.ts';
import { peersAreInstalled } from '../peers/installed.ts';

const shape = [1, 2, 9, 8];
const inputs = [1, 2, 3].map((seed) => randomArray(seed, shape));

describe.skipIf(!peersAreInstalled)('onnxruntime-web on our GPUDevice (peers: npm run bench)', async () => {
  if (!peersAreInstalled) return;
  await offerNavigatorGpu();
  const device = await openDevice('webgpu');
  const { env, InferenceSession, Tensor } = await import('onnxruntime-web/webgpu');
  env.wasm.numThreads = 1;
  const session = await InferenceSession.create(unaryModel('Tanh', shape), {
    executionProviders: [{ name: 'webgpu', device: gpuDeviceOf(device) }],
    preferredOutputLocation: 'gpu-buffer',
  });
  afterAll(async () => {
    await session.release();
    await device.close();
  });

  test('its output is our query, without a copy, and our output its input', async () => {
    const { output: query } = await session.run({ input: new Tensor('float32', inputs[0], shape) });
    expect(query.location).toBe('gpu-buffer');
    const q = await fromOnnx(device, query);
    expect(bufferOf(q)).toBe(query.gpuBuffer);
    const [k, v] = inputs.slice(1).map((numbers) => device.tensor(numbers, shape));
    const { output } = await attend(q, k, v);
    const input = await toOnnx(output, Tensor);
    expect(input.gpuBuffer).toBe(bufferOf(output));
    const { output: last } = await session.run({ input });
    const numbers = await (await fromOnnx(device, last)).read();

    const reference = await openDevice('reference');
    const [rq, rk, rv] = [inputs[0].map(Math.tanh), inputs[1], inputs[2]].map((each) =>
      reference.tensor(each, shape),
    );
    const expected = (await (await attend(rq, rk, rv)).output.read()).map((x) => Math.tanh(x));
    expectClose(numbers, expected, tolerances.f32);
  });

  test('what is disposed of on one side is disposed of on the other', async () => {
    const { output } = await session.run({ input: new Tensor('float32', inputs[0], shape) });
    (await fromOnnx(device, output)).dispose();
    expect(() => output.gpuBuffer).toThrow();
    const tensor = device.tensor(inputs[0], shape);
    (await toOnnx(tensor, Tensor)).dispose();
    expect(tensor.disposed).toBe(true);
    await expect(toOnnx(tensor, Tensor)).rejects.toThrow('tensor is a disposed tensor');
  });

  test('what lies on the host is uploaded, halves among it', async () => {
    const up = await fromOnnx(device, new Tensor('float32', inputs[0], shape));
    expectClose(await up.read(), inputs[0], tolerances.f32);
    const halves = device.tensor([1, 0.5, -2], [3], 'f16');
    const host = await toOnnx(halves, Tensor, 'cpu');
    expect([host.type, host.location]).toEqual(['float16', 'cpu']);
    expect([...(await (await fromOnnx(device, host)).read())]).toEqual([1, 0.5, -2]);
  });

  test('download() of our buffer reads it', async () => {
    const tensor = device.tensor([1, 2, 3], [3]);
    const onnx = await toOnnx(tensor, Tensor);
    expect([...((await onnx.getData()) as Float32Array)]).toEqual([1, 2, 3]);
  });

  test('another type, and a buffer of another GPUDevice, are refused', async () => {
    await expect(fromOnnx(device, new Tensor('int32', Int32Array.of(1), [1]))).rejects.toThrow(
      'tensor is of type int32; allowed: float32, float16, uint32',
    );
    const other = await openDevice('webgpu');
    const { output } = await session.run({ input: new Tensor('float32', inputs[0], shape) });
    await expect(fromOnnx(other, output)).rejects.toThrow(ArgumentError);
    await other.close();
  });
});

describe.skipIf(!peersAreInstalled)('onnxruntime-node (peers: npm run bench)', async () => {
  if (!peersAreInstalled) return;
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const session = await InferenceSession.create(unaryModel('Tanh', shape), { executionProviders: ['cpu'] });
  afterAll(() => session.release());

  test('takes and gives tensors by way of the host', async () => {
    const device = await openDevice('webgpu');
    const input = await toOnnx(device.tensor(inputs[0], shape), Tensor, 'cpu');
    const { output } = await session.run({ input });
    expectClose(await (await fromOnnx(device, output)).read(), inputs[0].map(Math.tanh), tolerances.f32);
    await device.close();
  });

  // If this fails, onnxruntime-node has learnt to share buffers and onnx.ts can drop its exception.
  test('takes no GPUBuffer, and its own handles are refused in words', async () => {
    const device = await openDevice('webgpu');
    const input = await toOnnx(device.tensor(inputs[0], shape), Tensor);
    await expect(session.run({ input })).rejects.toThrow(/external/);
    const handle = {
      type: 'float32',
      dims: shape,
      location: 'gpu-buffer',
      gpuBuffer: {},
      getData: async () => 0,
      dispose() {},
    };
    await expect(fromOnnx(device, handle)).rejects.toThrow(
      "in a GPU buffer of onnxruntime-node's own device",
    );
    await device.close();
  });
});
