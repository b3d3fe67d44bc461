import { arrayBytes, type WorkgroupArray } from '../../wgsl/assemble.ts';

/**
 * Who computes what in one workgroup: a tile of queryTile x keyTile scores, each thread rowsPerThread rows and four keys.
 * A row's keys are spread over keyTile / 4 threads, its output channels over the same threads.
 */
export interface Tile {
  queryTile: number;
  keyTile: number;
  rowsPerThread: number;
  /** vec4s of headDim that are in workgroup memory at a time. */
  chunk: number;
  /** The next rows are read into registers while the present ones are multiplied. */
  prefetch: boolean;
  /**
   * Rows whose threads alternate. With 2, threads that read the same keys and threads that read the same rows are both
   * neighbours by one bit, which halves what wide reads of workgroup memory cost on some hardware.
   */
  abreast: 1 | 2;
}

/** A tile for given channels, with everything that follows from it. */
export interface TileShape extends Tile {
  /** Threads that share a row. */
  keyLanes: number;
  rowLanes: number;
  threads: number;
  headVectors: number;
  headChunks: number;
  valueVectors: number;
  /** vec4s of a row's output that a thread accumulates. */
  columns: number;
  /** Keys whose values are in workgroup memory at a time. */
  valueChunk: number;
  /** vec4s that a thread holds between the global read and the write to workgroup memory. */
  fetched: { queries: number; keys: number; values: number };
  memory: Record<
    'queries' | 'keyValues' | 'weights' | 'maxima' | 'queryTokens' | 'keyTokens' | 'spoiled',
    WorkgroupArray
  >;
}

export function shapeOf(tile: Tile, headDim: number, valueDim: number): TileShape {
  const { queryTile, keyTile, rowsPerThread } = tile;
  const keyLanes = keyTile / 4;
  const rowLanes = queryTile / rowsPerThread;
  const headVectors = Math.ceil(headDim / 4);
  const valueVectors = Math.ceil(valueDim / 4);
  const chunk = Math.min(tile.chunk, headVectors);
  const columns = Math.ceil(valueVectors / keyLanes);
  const rowOfValues = columns * keyLanes;
  let valueChunk = keyTile;
  while (valueChunk > 4 && valueChunk * rowOfValues > keyTile * (tile.chunk + 1)) valueChunk /= 2;
  const threads = keyLanes * rowLanes;
  const headChunks = Math.ceil(headVectors / chunk);
  const fetched = (vectors: number) => (tile.prefetch ? Math.ceil(vectors / threads) : 0);
  return {
    ...tile,
    chunk,
    abreast: rowLanes % tile.abreast === 0 ? tile.abreast : 1,
    fetched: {
      queries: headChunks > 1 ? fetched(queryTile * chunk) : 0,
      keys: fetched(keyTile * chunk),
      values: fetched(valueChunk * rowOfValues),
    },
    keyLanes,
    rowLanes,
    threads,
    headVectors,
    headChunks,
    valueVectors,
    columns,
    valueChunk,
    // rows are padded by one vec4: neighbouring threads read neighbouring rows and must not meet in one memory bank
    memory: {
      queries: { type: 'vec4<f32>', length: queryTile * (chunk + 1) },
      keyValues: { type: 'vec4<f32>', length: Math.max(keyTile * (chunk + 1), valueChunk * rowOfValues) },
      weights: { type: 'vec4<f32>', length: queryTile * (keyLanes + 1) },
      maxima: { type: 'vec4<f32>', length: (queryTile * keyLanes) / 4 },
      queryTokens: { type: 'i32', length: queryTile },
      keyTokens: { type: 'i32', length: 2 * keyTile },
      spoiled: { type: 'atomic<u32>', length: 1 },
    },
  };
}

export function memoryBytes(shape: TileShape): number {
  return Object.values(shape.memory).reduce((sum, array) => sum + arrayBytes(array), 0);
}

const plain = { prefetch: false, abreast: 1 } as const;

const tiles: readonly Tile[] = [
  { queryTile: 64, keyTile: 64, rowsPerThread: 4, chunk: 8, ...plain },
  { queryTile: 32, keyTile: 64, rowsPerThread: 4, chunk: 8, ...plain },
  { queryTile: 16, keyTile: 64, rowsPerThread: 2, chunk: 8, ...plain },
  { queryTile: 8, keyTile: 64, rowsPerThread: 1, chunk: 8, ...plain },
  { queryTile: 4, keyTile: 64, rowsPerThread: 1, chunk: 8, ...plain },
];

/** On the CPU threads cost time and unrolled rows and columns cost compile time. */
function softwareTile(valueDim: number): Tile {
  const keyTile = valueDim <= 32 ? 16 : valueDim <= 64 ? 32 : 64;
  return { queryTile: 16, keyTile, rowsPerThread: 4, chunk: 8, ...plain };
}

/** vec4 accumulators of a thread: more spill out of the registers. */
const MOST_ACCUMULATORS = 16;

/** Whether a tile fits the device, and its accumulators the registers. */
export function portableTileFits(
  shape: TileShape,
  limits: { memoryBytes: number; threads: number },
): boolean {
  return (
    memoryBytes(shape) <= limits.memoryBytes &&
    shape.threads <= limits.threads &&
    (shape.columns * shape.rowsPerThread <= MOST_ACCUMULATORS || shape.rowsPerThread === 1)
  );
}

/**
 * The largest tile that a query block fills at least half of, that the registers hold, and that fits into `memoryLimit` bytes
 * (with a smaller chunk, then with half the keys).
 */
export function chooseTile(
  queryBlock: number,
  headDim: number,
  valueDim: number,
  limits: { memoryBytes: number; threads: number; software: boolean },
): TileShape {
  if (limits.software) return shapeOf(softwareTile(valueDim), headDim, valueDim);
  const last = tiles.length - 1;
  for (const [index, tile] of tiles.entries()) {
    if (index < last && queryBlock <= tile.queryTile / 2) continue;
    for (const keyTile of [tile.keyTile, tile.keyTile / 2]) {
      for (const chunk of [8, 4, 2]) {
        const shape = shapeOf({ ...tile, keyTile, chunk }, headDim, valueDim);
        if (portableTileFits(shape, limits)) return shape;
      }
    }
  }
  return shapeOf({ ...tiles[last], keyTile: 32, chunk: 2 }, headDim, valueDim);
}
