import type { WorkgroupArray } from '../../wgsl/assemble.ts';
import { arrayBytes } from '../../wgsl/assemble.ts';

/** From which side a kernel walks the pairs: dQ from the queries, dK and dV from the keys, table gradients from the queries. */
export type Side = 'queries' | 'keys' | 'tables';

/**
 * Who computes what in one workgroup: rowTile x columnTile pairs; each thread rowsPerThread rows by four columns, and
 * its share of those rows' gradients.
 */
export interface BackwardTile {
  rowTile: number;
  columnTile: number;
  rowsPerThread: number;
  /** vec4s of a row that are in workgroup memory at a time. */
  chunk: number;
}

/** A tile for given channels, with everything that follows from it. */
export interface BackwardShape extends BackwardTile {
  /** Threads that share a row. */
  columnLanes: number;
  rowLanes: number;
  threads: number;
  head: Channels;
  value: Channels;
  memory: Readonly<Record<string, WorkgroupArray>>;
}

/** headDim or valueDim, cut for the threads. */
export interface Channels {
  vectors: number;
  /** Chunks of the products over channels. */
  chunks: number;
  /** vec4s of a row's gradient that a thread accumulates. */
  columns: number;
  /** Columns of the tile whose whole rows are in workgroup memory at a time. */
  stage: number;
}

export function backwardShape(
  tile: BackwardTile,
  side: Side,
  headDim: number,
  valueDim: number,
): BackwardShape {
  const { rowTile, columnTile, rowsPerThread } = tile;
  const columnLanes = columnTile / 4;
  const vectors = [headDim, valueDim].map((channels) => Math.ceil(channels / 4));
  const chunk = Math.min(tile.chunk, Math.max(...vectors));
  // rows are padded by one vec4: neighbouring threads read neighbouring rows and must not meet in one memory bank
  const padded = (rowTile + columnTile) * (chunk + 1);
  const strides = vectors.map((count) => Math.ceil(count / columnLanes) * columnLanes);
  const operands = side === 'tables' ? padded : Math.max(padded, 4 * Math.max(...strides));
  const [head, value] = vectors.map((count, i): Channels => {
    let stage = columnTile;
    while (stage > 4 && stage * strides[i] > operands) stage /= 2;
    return { vectors: count, chunks: Math.ceil(count / chunk), columns: strides[i] / columnLanes, stage };
  });
  const weights: WorkgroupArray = { type: 'vec4<f32>', length: rowTile * (columnLanes + 1) };
  const [queryTile, keyTile] = side === 'keys' ? [columnTile, rowTile] : [rowTile, columnTile];
  return {
    ...tile,
    chunk,
    columnLanes,
    rowLanes: rowTile / rowsPerThread,
    threads: columnLanes * (rowTile / rowsPerThread),
    head,
    value,
    memory: {
      operands: { type: 'vec4<f32>', length: operands },
      weights,
      queryTokens: { type: 'i32', length: queryTile },
      keyTokens: { type: 'i32', length: keyTile },
      ...(side === 'keys' && {
        visits: { type: 'u32', length: queryTile },
        sums: { type: 'f32', length: queryTile },
        means: { type: 'f32', length: queryTile },
      }),
      ...(side === 'tables' && { weightGradients: weights }),
    },
  };
}

const tiles: readonly BackwardTile[] = [
  { rowTile: 64, columnTile: 64, rowsPerThread: 4, chunk: 8 },
  { rowTile: 32, columnTile: 64, rowsPerThread: 4, chunk: 8 },
  { rowTile: 32, columnTile: 64, rowsPerThread: 2, chunk: 8 },
  { rowTile: 16, columnTile: 64, rowsPerThread: 2, chunk: 8 },
  { rowTile: 8, columnTile: 64, rowsPerThread: 1, chunk: 8 },
  { rowTile: 4, columnTile: 64, rowsPerThread: 1, chunk: 8 },
];

/** On the CPU unrolled rows and columns cost seconds of compile time. */
function softwareTile(channels: number): BackwardTile {
  const columnTile = channels <= 32 ? 16 : channels <= 64 ? 32 : 64;
  return { rowTile: 8, columnTile, rowsPerThread: 1, chunk: 8 };
}

/** vec4 accumulators of a thread: more spill out of the registers. */
const MOST_ACCUMULATORS = 16;

/**
 * The largest tile that a block of `rows` fills at least half of, that the registers hold, and that fits into
 * `memoryBytes` (with a smaller chunk, then with half the columns).
 */
export function chooseBackwardTile(
  side: Side,
  rows: number,
  headDim: number,
  valueDim: number,
  limits: { memoryBytes: number; threads: number; software: boolean },
): BackwardShape {
  if (limits.software)
    return backwardShape(softwareTile(Math.max(headDim, valueDim)), side, headDim, valueDim);
  const last = tiles.length - 1;
  for (const [index, tile] of tiles.entries()) {
    if (index < last && rows <= tile.rowTile / 2) continue;
    for (const columnTile of [tile.columnTile, tile.columnTile / 2]) {
      for (const chunk of [8, 4, 2]) {
        const shape = backwardShape({ ...tile, columnTile, chunk }, side, headDim, valueDim);
        if (
          backwardBytes(shape) <= limits.memoryBytes &&
          shape.threads <= limits.threads &&
          (accumulators(shape, side) <= MOST_ACCUMULATORS || shape.rowsPerThread === 1)
        )
          return shape;
      }
    }
  }
  return backwardShape({ ...tiles[last], columnTile: 32, chunk: 2 }, side, headDim, valueDim);
}

export function backwardBytes({ memory }: BackwardShape): number {
  return Object.values(memory).reduce((sum, array) => sum + arrayBytes(array), 0);
}

function accumulators({ head, value, rowsPerThread }: BackwardShape, side: Side): number {
  const columns = { queries: head.columns, keys: head.columns + value.columns, tables: 0 }[side];
  return columns * rowsPerThread;
}
