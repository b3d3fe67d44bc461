import { arrayBytes, type WorkgroupArray } from '../../wgsl/assemble.ts';
import { type BackwardOptionsOfSide, namesParts } from './backward-options.ts';
import {
  FRAGMENT,
  type Hiding,
  isComplete,
  isContiguous,
  type KeySlots,
  MOST_REGISTERS,
  SUBGROUP,
} from './matrix-tile.ts';

/**
 * Who computes what in one workgroup of the backward pass. Rows are queries on the side of dQ and keys on that of dK and dV;
 * a tile's columns are the others. There are two halves of `rows` subgroups: the first has the scores, the second the products
 * of dO and V, each subgroup those of its `fragments` fragments of 16 rows. Of the gradients the first half computes dK and
 * the second dV; dQ they share by channels.
 */
export interface MatrixBackwardTile {
  fragments: 1 | 2;
  rows: number;
}

/** Columns of a tile. */
export const COLUMN_TILE = 32;

/** A tile for a call, with everything that follows from it. Places and strides in 16-byte words of eight halves. */
export interface MatrixBackwardShape extends MatrixBackwardTile {
  rowTile: number;
  threads: number;
  /** Lanes that weigh a row together, and the columns that each weighs. */
  lanesPerRow: number;
  columnsOfLane: number;
  /** Fragments of channels that a subgroup has gradients of. */
  gradientFragments: number;
  /** Channels in fragments, the larger of headDim and valueDim, the last filled with zeros. */
  channelFragments: number;
  /** Words of a row of operands in memory, and of a row of scores. */
  stride: number;
  scoreStride: number;
  /** Words of one matrix of a tile of columns, and of the scores of all rows. */
  operandWords: number;
  scoreWords: number;
  scoresAt: number;
  /** Where the weights and the score gradients of the rows begin, in the places of scores and products. */
  weightsAt: number;
  gradientsAt: number;
  /** Whether the columns of a tile are neighbours in token order. */
  contiguous: boolean;
  /** Whether tokens of columns are looked up, a tile ahead: to load their rows, or for expressions. */
  looksUp: boolean;
  /** Whether all columns of a tile are there, except beyond the last. */
  complete: boolean;
  hiding: Hiding;
  memory: Readonly<Record<string, WorkgroupArray>>;
}

/** Slots that a tile is cut from. */
export interface BackwardSlots {
  keys: KeySlots;
  queryBlock: number;
}

export function matrixBackwardShape(
  tile: MatrixBackwardTile,
  options: BackwardOptionsOfSide,
  slots: BackwardSlots,
): MatrixBackwardShape {
  const { fragments, rows } = tile;
  const { side, headDim, valueDim } = options;
  const rowTile = fragments * rows * FRAGMENT;
  const threads = 2 * rows * SUBGROUP;
  const lanesPerRow = threads / rowTile;
  const columnsOfLane = COLUMN_TILE / lanesPerRow;
  const channelFragments = Math.ceil(Math.max(headDim, valueDim) / FRAGMENT);
  const sharing = side === 'keys' ? 1 : 2;
  const gradientFragments = Math.ceil(channelFragments / sharing);
  // one word of padding: rows that are read together start in different banks
  const stride = 2 * gradientFragments * sharing + 1;
  const scoreStride = COLUMN_TILE / 4 + 1;
  const operandWords = COLUMN_TILE * stride;
  const scoreWords = rowTile * scoreStride;
  const scoresAt = 2 * operandWords;
  const words = Math.max(scoresAt + 2 * scoreWords, 2 * rowTile * stride); // rows pass through the same memory at first
  const complete = side === 'keys' || (isComplete(options, slots.keys) && options.keys !== 'ranges');
  const contiguous =
    side === 'keys'
      ? !options.queryOrder && (options.keys === 'all' || slots.queryBlock % COLUMN_TILE === 0)
      : complete && isContiguous(options.keys, slots.keys, COLUMN_TILE);
  const changed = options.keep !== undefined || options.change !== undefined;
  const hiding = options.onlyCausal
    ? 'causal'
    : changed || (side === 'keys' && namesParts(options.keys))
      ? 'expressions'
      : 'nothing';
  const looksUp = !contiguous || hiding === 'expressions';
  const tokens = (name: string): Record<string, WorkgroupArray> =>
    looksUp ? { [name]: { type: 'i32', length: 2 * COLUMN_TILE } } : {}; // of this tile and the next
  return {
    ...tile,
    rowTile,
    threads,
    lanesPerRow,
    columnsOfLane,
    gradientFragments,
    channelFragments,
    stride,
    scoreStride,
    operandWords,
    scoreWords,
    scoresAt,
    weightsAt: scoresAt,
    // of lanes that weigh half a fragment the second of a pair keeps the gradients of both
    gradientsAt: scoresAt + scoreWords + (columnsOfLane < FRAGMENT ? 2 : 0),
    contiguous,
    looksUp,
    complete,
    hiding,
    memory: {
      tileMemory: { type: 'vec4<u32>', length: words },
      ...(side === 'keys'
        ? {
            keyTokens: { type: 'i32', length: rowTile },
            ...tokens('queryTokens'),
            ...(looksUp && { visits: { type: 'u32', length: 2 * COLUMN_TILE } }),
            columnStatistics: { type: 'vec4<f32>', length: COLUMN_TILE / 2 },
          }
        : { queryTokens: { type: 'i32', length: rowTile }, ...tokens('keyTokens') }),
    },
  };
}

