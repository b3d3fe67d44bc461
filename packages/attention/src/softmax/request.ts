import type { Tier } from '../device/device.ts';
import type { Table, Traced } from '../mods/expression.ts';
import { type Plan, queryBlocks } from '../plan.ts';
import type { DType, Tensor } from '../tensor.ts';

/** A checked call of attend(): every shape agrees, every option is resolved. What a backend's kernel receives. */
export interface AttendRequest {
  query: Tensor; // [batch, heads, queryTokens, headDim]
  key: Tensor; // [batch, keyHeads, keyStride, headDim]
  value: Tensor; // [batch, keyHeads, keyStride, valueDim]
  batch: number;
  heads: number;
  keyHeads: number; // divides heads; query head h reads key head floor(h / (heads / keyHeads))
  queryTokens: number;
  keyTokens: number;
  /** Tokens that key and value have room for a head; those from keyTokens on are not there (a cache that is not full). */
  keyStride: number;
  headDim: number;
  valueDim: number;
  scale: number;
  plan: Plan;
  /** keep only key <= query + causalOffset; undefined: not causal. Already part of `mask`: given so that loops can stop early. */
  causalOffset: number | undefined;
  /** plan.keep, causal and options.mask in one; undefined: nothing is masked. */
  mask: Traced | undefined;
  /** Blocks marked FULL_BLOCK skip the mask. False where attend() adds causal or a mask that the plan's marks do not know of. */
  honourFullBlocks: boolean;
  score: Traced | undefined;
  /** output = scale * attention + add, at the end of the kernel. */
  epilogue:
    | { scale: number | Tensor /* [batch, heads, queryTokens] */; add: Tensor | undefined /* like output */ }
    | undefined;
  outputDType: DType;
  /** The mask is the causal one alone: tiles of keys that all queries of a tile come after need no mask. */
  maskIsCausal: boolean;
  /** The plan is a band and the mask its own alone: what a query sees follows from its token. */
  maskIsBand: boolean;
  /** The tier that must run; undefined: the device's, or a lower one where that has no kernel for the call. */
  tier: Tier | undefined;
  signal: AbortSignal | undefined;
}

export interface AttendResult {
  output: Tensor; // [batch, heads, queryTokens, valueDim]
  logSumExp: Tensor; // [batch, heads, queryTokens], natural log, before the epilogue
  /** Which kind of kernel computed it; absent where results were merged. */
  tier?: Tier;
}

export interface MergeRequest {
  parts: readonly AttendResult[]; // at least one; equal shapes
  signal: AbortSignal | undefined;
}

/** A checked call of attendBackward(): the call of attend() and what its gradients are made from. */
export interface BackwardRequest extends AttendRequest {
  output: Tensor; // [batch, heads, queryTokens, valueDim]
  logSumExp: Tensor; // [batch, heads, queryTokens]
  outputGradient: Tensor; // like output
  logSumExpGradient: Tensor | undefined; // like logSumExp
  /** Float tables that the score expression reads and whose gradients are wanted. */
  tables: readonly Table[];
  /** Sums of dS per (query block, key block) are wanted; only for plans of key blocks. */
  blockSums: boolean;
}

/** f32; f64 on the reference. */
export interface AttendGradients {
  query: Tensor; // [batch, heads, queryTokens, headDim]
  key: Tensor; // [batch, keyHeads, keyTokens, headDim]
  value: Tensor; // [batch, keyHeads, keyTokens, valueDim]
  /** Of options.tables, in their order, each of its table's shape. */
  tables: readonly Tensor[];
  /** [batch, heads, queryBlocks, keyBlocks]; undefined unless asked for. */
  blockSums: Tensor | undefined;
  /** Which kind of kernel ran, on devices that have several. */
  tier?: Tier;
}

/** [batch, heads, queryBlocks, keyBlocks] of a plan that lists key blocks. */
export function blockSumsShape({ batch, heads, plan }: AttendRequest): readonly number[] {
  const { keys } = plan;
  const keyBlocks = keys.kind === 'blocks' ? Math.ceil(keys.layout.slots / keys.layout.block) : 0;
  return [batch, heads, queryBlocks(plan), keyBlocks];
}
