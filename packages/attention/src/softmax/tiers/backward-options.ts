import { type Bindings, read, type StorageBinding, uniform, write } from '../../wgsl/bindings.ts';
import { elementOf, rowBinding, type Storage } from './access.ts';
import { shapeFields } from './forward-options.ts';
import type { KeyKind, ListPlace } from './keys.ts';
import type { BackwardShape, Side } from './portable-backward-tile.ts';
import { type Gathered, gatherBindings } from './portable-table-gradients.ts';

/** Everything but its tile that changes the text of a kernel of the backward pass, whatever its tier. */
export interface BackwardOptionsOfSide {
  side: Side;
  headDim: number;
  valueDim: number;
  /** Of query, key and value. */
  storage: Storage;
  /** Of the output's gradient. */
  gradientStorage: Storage;
  keys: KeyKind;
  lists: ListPlace;
  queryOrder: boolean;
  /** Of the plan's keys; from the keys' side, of their units. */
  keyOrder: boolean;
  outside: 'skip' | 'zero';
  /** Key 'all' in query order under a causal mask: tiles that no pair of is kept are not visited. */
  causalTiles: boolean;
  /** With causalTiles: nothing else is masked or changed, so that a comparison of tokens stands for `keep`. */
  onlyCausal: boolean;
  /** Side 'keys': gradients are stored by slot, as a token stands in several. */
  bySlot: boolean;
  honourFullBlocks: boolean;
  /** WGSL of `keep`, `change` and `slope`; undefined: nothing is masked, scores stay, the slope is 1. */
  keep: string | undefined;
  change: string | undefined;
  slope: string | undefined;
  tableStages: readonly string[];
  tableBindings: Readonly<Record<string, StorageBinding>>;
  /** Of the side 'tables': what is gathered, and whether this run measures it or adds it up. */
  gathered: Gathered | undefined;
  memoryLimit: number;
}

/** The plainest call: dense, nothing masked or changed. */
export const plainBackward = {
  storage: 'f32',
  gradientStorage: 'f32',
  keys: 'all',
  lists: 'packed',
  queryOrder: false,
  keyOrder: false,
  outside: 'skip',
  causalTiles: false,
  onlyCausal: false,
  bySlot: false,
  honourFullBlocks: false,
  keep: undefined,
  change: undefined,
  slope: undefined,
  tableStages: [],
  tableBindings: {},
  gathered: undefined,
  memoryLimit: 32768,
} as const satisfies Partial<BackwardOptionsOfSide>;

/** The same with the tile of a portable kernel. */
export interface BackwardKernelOptions extends BackwardOptionsOfSide {
  tile: BackwardShape;
}

const backwardFields = {
  ...shapeFields,
  units: 'u32',
  unitTiles: 'u32',
  unitSize: 'u32',
  unitSlots: 'u32',
  unitOrderAt: 'u32',
  inverseLists: 'u32',
  inverseEntriesAt: 'u32',
  /** Rows of a key head in the gradients: tokens, or slots where a token stands in several. */
  keyRows: 'u32',
} as const;

/** Rows and columns of the tile's pairs, as a side has them. */
export interface Sides {
  rows: string;
  columns: string;
  ROWS: string;
  COLUMNS: string;
  own: readonly [a: string, b: string];
  other: readonly [a: string, b: string];
  ownRow: string;
  otherRow: string;
}

const fromQueries: Sides = {
  rows: 'queryTokens',
  columns: 'keyTokens',
  ROWS: 'QUERY_TILE',
  COLUMNS: 'KEY_TILE',
  own: ['query', 'outputGradient'],
  other: ['key', 'value'],
  ownRow: 'queryRow',
  otherRow: 'keyRow',
};

export const sides: Record<Side, Sides> = {
  queries: fromQueries,
  tables: fromQueries,
  keys: {
    rows: 'keyTokens',
    columns: 'queryTokens',
    ROWS: 'KEY_TILE',
    COLUMNS: 'QUERY_TILE',
    own: fromQueries.other,
    other: fromQueries.own,
    ownRow: 'keyRow',
    otherRow: 'queryRow',
  },
};

/** Whether a query block may see part of a key unit: then the keys' side reads its list again for each pair. */
export function namesParts(keys: KeyKind): boolean {
  return keys === 'ranges' || keys === 'intervals' || keys === 'band' || keys === 'boxes';
}

/** What a kernel reads and writes, the same in every tier. `wide`: f16 rows are read 16 bytes at a time. */
export function backwardBindings(options: BackwardOptionsOfSide, { wide } = { wide: false }): Bindings {
  const { side, storage, gradientStorage, headDim, valueDim, keys } = options;
  const listed = namesParts(keys);
  const packed = options.lists === 'packed' && (side === 'keys' ? listed : keys !== 'all');
  const needsPlan = packed || options.queryOrder || options.keyOrder;
  return {
    query: rowBinding(storage, headDim, wide), // [batch, heads, queryTokens, headDim]
    key: rowBinding(storage, headDim, wide), // [batch, keyHeads, keyTokens, headDim]
    value: rowBinding(storage, valueDim, wide), // [batch, keyHeads, keyTokens, valueDim]
    outputGradient: rowBinding(gradientStorage, valueDim, wide), // [batch, heads, queryTokens, valueDim]
    rowStats: read('vec2<f32>'), // [batch, heads, queryTokens]: log2 of the sum, rowsum(dO ∘ O) − dL
    shape: uniform({ ...backwardFields, ...options.gathered?.fields }),
    ...(side === 'queries' && { queryGradient: write(elementOf('f32', headDim)) }),
    ...(side === 'keys' && {
      keyGradient: write(elementOf('f32', headDim)), // [batch, keyHeads, keyRows, headDim]
      valueGradient: write(elementOf('f32', valueDim)),
    }),
    ...(needsPlan && { plan: read('u32') }), // orders and host lists
    ...(options.lists === 'tensors' &&
      (side !== 'keys' || listed) && { rows: read('u32'), blocks: read('u32') }),
    ...(side === 'keys' && keys !== 'all' && { inverse: read('u32') }),
    ...(options.gathered && gatherBindings),
    ...options.tableBindings,
  };
}
