import type { Device } from '../device/device.ts';
import { GpuTensor } from '../device/gpu.ts';
import { ArgumentError } from '../errors.ts';
import { bytesPerElement, type DType, sizeOf, type Tensor } from '../tensor.ts';
import { checkUsable, fromLibraryBuffer } from './buffers.ts';
import { hostArray } from './half.ts';

/** What is used of a jax-js array. Reading one consumes a reference to it; `ref` makes another. */
export interface JaxArray {
  readonly shape: readonly number[];
  readonly dtype: string;
  /** Name of the jax-js backend that holds it: webgpu, wasm, cpu … */
  readonly device: string;
  readonly ref: JaxArray;
  gpuBuffer(): Promise<GPUBuffer>;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** What is used of jax-js's `numpy`; A is its Array. */
export interface JaxNumpy<A extends JaxArray> {
  zeros(shape: number[], options: { dtype: never; device: never }): A;
  array(values: never, options: { shape: number[]; dtype: never; device: never }): A;
}

const dtypes: Readonly<Record<string, DType>> = { float32: 'f32', float16: 'f16', uint32: 'u32' };

/**
 * A jax-js array as a tensor. Without a copy where both live on one GPUDevice: open ours with
 * `openDevice('webgpu', { gpuDevice: getWebGPUDevice() })`. An array of another backend, or for a device that is not
 * WebGPU, goes through the host.
 * @param array of float32, float16 or uint32. Its reference is consumed, as by every function of jax-js: pass `array.ref`
 *   to keep it. The tensor frees it when it is disposed of.
 * @returns a tensor of the array's shape
 * @throws ArgumentError if the dtype is another one, or the array's buffer is of another GPUDevice
 */
export async function fromJax(device: Device, array: JaxArray): Promise<Tensor> {
  const shape = [...array.shape];
  const dtype = dtypes[array.dtype];
  if (!dtype)
    throw new ArgumentError('fromJax', 'array', `of dtype ${array.dtype}`, Object.keys(dtypes).join(', '));
  if (device.kind !== 'webgpu' || array.device !== 'webgpu' || sizeOf(shape) === 0)
    return device.tensor(await array.data(), shape, dtype);
  // the buffer of a reference that is consumed is used again by jax-js, so one reference stays
  const buffer = await array.ref.gpuBuffer();
  const onDispose = () => array.dispose();
  try {
    return await fromLibraryBuffer('fromJax', device, buffer, shape, { dtype, onDispose });
  } catch (error) {
    onDispose();
    throw error;
  }
}

/**
 * A tensor as a new jax-js array, with one copy: jax-js cannot take a buffer in, so the numbers are copied into the
 * buffer of a fresh array, on the GPU where the tensor lives on jax-js's GPUDevice. The tensor stays as it is.
 * @param numpy jax-js's `numpy`
 * @param backend where the array shall live; default: webgpu for a tensor on WebGPU, else wasm
 * @throws ArgumentError if the tensor is disposed of, or lives on another GPUDevice than jax-js's
 */
export async function toJax<A extends JaxArray>(
  tensor: Tensor,
  numpy: JaxNumpy<A>,
  backend: string = tensor.device.kind === 'webgpu' ? 'webgpu' : 'wasm',
): Promise<A> {
  if (tensor.disposed) throw new ArgumentError('toJax', 'tensor', 'a disposed tensor', 'a live tensor');
  const shape = [...tensor.shape];
  const dtype = Object.keys(dtypes).find((name) => dtypes[name] === tensor.dtype) ?? 'float32';
  const options = { dtype: dtype as never, device: backend as never };
  if (!(tensor instanceof GpuTensor) || backend !== 'webgpu' || sizeOf(shape) === 0) {
    const numbers = await tensor.read();
    return numpy.array(hostArray(numbers, tensor.dtype) as never, { ...options, shape });
  }
  const array = numpy.zeros(shape, options);
  try {
    const target = await array.ref.gpuBuffer();
    await checkUsable('toJax', tensor.gpu, target);
    const bytes = sizeOf(shape) * bytesPerElement(tensor.dtype);
    tensor.gpu.copy(tensor.storage, 0, target, Math.ceil(bytes / 4) * 4);
    return array;
  } catch (error) {
    array.dispose();
    throw error;
  }
}
