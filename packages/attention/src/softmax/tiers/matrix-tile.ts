import { arrayBytes, type WorkgroupArray } from '../../wgsl/assemble.ts';
import type { ForwardOptions } from './forward-options.ts';

/**
 * Who computes what in one workgroup of the matrix tier. `rows` by `columns` subgroups of 32 lanes: each owns `fragments`
 * fragments of 16 query rows, and of a tile of keyTile keys the scores of its share of the keys, and of the output its share
 * of the channels. Two columns halve the registers of a lane, so that more subgroups are at work at a time.
 */
export interface MatrixTile {
  fragments: 1 | 2;
  rows: number;
  columns: 1 | 2;
  keyTile: 16 | 32;
}

/** Lanes of a subgroup: the tier is for adapters whose subgroups have exactly this many, lane by lane in the workgroup. */
export const SUBGROUP = 32;
/** Rows, columns and depth of a fragment: f16 x f16 -> f32 at 16 x 16 x 16. */
export const FRAGMENT = 16;

/** What hides pairs: nothing but absent keys, a mask that the kernel knows by itself, or expressions. */
export type Hiding = 'nothing' | 'causal' | 'band' | 'expressions';

/** A tile for a call, with everything that follows from it. Places and strides in 16-byte words of eight halves. */
export interface MatrixShape extends MatrixTile {
  queryTile: number;
  subgroups: number;
  threads: number;
  /** Lanes that weigh a row of scores together, each its run of keys. */
  lanesPerRow: number;
  /** Fragments of keys and of output channels that a subgroup computes. */
  keyFragments: number;
  valueFragments: number;
  /** headDim in fragments, the last filled with zeros. */
  headFragments: number;
  keyStride: number;
  valueStride: number;
  scoreStride: number;
  weightStride: number;
  /** Words from one lane's weights of a row to the next lane's. */
  weightsOfLane: number;
  valuesAt: number;
  scoresAt: number;
  weightsAt: number;
  /** Whether the keys of a tile are neighbours in token order: no lookup per key. */
  contiguous: boolean;
  /** Whether tokens of keys are looked up, a tile ahead: to load their rows, or for expressions. */
  looksUp: boolean;
  /** Whether tiles lie in blocks of an order, whose entries say, a tile ahead, whether the mask cuts them. */
  marked: boolean;
  /** Whether all keys of a tile are there, except beyond the last. */
  complete: boolean;
  hiding: Hiding;
  memory: Readonly<Record<string, WorkgroupArray>>;
}

/** What a shape depends on besides its tile. */
export type MatrixCall = Pick<
  ForwardOptions,
  | 'headDim'
  | 'valueDim'
  | 'keys'
  | 'queryOrder'
  | 'keyOrder'
  | 'keep'
  | 'change'
  | 'honourFullBlocks'
  | 'maskIsCausal'
  | 'maskIsBand'
>;

export function matrixShape(tile: MatrixTile, options: MatrixCall, keySlots: KeySlots): MatrixShape {
  const { fragments, rows, columns, keyTile } = tile;
  const { headDim, valueDim } = options;
  const subgroups = rows * columns;
  const queryTile = fragments * rows * FRAGMENT;
  const threads = subgroups * SUBGROUP;
  const lanesPerRow = threads / queryTile;
  const headFragments = Math.ceil(headDim / FRAGMENT);
  const valueFragments = Math.ceil(valueDim / FRAGMENT / columns);
  // one word of padding: rows that are read together start in different banks
  const keyStride = headFragments * 2 + 1;
  const valueStride = valueFragments * columns * 2 + 1;
  const scoreStride = keyTile / 4 + 1;
  // weights take the place of the scores that a lane read, if whole fragments of a row stay together there
  const inPlace = lanesPerRow * FRAGMENT <= keyTile;
  const weightStride = inPlace ? scoreStride : keyTile / 8 + 1;
  const valuesAt = keyTile * keyStride;
  const scoresAt = valuesAt + keyTile * valueStride;
  const afterScores = scoresAt + queryTile * scoreStride;
  const words = Math.max(
    inPlace ? afterScores : afterScores + queryTile * weightStride,
    queryTile * keyStride, // queries pass through the same memory before the first keys
  );
  const complete = isComplete(options, keySlots);
  const ownBand = options.maskIsBand && options.change === undefined;
  const contiguous =
    ownBand || (complete && !options.keyOrder && isContiguous(options.keys, keySlots, keyTile));
  const hiding = hidingOf(options, ownBand, contiguous);
  const looksUp = hiding === 'expressions' || !contiguous;
  const marked =
    hiding === 'expressions' &&
    options.honourFullBlocks &&
    options.change === undefined &&
    complete &&
    !contiguous &&
    options.keys === 'blocks' &&
    keySlots.block % keyTile === 0;
  const masks = Math.ceil(valueDim / 32);
  return {
    ...tile,
    queryTile,
    subgroups,
    threads,
    lanesPerRow,
    keyFragments: keyTile / FRAGMENT / columns,
    valueFragments,
    headFragments,
    keyStride,
    valueStride,
    scoreStride,
    weightStride,
    weightsOfLane: keyTile / lanesPerRow / (inPlace ? 4 : 8),
    valuesAt,
    scoresAt,
    weightsAt: inPlace ? scoresAt : afterScores,
    contiguous,
    looksUp,
    marked,
    complete,
    hiding,
    memory: {
      tileMemory: { type: 'vec4<u32>', length: words },
      ...(options.queryOrder && { queryTokens: { type: 'i32', length: queryTile } }),
      ...(looksUp && { keyTokens: { type: 'i32', length: 2 * keyTile } }), // of this tile and the next
      outgrown: { type: 'atomic<u32>', length: 1 },
      ...(hiding !== 'nothing' && {
        spoiled: { type: 'atomic<u32>', length: 1 },
        spoiledKeys: { type: 'atomic<u32>', length: keyTile * masks },
        spoiledRows: { type: 'atomic<u32>', length: queryTile * masks },
      }),
    },
  };
}

