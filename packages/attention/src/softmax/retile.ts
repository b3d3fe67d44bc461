import type { Gpu } from '../device/gpu.ts';
import type { AttendRequest } from './request.ts';
import { type Blocks, type ForwardKernel, forwardOf, type Machine } from './tiers/forward.ts';
import type { ForwardOptions } from './tiers/forward-options.ts';

/** A call with the kernel of the tier's own choice. */
export interface TiledCall {
  request: AttendRequest;
  options: ForwardOptions;
  blocks: Blocks;
  machine: Machine;
  own: ForwardKernel;
}

/** Makes kernels: given to tuned.ts, so that bundlers can keep it and the kernels apart. */
export type ForwardOf = typeof forwardOf;

/** Gives a call another kernel than the tier's own choice, or that one. */
type Retile = (call: TiledCall, forward: ForwardOf) => ForwardKernel;

const retiles = new WeakMap<Gpu, Retile>();

/** From now on calls of a device have the kernels that `retile` gives them: tuned.ts, which few pages need, is loaded apart. */
export function retileWith(gpu: Gpu, retile: Retile): void {
  retiles.set(gpu, retile);
}

export function retiled(gpu: Gpu, call: TiledCall): ForwardKernel {
  return retiles.get(gpu)?.(call, forwardOf) ?? call.own;
}
