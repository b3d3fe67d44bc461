import type { WasmRuntime } from '../device/wasm-runtime.ts';
import { FULL_BLOCK } from '../plan.ts';
import { type Shape, sizeOf, type Tensor } from '../tensor.ts';
import type {
  CompactRequest,
  GroupBySegmentRequest,
  InvertListsRequest,
  SegmentMeanRequest,
  SelectedBlocks,
} from './request.ts';
import { floatsOf, tensorOn, wordsOf } from './wasm-access.ts';

export function compactOnWasm(runtime: WasmRuntime, { mask }: CompactRequest): SelectedBlocks {
  const [batch, heads, rowCount, columns] = mask.shape;
  const rows = tensorOn(runtime, [batch, heads, rowCount, 2], 'u32');
  const blocks = tensorOn(runtime, [Math.max(sizeOf(mask.shape), 1)], 'u32');
  const [data, rowWords, blockWords] = [wordsOf(mask), wordsOf(rows), wordsOf(blocks)];
  for (let row = 0; row < batch * heads * rowCount; row++) {
    let at = row * columns;
    for (let column = 0; column < columns; column++)
      if (data[row * columns + column] !== 0) blockWords[at++] = column;
    rowWords[2 * row] = row * columns;
    rowWords[2 * row + 1] = at - row * columns;
  }
  return { rows, blocks, listBatches: batch, listHeads: heads };
}

export function invertListsOnWasm(runtime: WasmRuntime, request: InvertListsRequest): SelectedBlocks {
  const { lists, columns } = request;
  const { rows, blocks, listBatches, listHeads } = lists;
  const rowCount = rows.shape[2];
  return countingSort(runtime, [listBatches, listHeads, columns], sizeOf(blocks.shape), () => {
    const [rowWords, entries] = [wordsOf(rows), wordsOf(blocks)];
    return (list, visit) => {
      for (let row = 0; row < rowCount; row++) {
        const at = 2 * (list * rowCount + row);
        for (let i = rowWords[at]; i < rowWords[at] + rowWords[at + 1]; i++) {
          const column = entries[i] & ~FULL_BLOCK;
          if (column < columns) visit(column, (row | (entries[i] & FULL_BLOCK)) >>> 0);
        }
      }
    };
  });
}

export function groupBySegmentOnWasm(
  runtime: WasmRuntime,
  { ids, segments }: GroupBySegmentRequest,
): SelectedBlocks {
  const [batch, heads, tokens] = ids.shape;
  return countingSort(runtime, [batch, heads, segments], sizeOf(ids.shape), () => {
    const data = wordsOf(ids);
    return (list, visit) => {
      for (let token = 0; token < tokens; token++) {
        const id = data[list * tokens + token];
        if (id < segments) visit(id, token);
      }
    };
  });
}

type EachPair = (list: number, visit: (column: number, entry: number) => void) => void;

/** Lists of columns from pairs that come by rows: counts, then starts, then places. */
function countingSort(
  runtime: WasmRuntime,
  [listBatches, listHeads, columns]: Shape,
  entries: number,
  open: () => EachPair,
): SelectedBlocks {
  const rows = tensorOn(runtime, [listBatches, listHeads, columns, 2], 'u32');
  const blocks = tensorOn(runtime, [Math.max(entries, 1)], 'u32');
  const [rowWords, blockWords, each] = [wordsOf(rows), wordsOf(blocks), open()];
  rowWords.fill(0);
  let first = 0;
  for (let list = 0; list < listBatches * listHeads; list++) {
    const base = list * columns;
    each(list, (column) => rowWords[2 * (base + column) + 1]++);
    for (let column = 0; column < columns; column++) {
      rowWords[2 * (base + column)] = first;
      first += rowWords[2 * (base + column) + 1];
      rowWords[2 * (base + column) + 1] = 0;
    }
    each(list, (column, entry) => {
      const at = 2 * (base + column);
      blockWords[rowWords[at] + rowWords[at + 1]++] = entry;
    });
  }
  return { rows, blocks, listBatches, listHeads };
}

export function segmentMeanOnWasm(runtime: WasmRuntime, request: SegmentMeanRequest): Tensor {
  const { input, members, empty } = request;
  const [batch, heads, tokens, headDim] = input.shape;
  const segments = members.rows.shape[2];
  const output = tensorOn(runtime, [batch, heads, segments, headDim], 'f32');
  const [data, means] = [floatsOf(input), floatsOf(output)];
  const [rows, blocks] = [wordsOf(members.rows), wordsOf(members.blocks)];
  if (empty) means.set(floatsOf(empty));
  else means.fill(0);
  const sums = new Float64Array(headDim);
  for (let bh = 0; bh < batch * heads; bh++) {
    const list =
      (members.listBatches === 1 ? 0 : Math.floor(bh / heads)) * members.listHeads +
      Math.floor((bh % heads) / (heads / members.listHeads));
    for (let segment = 0; segment < segments; segment++) {
      const first = rows[2 * (list * segments + segment)];
      const count = rows[2 * (list * segments + segment) + 1];
      if (count === 0) continue;
      sums.fill(0);
      for (let i = first; i < first + count; i++) {
        const row = (bh * tokens + blocks[i]) * headDim;
        for (let d = 0; d < headDim; d++) sums[d] += data[row + d];
      }
      for (let d = 0; d < headDim; d++) sums[d] /= count;
      means.set(sums, (bh * segments + segment) * headDim);
    }
  }
  return output;
}
