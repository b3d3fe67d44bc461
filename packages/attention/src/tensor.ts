import type { Device } from './device/device.ts';
import { ArgumentError } from './errors.ts';

/** f64 exists on the reference device only; u32 carries plans. */
export type DType = 'f64' | 'f32' | 'f16' | 'u32';
export type Shape = readonly number[];
export type NumberArray = Float64Array | Float32Array | Uint32Array;

/** A block of numbers with a shape, owned by one device. Dispose of it when done; reading copies it to the host. */
export interface Tensor {
  readonly device: Device;
  readonly shape: Shape;
  readonly dtype: DType;
  /** What the device keeps: a typed array, a GPUBuffer, a place in WASM memory. Only the device looks inside. */
  readonly storage: unknown;
  /** A copy on the host: f32 and f16 come as Float32Array, f64 as Float64Array, u32 as Uint32Array. */
  read(): Promise<NumberArray>;
  /** Frees the memory for reuse. Operations that were given the tensor before finish with it first. */
  dispose(): void;
  readonly disposed: boolean;
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}

/** Bytes of one element as stored. */
export function bytesPerElement(dtype: DType): number {
  return dtype === 'f64' ? 8 : dtype === 'f16' ? 2 : 4;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** Throws ArgumentError unless every length is a non-negative integer and their product equals `elements` (if given). */
export function checkShape(where: string, shape: Shape, elements?: number): void {
  if (!shape.every((length) => Number.isInteger(length) && length >= 0)) {
    throw new ArgumentError(where, 'shape', `[${shape.join(', ')}]`, 'integers of at least 0');
  }
  if (elements !== undefined && sizeOf(shape) !== elements) {
    throw new ArgumentError(
      where,
      'data',
      `${elements} numbers`,
      `${sizeOf(shape)}, the product of shape [${shape.join(', ')}]`,
    );
  }
}

/** Throws ArgumentError if the tensor is disposed of, or lives on another device than `device`. */
export function requireLive(where: string, name: string, tensor: Tensor, device: Device): void {
  if (tensor.disposed) throw new ArgumentError(where, name, 'a disposed tensor', 'a live tensor');
  if (tensor.device !== device)
    throw new ArgumentError(
      where,
      name,
      `on another device (${tensor.device.description})`,
      `a tensor of ${device.description}`,
    );
}
