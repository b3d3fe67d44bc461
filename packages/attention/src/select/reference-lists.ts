import { FULL_BLOCK } from '../plan.ts';
import type { HostLists } from './reference-top.ts';
import type {
  CompactRequest,
  GroupBySegmentRequest,
  InvertListsRequest,
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
    const list =
      (members.listBatches === 1 ? 0 : Math.floor(bh / heads)) * members.listHeads +
      Math.floor((bh % heads) / (heads / members.listHeads));
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