function hidingOf({ keep, change, maskIsCausal }: MatrixCall, ownBand: boolean, contiguous: boolean): Hiding {
  if (keep === undefined && change === undefined) return 'nothing';
  if (ownBand) return 'band';
  return maskIsCausal && change === undefined && contiguous ? 'causal' : 'expressions';
}

/** Slots of the plan's keys, and of one block of them. */
export interface KeySlots {
  slots: number;
  block: number;
  /** Where there is an order of keys: whether it names a token in every slot. */
  filled?: boolean;
}

/** Whether every slot of a list holds a key. */
export function isComplete(
  options: Pick<MatrixCall, 'keys' | 'keyOrder'>,
  { slots, block, filled }: KeySlots,
): boolean {
  if (options.keyOrder && !filled) return false;
  switch (options.keys) {
    case 'all':
    case 'ranges':
    case 'gathered':
    case 'band':
      return true;
    case 'blocks':
      return slots % block === 0;
    default:
      return false;
  }
}

/** Whether the keys of a tile follow each other, where all are there. */
export function isContiguous(keys: MatrixCall['keys'], { block }: KeySlots, keyTile: number): boolean {
  return keys === 'all' || keys === 'ranges' || (keys === 'blocks' && block % keyTile === 0);
}

/** In the order of preference among those that fit; two fragments a subgroup need fewer loads, one fewer registers. */
const tiles: readonly (MatrixTile & { mostChannels?: number })[] = [
  { fragments: 2, rows: 8, columns: 2, keyTile: 32 },
  { fragments: 2, rows: 4, columns: 2, keyTile: 32 },
  { fragments: 1, rows: 8, columns: 1, keyTile: 32 },
  { fragments: 2, rows: 2, columns: 2, keyTile: 32, mostChannels: 64 },
  { fragments: 1, rows: 4, columns: 1, keyTile: 16, mostChannels: 128 },
  { fragments: 1, rows: 4, columns: 2, keyTile: 32 },
  { fragments: 1, rows: 4, columns: 1, keyTile: 16 },
  { fragments: 1, rows: 2, columns: 2, keyTile: 32 },
  { fragments: 1, rows: 2, columns: 1, keyTile: 16 },
  { fragments: 1, rows: 1, columns: 2, keyTile: 32 },
];

/** Registers of a lane, and of all lanes of a multiprocessor: more spill. */
export const MOST_REGISTERS = { lane: 248, all: 65536 };

/** 32-bit registers that a lane's fragments of queries, scores and output take, and about what the rest does. */
export function registersOf({ fragments, headFragments, valueFragments, keyFragments }: MatrixShape): number {
  return fragments * (4 * headFragments + 8 * valueFragments + 8 * keyFragments) + 40;
}

/** Whether a tile fits the device, and its fragments the registers. */
export function matrixTileFits(
  shape: MatrixShape,
  limits: { memoryBytes: number; threads: number },
): boolean {
  return (
    shape.threads <= limits.threads &&
    Object.values(shape.memory).reduce((sum, array) => sum + arrayBytes(array), 0) <= limits.memoryBytes &&
    registersOf(shape) <= Math.min(MOST_REGISTERS.lane, MOST_REGISTERS.all / shape.threads)
  );
}

/**
 * The first tile of the list that a query block fills more than half of, that the registers hold and that fits the device;
 * undefined: none does, or the storage is not f16, and a lower tier is the right one.
 */
export function chooseMatrixTile(
  options: ForwardOptions,
  queryBlock: number,
  keySlots: KeySlots,
  limits: { memoryBytes: number; threads: number },
): MatrixShape | undefined {
  if (options.storage !== 'f16') return undefined;
  const smallest = Math.min(...tiles.map(({ fragments, rows }) => fragments * rows * FRAGMENT));
  const channels = Math.max(options.headDim, options.valueDim);
  return tiles
    .filter(({ mostChannels = channels }) => channels <= mostChannels)
    .map(({ fragments, rows, columns, keyTile }) =>
      matrixShape({ fragments, rows, columns, keyTile }, options, keySlots),
    )
    .find(
      (shape) =>
        (shape.queryTile === smallest || queryBlock > shape.queryTile / 2) && matrixTileFits(shape, limits),
    );
}
