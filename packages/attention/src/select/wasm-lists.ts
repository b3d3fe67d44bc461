import type { WasmRuntime } from '../device/wasm-runtime.ts';
import type { WasmTensor } from '../device/wasm-tensor.ts';
import { FULL_BLOCK } from '../plan.ts';
import { type Shape, sizeOf, type Tensor } from '../tensor.ts';
import type {
  CompactRequest,
  GatherRowsRequest,
  GroupBySegmentRequest,
  InvertListsRequest,
  MergeSlotsRequest,
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
    const list = listOf(members.rows.shape, bh, heads);
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

export function gatherRowsOnWasm(runtime: WasmRuntime, { input, ids }: GatherRowsRequest): Tensor {
  const [batch, heads, tokens, headDim] = input.shape;
  const slots = ids.shape[2];
  const output = tensorOn(runtime, [batch, heads, slots, headDim], input.dtype);
  // halves are copied as they are
  const elements = (tensor: WasmTensor) =>
    tensor.dtype === 'f16'
      ? tensor.heap.u16(tensor.storage, sizeOf(tensor.shape))
      : tensor.heap.u32(tensor.storage, sizeOf(tensor.shape));
  const [data, rows, names] = [elements(input as WasmTensor), elements(output), wordsOf(ids)];
  for (let bh = 0; bh < batch * heads; bh++) {
    const list = listOf(ids.shape, bh, heads);
    for (let slot = 0; slot < slots; slot++) {
      const to = (bh * slots + slot) * headDim;
      const token = names[list * slots + slot];
      const from = (bh * tokens + token) * headDim;
      if (token < tokens) rows.set(data.subarray(from, from + headDim), to);
      else rows.fill(0, to, to + headDim);
    }
  }
  return output;
}

export function mergeSlotsOnWasm(runtime: WasmRuntime, { output, logSumExp, slots }: MergeSlotsRequest) {
  const [batch, heads, slotCount, valueDim] = output.shape;
  const tokens = slots.rows.shape[2];
  const merged = tensorOn(runtime, [batch, heads, tokens, valueDim], 'f32');
  const total = tensorOn(runtime, [batch, heads, tokens], 'f32');
  const [parts, sums] = [floatsOf(output), floatsOf(logSumExp)];
  const [rows, blocks] = [wordsOf(slots.rows), wordsOf(slots.blocks)];
  const [numbers, totals] = [floatsOf(merged), floatsOf(total)];
  const row = new Float64Array(valueDim);
  for (let bh = 0; bh < batch * heads; bh++) {
    const list = listOf(slots.rows.shape, bh, heads);
    for (let token = 0; token < tokens; token++) {
      const first = rows[2 * (list * tokens + token)];
      const end = first + rows[2 * (list * tokens + token) + 1];
      let base = -Infinity;
      for (let i = first; i < end; i++) base = Math.max(base, sums[bh * slotCount + blocks[i]]);
      let weights = 0;
      row.fill(0);
      for (let i = first; i < end; i++) {
        const slot = bh * slotCount + blocks[i];
        if (sums[slot] === -Infinity) continue;
        const weight = Math.exp(sums[slot] - base);
        weights += weight;
        for (let d = 0; d < valueDim; d++) row[d] += weight * parts[slot * valueDim + d];
      }
      if (weights !== 0) for (let d = 0; d < valueDim; d++) row[d] /= weights;
      totals[bh * tokens + token] = weights === 0 ? -Infinity : base + Math.log(weights);
      numbers.set(row, (bh * tokens + token) * valueDim);
    }
  }
  return { output: merged, logSumExp: total };
}

/** Which list a (batch, head) uses, of lists [listBatches, listHeads, …]. */
function listOf([listBatches, listHeads]: Shape, batchHead: number, heads: number): number {
  const batch = listBatches === 1 ? 0 : Math.floor(batchHead / heads);
  return batch * listHeads + Math.floor((batchHead % heads) / (heads / listHeads));
}