/** In the order of preference among those that fit. Two fragments a subgroup need fewer loads, one fewer registers. */
export const matrixBackwardTiles: readonly (MatrixBackwardTile & { mostChannels?: number })[] = [
  { fragments: 2, rows: 4, mostChannels: 64 },
  { fragments: 2, rows: 2, mostChannels: 64 },
  { fragments: 1, rows: 4 },
  { fragments: 1, rows: 2 },
  { fragments: 1, rows: 1 },
];

/** 32-bit registers that a lane's fragments of rows, scores and gradients and the next tile take, and about what the rest does. */
export function backwardRegisters(shape: MatrixBackwardShape): number {
  const { fragments, channelFragments, gradientFragments, threads } = shape;
  const carried = Math.ceil((COLUMN_TILE * 4 * channelFragments) / threads);
  const scores = (8 * COLUMN_TILE) / FRAGMENT;
  return fragments * (4 * channelFragments + 8 * gradientFragments + scores) + 4 * carried + 40;
}

/** Whether a tile fits the device, and its fragments the registers. */
export function matrixBackwardFits(
  shape: MatrixBackwardShape,
  limits: { memoryBytes: number; threads: number },
): boolean {
  return (
    shape.threads <= limits.threads &&
    Object.values(shape.memory).reduce((sum, array) => sum + arrayBytes(array), 0) <= limits.memoryBytes &&
    backwardRegisters(shape) <= Math.min(MOST_REGISTERS.lane, MOST_REGISTERS.all / shape.threads)
  );
}

/** A tile of fewer rows than this is mostly empty: plain f32 is faster. */
const LEAST_ROWS = 9;

/**
 * The first tile of the list that `rows` neighbouring rows fill more than half of, and that fits; undefined: none does, and
 * the portable kernels are the right ones. They are for f32 storage, too, and where the score expression changes by more or
 * less than the score: score gradients are halves, which need a bound.
 */
export function chooseMatrixBackward(
  options: BackwardOptionsOfSide,
  rows: number,
  slots: BackwardSlots,
  limits: { memoryBytes: number; threads: number },
): MatrixBackwardShape | undefined {
  if (options.storage !== 'f16' || options.slope !== undefined || rows < LEAST_ROWS) return undefined;
  const channels = Math.max(options.headDim, options.valueDim);
  return matrixBackwardTiles
    .filter(({ mostChannels = channels }) => channels <= mostChannels)
    .map(({ mostChannels: _, ...tile }) => matrixBackwardShape(tile, options, slots))
    .find(
      (shape) =>
        (shape.rowTile === FRAGMENT || rows > shape.rowTile / 2) && matrixBackwardFits(shape, limits),
    );
}
