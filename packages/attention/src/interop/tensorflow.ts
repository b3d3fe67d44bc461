import type { Device } from '../device/device.ts';
import { GpuTensor } from '../device/gpu.ts';
import { ArgumentError } from '../errors.ts';
import { type DType, sizeOf, type Tensor } from '../tensor.ts';
import { fromLibraryBuffer } from './buffers.ts';

/** What is used of a TensorFlow.js tensor. */
export interface TensorFlowTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  data(): Promise<ArrayLike<number>>;
  /** On the webgpu backend: a copy of the numbers in a GPUBuffer that tensorRef owns. */
  dataToGPU(): { buffer?: GPUBuffer; tensorRef: { dispose(): void } };
}

/** `tensor` of @tensorflow/tfjs-core; T is its Tensor. */
export type MakeTensorFlowTensor<T> = (values: never, shape: never, dtype: 'float32' | 'int32') => T;

const dtypes: Readonly<Record<string, DType>> = { float32: 'f32', int32: 'u32' };

/**
 * A TensorFlow.js tensor as a tensor. From its webgpu backend on the same GPUDevice the numbers stay on the GPU, with the
 * one copy that `dataToGPU()` makes (TensorFlow.js lends no buffer of its own); from other backends, and while
 * TensorFlow.js still holds the numbers on the host, they are uploaded. The given tensor stays its owner's.
 *
 * One GPUDevice: `registerBackend('webgpu', async () => new WebGPUBackend(gpuDeviceOf(device)))`.
 * @param tensor of float32, or of int32 whose numbers are not negative: they become u32
 * @throws ArgumentError if the dtype is another one or the tensor is on another GPUDevice
 */
export async function fromTensorFlow(device: Device, tensor: TensorFlowTensor): Promise<Tensor> {
  const shape = [...tensor.shape];
  const dtype = dtypes[tensor.dtype];
  if (!dtype)
    throw new ArgumentError(
      'fromTensorFlow',
      'tensor',
      `of dtype ${tensor.dtype}`,
      Object.keys(dtypes).join(', '),
    );
  const lent = device.kind === 'webgpu' && sizeOf(shape) > 0 ? lend(tensor) : undefined;
  if (!lent?.buffer) {
    lent?.tensorRef.dispose();
    const numbers = await tensor.data();
    return device.tensor(dtype === 'u32' ? Uint32Array.from(numbers) : numbers, shape, dtype);
  }
  const onDispose = () => lent.tensorRef.dispose();
  try {
    return await fromLibraryBuffer('fromTensorFlow', device, lent.buffer, shape, { dtype, onDispose });
  } catch (error) {
    onDispose();
    throw error;
  }
}

/**
 * A tensor as a TensorFlow.js tensor. On WebGPU without a copy (`zeroCopy`): TensorFlow.js then computes on the tensor's
 * buffer, so the tensor must live until results that depend on it have been read (`await result.data()`): TensorFlow.js
 * queues its work late. Dispose of the TensorFlow.js tensor first. Elsewhere a copy.
 * @param tensor f32, or u32, which TensorFlow.js takes for int32
 * @param make `tensor` of @tensorflow/tfjs-core, whose backend is webgpu on the same GPUDevice for a tensor on WebGPU
 * @throws ArgumentError if the tensor is disposed of, or f16, which TensorFlow.js has not
 */
export async function toTensorFlow<T>(tensor: Tensor, make: MakeTensorFlowTensor<T>): Promise<T> {
  const where = 'toTensorFlow';
  if (tensor.disposed) throw new ArgumentError(where, 'tensor', 'a disposed tensor', 'a live tensor');
  if (tensor.dtype === 'f16')
    throw new ArgumentError(where, 'tensor', 'of dtype f16', 'f32 or u32: TensorFlow.js has no halves');
  const dtype = tensor.dtype === 'u32' ? 'int32' : 'float32';
  const shape = [...tensor.shape] as never;
  if (tensor instanceof GpuTensor && sizeOf(tensor.shape) > 0)
    return make({ buffer: tensor.storage, zeroCopy: true } as never, shape, dtype);
  const numbers = await tensor.read();
  const values = dtype === 'int32' ? Int32Array.from(numbers) : Float32Array.from(numbers);
  return make(values as never, shape, dtype);
}

/** dataToGPU() throws for backends without a GPU and for numbers that have not been uploaded yet. */
function lend(tensor: TensorFlowTensor): ReturnType<TensorFlowTensor['dataToGPU']> | undefined {
  try {
    return tensor.dataToGPU();
  } catch {
    return undefined;
  }
}
