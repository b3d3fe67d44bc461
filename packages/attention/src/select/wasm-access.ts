import type { WasmRuntime } from '../device/wasm-runtime.ts';
import { WasmTensor } from '../device/wasm-tensor.ts';
import { invariant } from '../errors.ts';
import { type DType, type Shape, sizeOf, type Tensor } from '../tensor.ts';

export function tensorOn(runtime: WasmRuntime, shape: Shape, dtype: DType): WasmTensor {
  return new WasmTensor(runtime.device, runtime.heap, shape, dtype);
}

/** The numbers of a tensor: a view for f32, a copy for f16. A view ends when the memory grows: allocate first. */
export function floatsOf(tensor: Tensor): Float32Array {
  invariant(tensor instanceof WasmTensor, 'a selection on WASM got a tensor of another device');
  return tensor.dtype === 'f16'
    ? (tensor.copy() as Float32Array)
    : tensor.heap.f32(tensor.storage, sizeOf(tensor.shape));
}

/** The words of a tensor of u32, or the bits of one of f32; a view, as floatsOf(). */
export function wordsOf(tensor: Tensor): Uint32Array {
  invariant(tensor instanceof WasmTensor, 'a selection on WASM got a tensor of another device');
  return tensor.heap.u32(tensor.storage, sizeOf(tensor.shape));
}
