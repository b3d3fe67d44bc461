import type { Device } from '../device/device.ts';
import { GpuTensor } from '../device/gpu.ts';
import { ArgumentError } from '../errors.ts';
import { type DType, sizeOf, type Tensor } from '../tensor.ts';
import { fromLibraryBuffer } from './buffers.ts';
import { fromHalves, hostArray } from './half.ts';

/** What is used of a Tensor of onnxruntime-web and onnxruntime-node. */
export interface OnnxTensor {
  readonly type: string;
  readonly dims: readonly number[];
  /** 'cpu', 'cpu-pinned', 'gpu-buffer' … */
  readonly location: string;
  /** onnxruntime-web: a GPUBuffer. onnxruntime-node: a handle of its own, which nothing else can use. */
  readonly gpuBuffer: unknown;
  getData(): Promise<unknown>;
  dispose(): void;
}

/** What is used of the class `Tensor` of onnxruntime-web and onnxruntime-node; T is its instance. */
export interface OnnxTensorClass<T extends OnnxTensor> {
  new (type: never, data: never, dims: readonly number[]): T;
  fromGpuBuffer(
    buffer: never,
    options: { dataType: never; dims: readonly number[]; dispose?: () => void; download?: never },
  ): T;
}

const dtypes: Readonly<Record<string, DType>> = { float32: 'f32', float16: 'f16', uint32: 'u32' };

/**
 * An onnxruntime tensor as a tensor. One of onnxruntime-web that lies in a GPU buffer (session option
 * `preferredOutputLocation: 'gpu-buffer'`) is taken without a copy where both compute on one GPUDevice: give the session
 * ours with `executionProviders: [{ name: 'webgpu', device: gpuDeviceOf(device) }]`. All others go through the host.
 * @param tensor of float32, float16 or uint32. A GPU tensor becomes part of the result, whose dispose() disposes of it.
 * @throws ArgumentError if the type is another one, the buffer is of another GPUDevice, or it is a GPU tensor of
 *   onnxruntime-node, whose provider has a device of its own and hands out no GPUBuffer
 */
export async function fromOnnx(device: Device, tensor: OnnxTensor): Promise<Tensor> {
  const where = 'fromOnnx';
  const shape = [...tensor.dims];
  const dtype = dtypes[tensor.type];
  if (!dtype)
    throw new ArgumentError(where, 'tensor', `of type ${tensor.type}`, Object.keys(dtypes).join(', '));
  if (tensor.location === 'gpu-buffer' && device.kind === 'webgpu' && sizeOf(shape) > 0) {
    const buffer = tensor.gpuBuffer as GPUBuffer;
    if (typeof buffer?.size !== 'number')
      throw new ArgumentError(
        where,
        'tensor',
        "in a GPU buffer of onnxruntime-node's own device",
        "a tensor of onnxruntime-web, or one of preferredOutputLocation 'cpu'",
      );
    return fromLibraryBuffer(where, device, buffer, shape, { dtype, onDispose: () => tensor.dispose() });
  }
  const data = (await tensor.getData()) as ArrayLike<number>;
  // onnxruntime gives halves as their bits where the platform has no Float16Array
  const numbers = dtype === 'f16' && data instanceof Uint16Array ? fromHalves(data) : data;
  return device.tensor(numbers, shape, dtype);
}

/**
 * A tensor as an onnxruntime tensor, to feed to a session. On WebGPU without a copy: it is the tensor's buffer, for a
 * session of onnxruntime-web on the same GPUDevice; dispose() of the result disposes of the tensor, which must live until
 * run() has resolved. Elsewhere, and with location 'cpu' (for onnxruntime-node, which takes no GPUBuffer), a copy.
 * @param OnnxTensor the class `Tensor` of onnxruntime
 * @throws ArgumentError if the tensor is disposed of
 */
export async function toOnnx<T extends OnnxTensor>(
  tensor: Tensor,
  OnnxTensor: OnnxTensorClass<T>,
  location: 'gpu-buffer' | 'cpu' = tensor.device.kind === 'webgpu' ? 'gpu-buffer' : 'cpu',
): Promise<T> {
  const where = 'toOnnx';
  if (tensor.disposed) throw new ArgumentError(where, 'tensor', 'a disposed tensor', 'a live tensor');
  const dims = [...tensor.shape];
  const type = (Object.keys(dtypes).find((name) => dtypes[name] === tensor.dtype) ?? 'float32') as never;
  if (location === 'gpu-buffer') {
    if (!(tensor instanceof GpuTensor))
      throw new ArgumentError(where, 'location', location, `cpu for a tensor on ${tensor.device.kind}`);
    return OnnxTensor.fromGpuBuffer(tensor.storage as never, {
      dataType: type,
      dims,
      download: (() => tensor.read()) as never,
      dispose: () => tensor.dispose(),
    });
  }
  const numbers = hostArray(await tensor.read(), tensor.dtype);
  return new OnnxTensor(type, numbers as never, dims);
}
