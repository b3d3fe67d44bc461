import { arrayBytes, type WorkgroupArray } from '../../wgsl/assemble.ts';
import type { Storage } from './access.ts';
import type { ForwardOptions } from './forward-options.ts';

/**
 * Who computes what in one workgroup: a tile of queryTile x keyTile scores, each thread rowsPerThread rows and
 * keysPerThread keys. A row's keys are spread over keyTile / keysPerThread lanes, its output channels over the same lanes.
 */
export interface SubgroupTile {
  queryTile: number;
  keyTile: number;
  rowsPerThread: number;
  /** 4 or 8. */
  keysPerThread: number;
  /** How numbers lie in workgroup memory. Tensors of f32 keep f32 everywhere. */
  queriesAs: Storage;
  keysAs: Storage;
  weightsAs: Storage;
  /** Keys and values take turns in one array: half the memory for two barriers more a tile. */
  shared: boolean;
  /** The next rows are read into registers while the present ones are multiplied. */
  prefetch: boolean;
  /**
   * Rows whose lanes alternate. With 2, lanes that read the same keys and lanes that read the same rows are both
   * neighbours by one bit, which halves what wide reads of workgroup memory cost on some hardware.
   */
  abreast: 1 | 2;
}

/** A tile for given tensors, with everything that follows from it. */
export interface SubgroupShape extends SubgroupTile {
  /** Lanes that share a row. */
  keyLanes: number;
  rowLanes: number;
  threads: number;
  /** A row of a tensor in pieces of 16 bytes. */
  headUnits: number;
  valueUnits: number;
  /** Rows in workgroup memory, in pieces of eight (f16 is part of it) or four channels. */
  headSteps: number;
  valueVectors: number;
  /** Neighbouring vec4s of a row's output that a lane owns, and how many such groups. */
  together: 1 | 2;
  columns: number;
  stride: { queries: number; keys: number; values: number; weights: number };
  /** Pieces of 16 bytes that a thread holds between the global read and the write to workgroup memory; 0: too many, none. */
  fetched: { keys: number; values: number };
  /** By subgroup operations, or through workgroup memory where a row has more lanes than every subgroup. */
  reductions: 'lanes' | 'memory';
  arrays: { keys: string; values: string };
  memory: Record<string, WorkgroupArray>;
}

/** More registers for the next tile than this would push out the accumulators. */
const MOST_FETCHED = 16;

/** Neighbouring rows must not begin in the same memory banks. */
const odd = (count: number) => count + 1 - (count % 2);

export function subgroupShape(
  given: SubgroupTile,
  { storage, headDim, valueDim }: Pick<ForwardOptions, 'storage' | 'headDim' | 'valueDim'>,
  subgroupMin: number,
): SubgroupShape {
  const tile: SubgroupTile =
    storage === 'f32' ? { ...given, queriesAs: 'f32', keysAs: 'f32', weightsAs: 'f32' } : given;
  const { queryTile, keyTile, rowsPerThread, keysPerThread, queriesAs, keysAs, weightsAs } = tile;
  const keyLanes = keyTile / keysPerThread;
  const rowLanes = queryTile / rowsPerThread;
  const threads = keyLanes * rowLanes;
  const abreast = rowLanes % tile.abreast === 0 ? tile.abreast : 1;
  const unit = storage === 'f16' ? 8 : 4;
  const [headUnits, valueUnits] = [Math.ceil(headDim / unit), Math.ceil(valueDim / unit)];
  const headVectors = (headUnits * unit) / 4;
  const valueVectors = (valueUnits * unit) / 4;
  const octets = queriesAs === 'f16' || keysAs === 'f16';
  const together = keysAs === 'f16' && valueUnits >= keyLanes ? 2 : 1;
  const columns = Math.ceil(valueVectors / together / keyLanes);
  const shared = tile.shared && (keysAs === 'f32' || together === 2);
  const stride = {
    queries: odd(queriesAs === 'f16' ? headUnits : headVectors),
    keys: odd(keysAs === 'f16' ? headUnits : headVectors),
    values: columns * keyLanes,
    weights: odd(weightsAs === 'f16' ? keyTile / 8 : keyTile / 4),
  };
  const typeOf = (as: Storage) => (as === 'f16' ? 'vec4<u32>' : 'vec4<f32>');
  const keys: WorkgroupArray = { type: typeOf(keysAs), length: keyTile * stride.keys };
  const values: WorkgroupArray = {
    type: keysAs === 'f16' && together === 1 ? 'vec2<u32>' : typeOf(keysAs),
    length: keyTile * stride.values,
  };
  const reductions = keyLanes * abreast <= subgroupMin ? 'lanes' : 'memory';
  const fetched = (units: number) => {
    const count = Math.ceil((keyTile * units) / threads);
    return tile.prefetch && count <= MOST_FETCHED ? count : 0;
  };
  return {
    ...tile,
    abreast,
    shared,
    keyLanes,
    rowLanes,
    threads,
    headUnits,
    valueUnits,
    headSteps: octets ? headUnits : headVectors,
    valueVectors: Math.ceil(valueDim / 4),
    together,
    columns,
    stride,
    fetched: { keys: fetched(headUnits), values: fetched(valueUnits) },
    reductions,
    arrays: shared ? { keys: 'keyValues', values: 'keyValues' } : { keys: 'keys', values: 'values' },
    memory: {
      queries: { type: typeOf(queriesAs), length: queryTile * stride.queries },
      ...(shared
        ? { keyValues: { ...keys, length: Math.max(keys.length, values.length) } }
        : { keys, values }),
      weights: { type: typeOf(weightsAs), length: queryTile * stride.weights },
      ...(reductions === 'memory' && { maxima: { type: 'f32', length: queryTile * keyLanes } }),
      queryTokens: { type: 'i32', length: queryTile },
      keyTokens: { type: 'i32', length: 2 * keyTile }, // of this tile and the next
      spoiled: { type: 'atomic<u32>', length: 1 },
    },
  };
}

