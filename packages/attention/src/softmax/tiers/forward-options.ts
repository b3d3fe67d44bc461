import { type Bindings, read, type StorageBinding, uniform, write } from '../../wgsl/bindings.ts';
import { elementOf, rowBinding, type Storage } from './access.ts';
import { epilogueBindings } from './epilogue.ts';
import type { KeyKind, ListPlace } from './keys.ts';

/** Everything but its tile that changes a forward kernel's text, whatever its tier. */
export interface ForwardOptions {
  headDim: number;
  valueDim: number;
  storage: Storage;
  outputStorage: Storage;
  keys: KeyKind;
  lists: ListPlace;
  queryOrder: boolean;
  keyOrder: boolean;
  outside: 'skip' | 'zero';
  /** Key 'all' in query order: stop at the last key that a causal mask lets through. */
  stopEarly: boolean;
  honourFullBlocks: boolean;
  /** The mask is the causal one alone, and slots are tokens. */
  maskIsCausal: boolean;
  /** The plan is a band and the mask its own alone. */
  maskIsBand: boolean;
  /** WGSL of `keep` and `change` (see mods/to-wgsl); undefined: nothing is masked, scores stay. */
  keep: string | undefined;
  change: string | undefined;
  /** Stages that the expressions call, and the buffers that they read. */
  tableStages: readonly string[];
  tableBindings: Readonly<Record<string, StorageBinding>>;
  epilogueScale: 'none' | 'number' | Storage;
  epilogueAdd: 'none' | Storage;
  memoryLimit: number;
}

/** Whether any score passes through an expression; without one, scores only need their scale. */
export function hasExpressions(options: Pick<ForwardOptions, 'keep' | 'change'>): boolean {
  return options.keep !== undefined || options.change !== undefined;
}

/** The plainest call: dense, nothing masked, nothing added. */
export const plainForward = {
  storage: 'f32',
  outputStorage: 'f32',
  keys: 'all',
  lists: 'packed',
  queryOrder: false,
  keyOrder: false,
  outside: 'skip',
  stopEarly: false,
  honourFullBlocks: false,
  maskIsCausal: false,
  maskIsBand: false,
  keep: undefined,
  change: undefined,
  tableStages: [],
  tableBindings: {},
  epilogueScale: 'none',
  epilogueAdd: 'none',
} as const satisfies Partial<ForwardOptions>;

/** Numbers of a launch, the same in every tier. */
export const shapeFields = {
  batch: 'u32',
  heads: 'u32',
  keyHeads: 'u32',
  queryTokens: 'u32',
  keyTokens: 'u32',
  keyStride: 'u32',
  scale: 'f32',
  causalOffset: 'i32',
  querySlots: 'u32',
  queryBlock: 'u32',
  queryBlocks: 'u32',
  blockTiles: 'u32',
  keySlots: 'u32',
  keyBlock: 'u32',
  listBatches: 'u32',
  listHeads: 'u32',
  keyOrderAt: 'u32',
  rowsAt: 'u32',
  blocksAt: 'u32',
  epilogueScale: 'f32',
  grid0: 'i32',
  grid1: 'i32',
  grid2: 'i32',
  step0: 'i32',
  step1: 'i32',
  step2: 'i32',
} as const;

/** What a forward kernel reads and writes, the same in every tier. `wide`: f16 rows are read 16 bytes at a time. */
export function forwardBindings(options: ForwardOptions, { wide } = { wide: false }): Bindings {
  const { storage, headDim, valueDim } = options;
  return {
    query: rowBinding(storage, headDim, wide), // [batch, heads, queryTokens, headDim]
    key: rowBinding(storage, headDim, wide), // [batch, keyHeads, keyStride, headDim]
    value: rowBinding(storage, valueDim, wide), // [batch, keyHeads, keyStride, valueDim]
    output: write(elementOf(options.outputStorage, valueDim)), // [batch, heads, queryTokens, valueDim]
    logSumExp: write('u32'), // bits of f32 [batch, heads, queryTokens]
    shape: uniform(shapeFields),
    plan: read('u32'), // query order, key order, lists
    ...(options.lists === 'tensors' && { rows: read('u32'), blocks: read('u32') }),
    ...epilogueBindings(options),
    ...options.tableBindings,
  };
}

/** Bit patterns that the stages of every tier compare with. */
export const forwardConstants = {
  NO_TOKEN: 0xffffffff,
  MINUS_INFINITY: 0xff800000,
  NOT_A_NUMBER: 0x7fc00000,
  HIDDEN_BITS: 0xefa18f08, // -1e29: scores from here down are hidden
  LEAST_BITS: 0x2081cea, // 1e-37
} as const;

/** WGSL of the numbers that the stages of every tier compute with. */
export const forwardNumbers = `const LOG2_E = 1.4426950408889634;
const LN_2 = 0.6931471805599453;
// GPUs may assume that no number is infinite: a hidden pair's score is far below every other.
const HIDDEN = -1e30;`;
