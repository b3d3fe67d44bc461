import { FULL_BLOCK } from '../plan.ts';
import type { Shape } from '../tensor.ts';
import type { HostLists } from './reference-top.ts';
import type {
  CompactRequest,
  GatherRowsRequest,
  GroupBySegmentRequest,
  InvertListsRequest,
  MergeSlotsRequest,
  SegmentMeanRequest,
} from './request.ts';

/** The columns of each row whose mask is not 0. */
export async function compactReference({ mask }: CompactRequest): Promise<HostLists> {
  const data = await mask.read();
  const [batch, heads, rowCount, columns] = mask.shape;
  const rows = new Uint32Array(batch * heads * rowCount * 2);
  const blocks = new Uint32Array(Math.max(data.length, 1));
  for (let row = 0; row < batch * heads * rowCount; row++) {
    let count = 0;
    for (let column = 0; column < columns; column++)
      if (data[row * columns + column] !== 0) blocks[row * columns + count++] = column;
    rows.set([row * columns, count], 2 * row);
  }
  return { rows, blocks };
}

/** For each column of each list the rows that name it, by looking through all. */
export async function invertListsReference({ lists, columns }: InvertListsRequest): Promise<HostLists> {
  const [rows, blocks] = (await Promise.all([lists.rows.read(), lists.blocks.read()])) as Uint32Array[];
  const rowCount = lists.rows.shape[2];
  return inverted(lists.listBatches * lists.listHeads, columns, rowCount, (list, row) => {
    const at = 2 * (list * rowCount + row);
    return blocks.subarray(rows[at], rows[at] + rows[at + 1]);
  });
}

/** For each segment its tokens: a token is a row whose list has one entry. */
export async function groupBySegmentReference({ ids, segments }: GroupBySegmentRequest): Promise<HostLists> {
  const data = (await ids.read()) as Uint32Array;
  const [batch, heads, tokens] = ids.shape;
  return inverted(batch * heads, segments, tokens, (list, row) =>
    data.subarray(list * tokens + row, list * tokens + row + 1).filter((id) => id < segments),
  );
}

function inverted(
  listCount: number,
  columns: number,
  rowCount: number,
  entriesOf: (list: number, row: number) => Uint32Array,
): HostLists {
  const named: number[][] = Array.from({ length: listCount * columns }, () => []);
  for (let list = 0; list < listCount; list++) {
    for (let row = 0; row < rowCount; row++) {
      for (const entry of entriesOf(list, row)) {
        const column = entry & ~FULL_BLOCK;
        if (column < columns) named[list * columns + column].push((row | (entry & FULL_BLOCK)) >>> 0);
      }
    }
  }
  const rows = new Uint32Array(named.length * 2);
  let first = 0;
  named.forEach((list, at) => {
    rows.set([first, list.length], 2 * at);
    first += list.length;
  });
  return { rows, blocks: Uint32Array.from(first > 0 ? named.flat() : [0]) };
}

/** Mean of the tokens of each list by plain loops, float64. */
export async function segmentMeanReference({ input, members, empty }: SegmentMeanRequest) {
  const [data, rows, blocks] = await Promise.all([input.read(), members.rows.read(), members.blocks.read()]);
  const [batch, heads, tokens, headDim] = input.shape;
  const segments = members.rows.shape[2];
  const means = empty
    ? Float64Array.from(await empty.read())
    : new Float64Array(batch * heads * segments * headDim);
  for (let bh = 0; bh < batch * heads; bh++) {
    const list = listOf(members.rows.shape, bh, heads);
    for (let segment = 0; segment < segments; segment++) {
      const [first, count] = rows.subarray(2 * (list * segments + segment));
      if (count === 0) continue;
      for (let d = 0; d < headDim; d++) {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += data[(bh * tokens + blocks[first + i]) * headDim + d];
        means[(bh * segments + segment) * headDim + d] = sum / count;
      }
    }
  }
  return { shape: [batch, heads, segments, headDim], data: means };
}

/** Copies of the rows that ids name; zeros where an id names none. */
export async function gatherRowsReference({ input, ids }: GatherRowsRequest) {
  const [data, names] = await Promise.all([input.read(), ids.read()]);
  const [batch, heads, tokens, headDim] = input.shape;
  const slots = ids.shape[2];
  const rows = new Float64Array(batch * heads * slots * headDim);
  for (let bh = 0; bh < batch * heads; bh++) {
    const list = listOf(ids.shape, bh, heads);
    for (let slot = 0; slot < slots; slot++) {
      const token = names[list * slots + slot];
      if (token >= tokens) continue;
      for (let d = 0; d < headDim; d++)
        rows[(bh * slots + slot) * headDim + d] = data[(bh * tokens + token) * headDim + d];
    }
  }
  return { shape: [batch, heads, slots, headDim], data: rows };
}

/** L = log Σ exp L_s, O = Σ exp(L_s − L) O_s over the slots s of each token, float64. */
export async function mergeSlotsReference({ output, logSumExp, slots }: MergeSlotsRequest) {
  const [parts, sums, rows, blocks] = await Promise.all([
    output.read(),
    logSumExp.read(),
    slots.rows.read(),
    slots.blocks.read(),
  ]);
  const [batch, heads, slotCount, valueDim] = output.shape;
  const tokens = slots.rows.shape[2];
  const merged = new Float64Array(batch * heads * tokens * valueDim);
  const total = new Float64Array(batch * heads * tokens).fill(-Infinity);
  for (let bh = 0; bh < batch * heads; bh++) {
    const list = listOf(slots.rows.shape, bh, heads);
    for (let token = 0; token < tokens; token++) {
      const [first, count] = rows.subarray(2 * (list * tokens + token));
      const own = Array.from(blocks.subarray(first, first + count), (slot) => bh * slotCount + slot).filter(
        (slot) => sums[slot] !== -Infinity,
      );
      if (own.length === 0) continue;
      const base = Math.max(...own.map((slot) => sums[slot]));
      const at = bh * tokens + token;
      total[at] = base + Math.log(own.reduce((sum, slot) => sum + Math.exp(sums[slot] - base), 0));
      for (const slot of own)
        for (let d = 0; d < valueDim; d++)
          merged[at * valueDim + d] += Math.exp(sums[slot] - total[at]) * parts[slot * valueDim + d];
    }
  }
  return {
    output: { shape: [batch, heads, tokens, valueDim], data: merged },
    logSumExp: { shape: [batch, heads, tokens], data: total },
  };
}

/** Which list a (batch, head) uses, of lists [listBatches, listHeads, …]. */
function listOf([listBatches, listHeads]: Shape, batchHead: number, heads: number): number {
  const batch = listBatches === 1 ? 0 : Math.floor(batchHead / heads);
  return batch * listHeads + Math.floor((batchHead % heads) / (heads / listHeads));
}
