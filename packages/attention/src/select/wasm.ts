import type { WasmHeap } from '../device/wasm-heap.ts';
import type { WasmRuntime } from '../device/wasm-runtime.ts';
import { WasmTensor } from '../device/wasm-tensor.ts';
import { invariant } from '../errors.ts';
import { NO_TOKEN } from '../plan.ts';
import { type Shape, sizeOf, type Tensor } from '../tensor.ts';
import type { BlockMeanRequest, BlockScoresRequest, SelectedBlocks, TopKRequest } from './request.ts';

/** Selection on the WASM device's memory. Sums are float64, as in the reference. */
export class WasmSelection {
  private readonly runtime: WasmRuntime;

  constructor(runtime: WasmRuntime) {
    this.runtime = runtime;
  }

  async blockMean({ input, layout }: BlockMeanRequest): Promise<Tensor> {
    const [batch, heads, tokens, headDim] = input.shape;
    const blocks = Math.ceil(layout.slots / layout.block);
    const output = this.f32([batch, heads, blocks, headDim]);
    const data = floats(input, this.runtime.heap);
    const means = floats(output, this.runtime.heap);
    const sums = new Float64Array(headDim);
    for (let bh = 0; bh < batch * heads; bh++) {
      for (let block = 0; block < blocks; block++) {
        sums.fill(0);
        let count = 0;
        const end = Math.min((block + 1) * layout.block, layout.slots);
        for (let slot = block * layout.block; slot < end; slot++) {
          const token = layout.order ? layout.order[slot] : slot;
          if (token === NO_TOKEN) continue;
          count++;
          const row = (bh * tokens + token) * headDim;
          for (let d = 0; d < headDim; d++) sums[d] += data[row + d];
        }
        const at = (bh * blocks + block) * headDim;
        for (let d = 0; d < headDim; d++) means[at + d] = sums[d] / Math.max(count, 1);
      }
    }
    return output;
  }

  async blockScores({ query, key, scale, heads: mode }: BlockScoresRequest): Promise<Tensor> {
    const [batch, heads, rows, headDim] = query.shape;
    const [, keyHeads, columns] = key.shape;
    const outHeads = mode === 'sum' ? 1 : heads;
    const output = this.f32([batch, outHeads, rows, columns]);
    const { heap } = this.runtime;
    const [q, k, scores] = [floats(query, heap), floats(key, heap), floats(output, heap)];
    const perKeyHead = heads / keyHeads;
    const line = new Float64Array(columns);
    const added = heads / outHeads;
    for (let b = 0; b < batch; b++) {
      for (let out = 0; out < outHeads; out++) {
        for (let row = 0; row < rows; row++) {
          line.fill(0);
          for (let h = out * added; h < (out + 1) * added; h++) {
            const from = ((b * heads + h) * rows + row) * headDim;
            const keys = (b * keyHeads + Math.floor(h / perKeyHead)) * columns * headDim;
            for (let column = 0; column < columns; column++) {
              const at = keys + column * headDim;
              let dot = 0;
              for (let d = 0; d < headDim; d++) dot += q[from + d] * k[at + d];
              line[column] += scale * dot;
            }
          }
          scores.set(line, ((b * outHeads + out) * rows + row) * columns);
        }
      }
    }
    return output;
  }

  async topK({ scores, k, causal, forceOwn }: TopKRequest): Promise<SelectedBlocks> {
    const { heap } = this.runtime;
    const [batch, heads, rowCount, columns] = scores.shape;
    const total = batch * heads * rowCount;
    const rows = new WasmTensor(this.runtime.device, heap, [batch, heads, rowCount, 2], 'u32');
    const blocks = new WasmTensor(this.runtime.device, heap, [Math.max(total * k, 1)], 'u32');
    const data = floats(scores, heap);
    const rowWords = heap.u32(rows.storage, total * 2);
    const blockWords = heap.u32(blocks.storage, sizeOf(blocks.shape));
    blockWords.fill(0);
    const best = new BestColumns(k);
    for (let row = 0; row < total; row++) {
      const own = row % rowCount;
      best.clear();
      const end = causal ? own + 1 : columns;
      for (let column = 0; column < end; column++) {
        const score = data[row * columns + column];
        best.offer(column, forceOwn && column === own ? Infinity : Number.isNaN(score) ? -Infinity : score);
      }
      rowWords[2 * row] = row * k;
      rowWords[2 * row + 1] = best.size;
      blockWords.set(best.ascending(), row * k);
    }
    return { rows, blocks, listBatches: batch, listHeads: heads };
  }

  private f32(shape: Shape): WasmTensor {
    return new WasmTensor(this.runtime.device, this.runtime.heap, shape, 'f32');
  }
}

/** The k best of a stream: a heap with the worst at its root. Of equal scores the higher column is worse. */
class BestColumns {
  size = 0;
  private readonly columns: Uint32Array;
  private readonly scores: Float64Array;

  constructor(k: number) {
    this.columns = new Uint32Array(k);
    this.scores = new Float64Array(k);
  }

  clear(): void {
    this.size = 0;
  }

  /** Columns must come in ascending order: a later equal never displaces an earlier one. */
  offer(column: number, score: number): void {
    const { columns, scores } = this;
    if (this.size < columns.length) {
      let at = this.size++;
      columns[at] = column;
      scores[at] = score;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!this.worse(at, parent)) break;
        this.swap(at, parent);
        at = parent;
      }
      return;
    }
    if (score <= scores[0]) return;
    columns[0] = column;
    scores[0] = score;
    for (let at = 0; ; ) {
      let worst = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < this.size && this.worse(child, worst)) worst = child;
      if (worst === at) return;
      this.swap(at, worst);
      at = worst;
    }
  }

  ascending(): Uint32Array {
    return this.columns.slice(0, this.size).sort();
  }

  private worse(a: number, b: number): boolean {
    const { scores, columns } = this;
    return scores[a] < scores[b] || (scores[a] === scores[b] && columns[a] > columns[b]);
  }

  private swap(a: number, b: number): void {
    const { scores, columns } = this;
    [scores[a], scores[b]] = [scores[b], scores[a]];
    [columns[a], columns[b]] = [columns[b], columns[a]];
  }
}

function floats(tensor: Tensor, heap: WasmHeap): Float32Array {
  invariant(tensor instanceof WasmTensor, 'a selection on WASM got a tensor of another device');
  return tensor.dtype === 'f16'
    ? (tensor.copy() as Float32Array)
    : heap.f32(tensor.storage, sizeOf(tensor.shape));
}
