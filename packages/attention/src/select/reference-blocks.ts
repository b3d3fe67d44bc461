import { NO_TOKEN } from '../plan.ts';
import type { Shape } from '../tensor.ts';
import type { AssignClustersRequest, BlockMeanRequest, BlockScoresRequest } from './request.ts';

interface Numbers {
  shape: Shape;
  data: Float64Array;
}

/** Means and mean absolute deviations of blocks by plain loops, float64. [batch, heads, blocks, headDim] */
export async function blockMomentsReference({
  input,
  layout,
}: BlockMeanRequest): Promise<{ mean: Numbers; deviation: Numbers }> {
  const data = await input.read();
  const [batch, heads, tokens, headDim] = input.shape;
  const blocks = Math.ceil(layout.slots / layout.block);
  const shape = [batch, heads, blocks, headDim];
  const mean = new Float64Array(batch * heads * blocks * headDim);
  const deviation = new Float64Array(mean.length);
  for (let bh = 0; bh < batch * heads; bh++) {
    for (let block = 0; block < blocks; block++) {
      const members: number[] = [];
      for (let i = 0; i < layout.block; i++) {
        const slot = block * layout.block + i;
        if (slot >= layout.slots) break;
        const token = layout.order ? layout.order[slot] : slot;
        if (token !== NO_TOKEN) members.push(token);
      }
      for (let d = 0; d < headDim; d++) {
        const at = (bh * blocks + block) * headDim + d;
        const numbers = members.map((token) => data[(bh * tokens + token) * headDim + d]);
        if (numbers.length === 0) continue;
        mean[at] = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
        deviation[at] = numbers.reduce((sum, x) => sum + Math.abs(x - mean[at]), 0) / numbers.length;
      }
    }
  }
  return { mean: { shape, data: mean }, deviation: { shape, data: deviation } };
}

/** Block scores by plain loops, float64. */
export async function blockScoresReference({
  query,
  key,
  scale,
  heads: mode,
  causal,
}: BlockScoresRequest): Promise<Numbers> {
  const [q, k] = await Promise.all([query.read(), key.read()]);
  const [batch, heads, rows, headDim] = query.shape;
  const [, keyHeads, columns] = key.shape;
  const outHeads = mode === 'sum' ? 1 : heads;
  const scores = new Float64Array(batch * outHeads * rows * columns);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const keyHead = b * keyHeads + Math.floor(h / (heads / keyHeads));
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let dot = 0;
          for (let d = 0; d < headDim; d++)
            dot += q[((b * heads + h) * rows + i) * headDim + d] * k[(keyHead * columns + j) * headDim + d];
          const at = ((b * outHeads + (mode === 'sum' ? 0 : h)) * rows + i) * columns + j;
          scores[at] = causal && j > i ? -Infinity : scores[at] + scale * dot;
        }
      }
    }
  }
  return { shape: [batch, outHeads, rows, columns], data: scores };
}

/** The best centroid of each point; scores rounded to f32, the first of equals. */
export async function assignClustersReference({ points, centroids, by }: AssignClustersRequest) {
  const [x, c] = await Promise.all([points.read(), centroids.read()]);
  const [batch, heads, tokens, headDim] = points.shape;
  const clusters = centroids.shape[2];
  const ids = new Uint32Array(batch * heads * tokens);
  for (let bh = 0; bh < batch * heads; bh++) {
    for (let token = 0; token < tokens; token++) {
      let best = -Infinity;
      for (let cluster = 0; cluster < clusters; cluster++) {
        let score = 0;
        for (let d = 0; d < headDim; d++) {
          const center = c[(bh * clusters + cluster) * headDim + d];
          score += x[(bh * tokens + token) * headDim + d] * center;
          if (by === 'distance') score -= (center * center) / 2;
        }
        if (Math.fround(score) > best) {
          best = Math.fround(score);
          ids[bh * tokens + token] = cluster;
        }
      }
    }
  }
  return { shape: [batch, heads, tokens], data: ids };
}
