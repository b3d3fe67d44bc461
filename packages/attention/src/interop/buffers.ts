import type { Device } from '../device/device.ts';
import { type Gpu, GpuTensor } from '../device/gpu.ts';
import { WebGPUDevice } from '../device/webgpu.ts';
import { ArgumentError } from '../errors.ts';
import { bytesPerElement, checkShape, type DType, type Shape, sizeOf, type Tensor } from '../tensor.ts';

const STORAGE = 0x0080;
const COPY_SRC = 0x0004;

/** GPUBufferUsage in words, for errors. */
const usageNames: Readonly<Record<number, string>> = {
  1: 'MAP_READ',
  2: 'MAP_WRITE',
  4: 'COPY_SRC',
  8: 'COPY_DST',
  16: 'INDEX',
  32: 'VERTEX',
  64: 'UNIFORM',
  128: 'STORAGE',
  256: 'INDIRECT',
  512: 'QUERY_RESOLVE',
};

/** Kernels may read a tensor as whole vec4s, so its buffer must not end inside one. */
const ALIGNMENT = 16;

export interface BufferOptions {
  /** What the buffer holds; f16 is packed, two to a u32. Default: f32. */
  dtype?: DType;
  /** Where the numbers begin, in bytes, a multiple of 4; other than 0 only with `copy`. Default: 0. */
  offset?: number;
  /** Copies the numbers on the GPU, so that the buffer is free at once. Default: the tensor is the buffer. */
  copy?: boolean;
  /** Called once, when nothing here needs the buffer any more. It is never destroyed here. */
  onDispose?: () => void;
}

/**
 * A tensor in a GPUBuffer that someone else owns. What is written to the buffer by work queued later is seen by calls
 * made later. The owner keeps it alive until onDispose, which follows dispose() and the calls that were under way then.
 *
 * @param device opened by openDevice() on the buffer's GPUDevice (option gpuDevice), or the one that the buffer was made on
 * @param buffer of usage STORAGE and COPY_SRC, in row-major order of `shape`, with at least the bytes of its numbers
 *   rounded up to 16 (to 4 with `copy`)
 * @throws ArgumentError, naming bytes and flags, if the buffer is too small, mapped, destroyed, of another GPUDevice or
 *   made for another usage, or if offset or dtype do not fit
 */
export function fromBuffer(
  device: Device,
  buffer: GPUBuffer,
  shape: Shape,
  options: BufferOptions = {},
): Promise<Tensor> {
  return take('fromBuffer', device, buffer, shape, options);
}

/** fromBuffer() for a library's tensor: with a copy on the GPU only where the buffer cannot be bound as it is. */
export function fromLibraryBuffer(
  where: string,
  device: Device,
  buffer: GPUBuffer,
  shape: Shape,
  options: { dtype: DType; onDispose: () => void },
): Promise<Tensor> {
  const bytes = sizeOf(shape) * bytesPerElement(options.dtype);
  const most = gpuOf(where, device).limits.maxStorageBufferBindingSize;
  const copy = buffer.size < padded(bytes) || buffer.size > most || (buffer.usage & STORAGE) === 0;
  return take(where, device, buffer, shape, { ...options, copy });
}

