import type { HostMemory } from '../cache/host.ts';
import { ArgumentError, DeviceError } from '../errors.ts';
import { fromHalves, toHalves } from '../interop/half.ts';
import {
  bytesPerElement,
  checkShape,
  type DType,
  type NumberArray,
  type Shape,
  sizeOf,
  type Tensor,
} from '../tensor.ts';
import type { Device } from './device.ts';
import type { WasmHeap } from './wasm-heap.ts';
import type { WasmRuntime } from './wasm-runtime.ts';

/** A place in WASM memory. `storage` is its address. */
export class WasmTensor implements Tensor {
  readonly device: Device;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly storage: number;
  readonly heap: WasmHeap;
  disposed = false;

  constructor(device: Device, heap: WasmHeap, shape: Shape, dtype: DType) {
    this.device = device;
    this.heap = heap;
    this.shape = shape;
    this.dtype = dtype;
    this.storage = heap.allocate(sizeOf(shape) * bytesPerElement(dtype));
  }

  async read(): Promise<NumberArray> {
    return this.copy();
  }

  /** read() without the promise. */
  copy(): Float32Array | Uint32Array {
    if (this.disposed)
      throw new DeviceError('the tensor is disposed', { needs: 'a live tensor', has: 'a disposed one' });
    const length = sizeOf(this.shape);
    if (this.dtype === 'u32') return Uint32Array.from(this.heap.u32(this.storage, length));
    if (this.dtype === 'f16') return fromHalves(this.heap.u16(this.storage, length));
    return Float32Array.from(this.heap.f32(this.storage, length));
  }

  /** Stores `data` from element `first` on. */
  write(data: ArrayLike<number>, first = 0): void {
    const at = this.storage + first * bytesPerElement(this.dtype);
    if (this.dtype === 'u32') this.heap.u32(at, data.length).set(data);
    else if (this.dtype === 'f16') this.heap.u16(at, data.length).set(toHalves(data));
    else this.heap.f32(at, data.length).set(data);
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.heap.inFlight.afterThese(() => this.heap.release(this.storage));
  }

  /** dispose() of a tensor that no operation but the caller's has seen: its memory is free at once. */
  discard(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.heap.release(this.storage);
  }
}

/** A tensor filled from the host. @throws ArgumentError for a dtype that WASM has not, or a shape that does not fit */
export function tensorFrom(
  device: Device,
  heap: WasmHeap,
  data: ArrayLike<number>,
  shape: Shape,
  dtype: DType = data instanceof Uint32Array ? 'u32' : 'f32',
): WasmTensor {
  checkShape('tensor', shape, data.length);
  if (dtype === 'f64') throw new ArgumentError('tensor', 'dtype', dtype, 'f32, f16 or u32 on WASM');
  const tensor = new WasmTensor(device, heap, shape, dtype);
  tensor.write(data);
  return tensor;
}

/** The tensors of a WASM device for work in plain loops, which its threads do not share. */
export function hostMemory(runtime: WasmRuntime): HostMemory {
  const { device, heap } = runtime;
  const stored = (tensor: Tensor, first = 0, count = sizeOf(tensor.shape)) => {
    const at = (tensor as WasmTensor).storage + first * bytesPerElement(tensor.dtype);
    if (tensor.dtype === 'u32') return heap.u32(at, count);
    return tensor.dtype === 'f16' ? heap.u16(at, count) : heap.f32(at, count);
  };
  return {
    empty: (shape, dtype) => new WasmTensor(device, heap, shape, dtype),
    stored: (tensor) => stored(tensor),
    numbers: (tensor, first, count) => {
      const numbers = stored(tensor, first, count);
      return numbers instanceof Uint16Array ? fromHalves(numbers) : numbers;
    },
    settled: () => runtime.finish(),
  };
}
