import type { WasmRuntime } from '../../device/wasm-runtime.ts';
import { WasmTensor } from '../../device/wasm-tensor.ts';
import { ArgumentError } from '../../errors.ts';
import type { Table } from '../../mods/expression.ts';
import type { Indices } from '../../plan.ts';
import { sizeOf, type Tensor } from '../../tensor.ts';

/** Scratch of one call: released together when it ends. */
export class Lease {
  private readonly places: number[] = [];
  readonly heap: WasmRuntime['heap'];

  constructor(runtime: WasmRuntime) {
    this.heap = runtime.heap;
  }

  bytes(count: number): number {
    const at = this.heap.allocate(count);
    this.places.push(at);
    return at;
  }

  words(data: Uint32Array | Int32Array | Float32Array): number {
    const at = this.bytes(data.byteLength);
    const source = new Uint32Array(data.buffer, data.byteOffset, data.length);
    this.heap.u32(at, data.length).set(source);
    return at;
  }

  indices(indices: Indices): number {
    return indices instanceof Uint32Array ? this.words(indices) : addressOf(indices);
  }

  /** Addresses of tables, as expressions read them: in f32 or i32. */
  tables(tables: readonly Table[]): Uint32Array {
    return Uint32Array.from(tables, ({ data }) => {
      if (!('device' in data)) return this.words(data);
      if (data.dtype !== 'f16') return addressOf(data);
      return this.words(floats(data, this.heap));
    });
  }

  end(): void {
    for (const at of this.places) this.heap.release(at);
  }
}

export function addressOf(tensor: Tensor): number {
  if (!(tensor instanceof WasmTensor))
    throw new ArgumentError('attend', 'tensor', 'on another device', 'a tensor of this WASM device');
  return tensor.storage;
}

/** The numbers of a tensor: a view for f32, a copy for f16. */
export function floats(tensor: Tensor, heap: WasmRuntime['heap']): Float32Array {
  const at = addressOf(tensor);
  if (tensor.dtype === 'f16') return (tensor as WasmTensor).copy() as Float32Array;
  return heap.f32(at, sizeOf(tensor.shape));
}