async function take(
  where: string,
  device: Device,
  buffer: GPUBuffer,
  shape: Shape,
  options: BufferOptions,
): Promise<Tensor> {
  const { dtype = 'f32', offset = 0, copy = false, onDispose } = options;
  const gpu = gpuOf(where, device);
  checkShape(where, shape);
  if (dtype === 'f64') throw new ArgumentError(where, 'dtype', dtype, 'f32, f16 or u32 on WebGPU');
  if (typeof buffer?.size !== 'number' || typeof buffer.usage !== 'number')
    throw new ArgumentError(where, 'buffer', String(buffer), 'a GPUBuffer');
  if (!Number.isInteger(offset) || offset < 0 || offset % 4 !== 0)
    throw new ArgumentError(where, 'offset', offset, 'a multiple of 4 bytes from 0 on');
  if (offset !== 0 && !copy)
    throw new ArgumentError(where, 'offset', offset, '0, or any multiple of 4 with { copy: true }');
  const bytes = Math.ceil((sizeOf(shape) * bytesPerElement(dtype)) / 4) * 4;
  const needed = copy ? offset + bytes : padded(bytes);
  if (buffer.size < needed) {
    const numbers = `${sizeOf(shape)} numbers of ${dtype} in shape [${shape.join(', ')}]`;
    const room = copy ? '' : ', in whole words of 16';
    throw new ArgumentError(
      where,
      'buffer',
      `of ${buffer.size} bytes`,
      `at least ${needed}: ${numbers}${offset ? ` from byte ${offset} on` : ''}${room}`,
    );
  }
  const usage = copy ? COPY_SRC : STORAGE | COPY_SRC;
  if ((buffer.usage & usage) !== usage)
    throw new ArgumentError(
      where,
      'buffer',
      `of usage ${flags(buffer.usage)}`,
      `usage with ${flags(usage)}, and any other`,
    );
  const most = gpu.limits.maxStorageBufferBindingSize;
  if (!copy && buffer.size > most)
    throw new ArgumentError(
      where,
      'buffer',
      `of ${buffer.size} bytes`,
      `at most ${most}, maxStorageBufferBindingSize; or { copy: true } for a part of it`,
    );
  await checkUsable(where, gpu, buffer);
  if (!copy) return new GpuTensor(gpu, buffer, shape, dtype, onDispose ?? (() => {}));
  const tensor = gpu.empty(shape, dtype);
  gpu.copy(buffer, offset, tensor.storage, bytes);
  onDispose?.();
  return tensor;
}

/**
 * The GPUBuffer of a tensor, not a copy: row-major, from byte 0 on, f16 packed; up to 15 bytes of padding follow. It
 * stays the tensor's, so dispose() of the tensor ends its use; work that reads it must be queued on the device's queue.
 * @throws ArgumentError if the tensor is disposed of or does not live on WebGPU
 */
export function bufferOf(tensor: Tensor): GPUBuffer {
  if (!(tensor instanceof GpuTensor))
    throw new ArgumentError('bufferOf', 'tensor', `on ${tensor.device.kind}`, 'a tensor on a WebGPU device');
  if (tensor.disposed) throw new ArgumentError('bufferOf', 'tensor', 'a disposed tensor', 'a live tensor');
  return tensor.storage;
}

/** The GPUDevice that a Device computes on, for libraries that take one. @throws ArgumentError off WebGPU */
export function gpuDeviceOf(device: Device): GPUDevice {
  return gpuOf('gpuDeviceOf', device).device;
}

export function gpuOf(where: string, device: Device): Gpu {
  if (device instanceof WebGPUDevice) return device.gpu;
  throw new ArgumentError(where, 'device', `of kind ${device.kind}`, 'a device of kind webgpu');
}

function padded(bytes: number): number {
  return Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
}

/** Buffers that have been tried on a GPUDevice. One destroyed later is refused by WebGPU when it is used. */
const usable = new WeakMap<GPUBuffer, GPUDevice>();

/** A buffer does not tell its device or whether it is destroyed: WebGPU does when four bytes of it are copied. */
export async function checkUsable(where: string, gpu: Gpu, buffer: GPUBuffer): Promise<void> {
  gpu.check();
  if (usable.get(buffer) === gpu.device) return;
  if (buffer.mapState !== undefined && buffer.mapState !== 'unmapped')
    throw new ArgumentError(where, 'buffer', buffer.mapState, 'an unmapped buffer');
  const error = await gpu.tryCopy(buffer);
  if (error)
    throw new ArgumentError(
      where,
      'buffer',
      `unusable here (${error.message.split('\n')[0]})`,
      'a live buffer of the GPUDevice that the device was opened on',
    );
  usable.set(buffer, gpu.device);
}

function flags(usage: number): string {
  const names = Object.entries(usageNames).filter(([bit]) => (usage & Number(bit)) !== 0);
  return names.map(([, name]) => name).join(' | ') || 'none';
}
