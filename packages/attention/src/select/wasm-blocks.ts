import type { WasmRuntime } from '../device/wasm-runtime.ts';
import { WasmTensor } from '../device/wasm-tensor.ts';
import { NO_TOKEN } from '../plan.ts';
import type { Tensor } from '../tensor.ts';
import type { AssignClustersRequest, BlockMeanRequest, BlockMoments, BlockScoresRequest } from './request.ts';
import { floatsOf, tensorOn, wordsOf } from './wasm-access.ts';

export function blockMomentsOnWasm(
  runtime: WasmRuntime,
  { input, layout }: BlockMeanRequest,
  wanted: { deviation: boolean },
): BlockMoments {
  const [batch, heads, tokens, headDim] = input.shape;
  const blocks = Math.ceil(layout.slots / layout.block);
  const shape = [batch, heads, blocks, headDim];
  const mean = tensorOn(runtime, shape, 'f32');
  const deviation = wanted.deviation ? tensorOn(runtime, shape, 'f32') : mean;
  const data = floatsOf(input);
  const [means, deviations] = [floatsOf(mean), floatsOf(deviation)];
  const sums = new Float64Array(headDim);
  const distances = new Float64Array(headDim);
  for (let bh = 0; bh < batch * heads; bh++) {
    for (let block = 0; block < blocks; block++) {
      const end = Math.min((block + 1) * layout.block, layout.slots);
      const each = (visit: (row: number) => void) => {
        for (let slot = block * layout.block; slot < end; slot++) {
          const token = layout.order ? layout.order[slot] : slot;
          if (token !== NO_TOKEN) visit((bh * tokens + token) * headDim);
        }
      };
      let count = 0;
      sums.fill(0);
      each((row) => {
        count++;
        for (let d = 0; d < headDim; d++) sums[d] += data[row + d];
      });
      for (let d = 0; d < headDim; d++) sums[d] /= Math.max(count, 1);
      means.set(sums, (bh * blocks + block) * headDim);
      if (!wanted.deviation) continue;
      distances.fill(0);
      each((row) => {
        for (let d = 0; d < headDim; d++) distances[d] += Math.abs(data[row + d] - sums[d]);
      });
      for (let d = 0; d < headDim; d++) distances[d] /= Math.max(count, 1);
      deviations.set(distances, (bh * blocks + block) * headDim);
    }
  }
  return { mean, deviation };
}

export function blockScoresOnWasm(runtime: WasmRuntime, request: BlockScoresRequest): Tensor {
  const { query, key, scale, heads: mode, causal } = request;
  const [batch, heads, rows, headDim] = query.shape;
  const [, keyHeads, columns] = key.shape;
  const outHeads = mode === 'sum' ? 1 : heads;
  const output = tensorOn(runtime, [batch, outHeads, rows, columns], 'f32');
  const [q, k, scores] = [floatsOf(query), floatsOf(key), floatsOf(output)];
  const perKeyHead = heads / keyHeads;
  const line = new Float64Array(columns);
  const added = heads / outHeads;
  for (let b = 0; b < batch; b++) {
    for (let out = 0; out < outHeads; out++) {
      for (let row = 0; row < rows; row++) {
        const end = causal ? Math.min(row + 1, columns) : columns;
        line.fill(0);
        line.fill(-Infinity, end);
        for (let h = out * added; h < (out + 1) * added; h++) {
          const from = ((b * heads + h) * rows + row) * headDim;
          const keys = (b * keyHeads + Math.floor(h / perKeyHead)) * columns * headDim;
          for (let column = 0; column < end; column++) {
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

export function assignClustersOnWasm(runtime: WasmRuntime, request: AssignClustersRequest): Tensor {
  const { points, centroids, by } = request;
  const [batch, heads, tokens, headDim] = points.shape;
  const clusters = centroids.shape[2];
  const output = new WasmTensor(runtime.device, runtime.heap, [batch, heads, tokens], 'u32');
  const [x, c, ids] = [floatsOf(points), floatsOf(centroids), wordsOf(output)];
  const halfNorms = new Float64Array(clusters);
  for (let bh = 0; bh < batch * heads; bh++) {
    const first = bh * clusters * headDim;
    halfNorms.fill(0);
    if (by === 'distance')
      for (let i = 0; i < clusters * headDim; i++)
        halfNorms[Math.floor(i / headDim)] += (c[first + i] * c[first + i]) / 2;
    for (let token = 0; token < tokens; token++) {
      const from = (bh * tokens + token) * headDim;
      let best = -Infinity;
      let chosen = 0;
      for (let cluster = 0; cluster < clusters; cluster++) {
        const at = first + cluster * headDim;
        let dot = 0;
        for (let d = 0; d < headDim; d++) dot += x[from + d] * c[at + d];
        const score = Math.fround(dot - halfNorms[cluster]);
        if (score > best) [best, chosen] = [score, cluster];
      }
      ids[bh * tokens + token] = chosen;
    }
  }
  return output;
}