export function sharedBytes({ memory }: SubgroupShape): number {
  return Object.values(memory).reduce((sum, array) => sum + arrayBytes(array), 0);
}

/** vec4 accumulators of a thread, of scores and of output: more spill out of the registers. */
const MOST_ACCUMULATORS = 32;

const halves = { queriesAs: 'f16', keysAs: 'f16', weightsAs: 'f16', prefetch: true, abreast: 2 } as const;

/** In the order of preference among those that fit. */
const tiles: readonly SubgroupTile[] = [
  { queryTile: 64, keyTile: 64, rowsPerThread: 8, keysPerThread: 4, ...halves, shared: false },
  { queryTile: 64, keyTile: 64, rowsPerThread: 8, keysPerThread: 4, ...halves, shared: true },
  { queryTile: 64, keyTile: 32, rowsPerThread: 8, keysPerThread: 4, ...halves, shared: false },
  { queryTile: 64, keyTile: 32, rowsPerThread: 8, keysPerThread: 4, ...halves, shared: true },
  { queryTile: 64, keyTile: 32, rowsPerThread: 4, keysPerThread: 4, ...halves, shared: true },
  { queryTile: 32, keyTile: 64, rowsPerThread: 4, keysPerThread: 4, ...halves, shared: false },
  { queryTile: 32, keyTile: 32, rowsPerThread: 4, keysPerThread: 4, ...halves, shared: true },
  { queryTile: 16, keyTile: 64, rowsPerThread: 4, keysPerThread: 4, ...halves, shared: false },
  { queryTile: 16, keyTile: 32, rowsPerThread: 2, keysPerThread: 4, ...halves, shared: true },
  { queryTile: 8, keyTile: 64, rowsPerThread: 2, keysPerThread: 4, ...halves, shared: false },
  { queryTile: 8, keyTile: 32, rowsPerThread: 1, keysPerThread: 4, ...halves, shared: true },
];

/** On the CPU threads cost time and unrolled rows and columns cost compile time; lanes of a row fit into its subgroups of four. */
function softwareTile(valueDim: number): SubgroupTile {
  const keyTile = valueDim <= 64 ? 16 : 64;
  return {
    queryTile: 16,
    keyTile,
    rowsPerThread: 4,
    keysPerThread: 4,
    ...halves,
    abreast: 1,
    weightsAs: 'f16',
    shared: false,
  };
}

/** Whether a tile fits the device, and its accumulators the registers. */
export function subgroupTileFits(
  shape: SubgroupShape,
  limits: { memoryBytes: number; threads: number },
): boolean {
  return (
    sharedBytes(shape) <= limits.memoryBytes &&
    shape.threads <= limits.threads &&
    (shape.together * shape.columns + shape.keysPerThread / 4) * shape.rowsPerThread <= MOST_ACCUMULATORS
  );
}

/**
 * The first tile of the list that a query block fills at least half of, that the registers hold and that fits the device;
 * undefined: none does, and the portable kernel, which loads channels in chunks, is the better one.
 */
export function chooseSubgroupTile(
  options: Pick<ForwardOptions, 'storage' | 'headDim' | 'valueDim'>,
  queryBlock: number,
  limits: { memoryBytes: number; threads: number; software: boolean; subgroupMin: number },
): SubgroupShape | undefined {
  if (limits.software) {
    const shape = subgroupShape(softwareTile(options.valueDim), options, limits.subgroupMin);
    // registers are no limit where there are none
    return sharedBytes(shape) <= limits.memoryBytes && shape.threads <= limits.threads ? shape : undefined;
  }
  const smallest = Math.min(...tiles.map((tile) => tile.queryTile));
  return tiles
    .filter((tile) => tile.queryTile === smallest || queryBlock > tile.queryTile / 2)
    .map((tile) => subgroupShape(tile, options, limits.subgroupMin))
    .find((shape) => subgroupTileFits(shape, limits));
}
