import { arrayBytes, type WorkgroupArray } from '../../wgsl/assemble.ts';
import { type Storage, wideVectors } from './access.ts';

/** How the threads of a workgroup share the channels of a row: `lanes` neighbours read it side by side, 16 bytes each where rows allow. */
export interface RowLanes {
  /** vec4s of channels that a thread reads at once. */
  vectors: number;
  /** Reads that a whole row takes. */
  reads: number;
  lanes: number;
  /** Reads of one thread for one row. */
  chunks: number;
  /** Rows that the workgroup reads side by side. */
  rowsAtOnce: number;
}

/**
 * Who computes what in one workgroup of the decode kernel: a few query rows (the heads that share a key head, by a few
 * queries) against `split` key slots. Rows and splits are few enough that a row's scores fit into workgroup memory.
 */
export interface DecodeTile {
  threads: number;
  heads: number;
  queries: number;
  rows: number;
  /** Key slots of a workgroup. */
  split: number;
  /** Key slots whose partial products are in workgroup memory at a time. */
  keyTile: number;
  key: RowLanes;
  value: RowLanes;
  /** Threads that share a row's softmax. */
  rowThreads: number;
  memory: Record<'queries' | 'exchange' | 'weights' | 'maxima' | 'sums' | 'keyTokens', WorkgroupArray>;
}

/** Query rows beyond these go to further workgroups: more would spill out of the registers. */
const MOST_ROWS = 8;
const THREADS = 128;
const splits = [1024, 512, 256, 128, 64];
/** Bytes of partial products below which a tile takes more keys. */
const EXCHANGE_BYTES = 9216;
/** Channels of a row that the kernel holds in registers; longer rows are for the tiled kernels. */
export const MOST_DECODE_CHANNELS = 512;

export interface DecodeNeeds {
  headDim: number;
  valueDim: number;
  storage: Storage;
  /** Query heads that may share key reads: the same key head and the same key list. */
  sharedHeads: number;
  /** Query slots of a block of the plan. */
  queryBlock: number;
  /** Key slots that a row visits at most. */
  keySlots: number;
  /** Workgroups that one split of every row makes, for `rows` query rows a workgroup. */
  groups: (heads: number, queries: number) => number;
  memoryBytes: number;
  /** Workgroups that keep the device busy. */
  wantedGroups: number;
}

/** The largest split that still gives the device `wantedGroups` workgroups and fits into its memory. */
export function chooseDecodeTile(needs: DecodeNeeds, forcedSplit?: number): DecodeTile {
  const { sharedHeads, queryBlock, keySlots, memoryBytes, wantedGroups } = needs;
  for (let most = MOST_ROWS; ; most = Math.ceil(most / 2)) {
    const heads = Math.ceil(sharedHeads / Math.ceil(sharedHeads / most));
    const queries = Math.max(1, Math.min(queryBlock, Math.floor(most / heads)));
    const groups = needs.groups(heads, queries);
    for (const split of forcedSplit ? [forcedSplit] : splits) {
      const tile = decodeTile(needs, heads, queries, split);
      const last = split === (forcedSplit ?? splits[splits.length - 1]);
      if (decodeBytes(tile) > memoryBytes) continue;
      if (last || groups * Math.ceil(keySlots / split) >= wantedGroups) return tile;
    }
    if (most === 1) return decodeTile(needs, 1, 1, splits[splits.length - 1]);
  }
}

function decodeTile(needs: DecodeNeeds, heads: number, queries: number, split: number): DecodeTile {
  const { headDim, valueDim, storage } = needs;
  const rows = heads * queries;
  const key = rowLanes(headDim, storage);
  const value = rowLanes(valueDim, storage);
  const sweep = 4 * key.rowsAtOnce;
  // one row of padding a row of lanes: neighbouring keys must not meet in one memory bank
  const sweepVectors = key.rowsAtOnce * (key.lanes + 1);
  let keyTile = sweep;
  while (2 * keyTile <= split && rows * ((2 * keyTile) / sweep) * sweepVectors * 16 <= EXCHANGE_BYTES)
    keyTile *= 2;
  return {
    threads: THREADS,
    heads,
    queries,
    rows,
    split,
    keyTile,
    key,
    value,
    rowThreads: THREADS / 2 ** Math.ceil(Math.log2(rows)),
    memory: {
      queries: { type: 'vec4<f32>', length: rows * key.lanes * key.chunks * key.vectors },
      // partial products of a key tile, then the shares of a row's output
      exchange: {
        type: 'vec4<f32>',
        length: Math.max(rows * (keyTile / sweep) * sweepVectors, THREADS * value.chunks * value.vectors),
      },
      weights: { type: 'vec4<f32>', length: (rows * split) / 4 },
      maxima: { type: 'f32', length: THREADS },
      sums: { type: 'f32', length: THREADS },
      keyTokens: { type: 'i32', length: split },
    },
  };
}

function rowLanes(channels: number, storage: Storage): RowLanes {
  const vectors = wideVectors(storage, channels);
  const reads = Math.ceil(channels / (4 * vectors));
  const lanes = Math.min(32, Math.max(8, 2 ** Math.ceil(Math.log2(reads))));
  return { vectors, reads, lanes, chunks: Math.ceil(reads / lanes), rowsAtOnce: THREADS / lanes };
}

export function decodeBytes(tile: DecodeTile): number {
  return Object.values(tile.memory).reduce((sum, array) => sum + arrayBytes(array), 0);
}
