import { NO_TOKEN } from '../plan.ts';
import type { BlockMeanRequest, BlockScoresRequest, TopKRequest } from './request.ts';

/** Block means by plain loops, float64. [batch, heads, blocks, headDim] */
export async function blockMeanReference({ input, layout }: BlockMeanRequest) {
  const data = await input.read();
  const [batch, heads, tokens, headDim] = input.shape;
  const blocks = Math.ceil(layout.slots / layout.block);
  const means = new Float64Array(batch * heads * blocks * headDim);
  for (let bh = 0; bh < batch * heads; bh++) {
    for (let block = 0; block < blocks; block++) {
      const out = (bh * blocks + block) * headDim;
      let count = 0;
      for (
        let slot = block * layout.block;
        slot < Math.min((block + 1) * layout.block, layout.slots);
        slot++
      ) {
        const token = layout.order ? layout.order[slot] : slot;
        if (token === NO_TOKEN) continue;
        count++;
        for (let d = 0; d < headDim; d++) means[out + d] += data[(bh * tokens + token) * headDim + d];
      }
      for (let d = 0; d < headDim; d++) means[out + d] /= Math.max(count, 1);
    }
  }
  return { shape: [batch, heads, blocks, headDim], data: means };
}

/** Block scores by plain loops, float64. */
export async function blockScoresReference({ query, key, scale, heads: mode }: BlockScoresRequest) {
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
          scores[((b * outHeads + (mode === 'sum' ? 0 : h)) * rows + i) * columns + j] += scale * dot;
        }
      }
    }
  }
  return { shape: [batch, outHeads, rows, columns], data: scores };
}

/** Top-k by sorting each row: score descending, index ascending. Lists ascend. */
export async function topKReference({ scores, k, causal, forceOwn }: TopKRequest) {
  const data = await scores.read();
  const [batch, heads, rowCount, columns] = scores.shape;
  const rows = new Uint32Array(batch * heads * rowCount * 2);
  const blocks = new Uint32Array(Math.max(batch * heads * rowCount * k, 1));
  for (let row = 0; row < batch * heads * rowCount; row++) {
    const own = row % rowCount;
    const rank = (column: number) => {
      if (forceOwn && column === own) return Infinity;
      const score = data[row * columns + column];
      return Number.isNaN(score) ? -Infinity : score;
    };
    const candidates = Array.from({ length: causal ? own + 1 : columns }, (_, column) => column);
    candidates.sort((a, b) => (rank(a) === rank(b) ? a - b : rank(b) > rank(a) ? 1 : -1));
    const chosen = candidates.slice(0, k).sort((a, b) => a - b);
    rows[2 * row] = row * k;
    rows[2 * row + 1] = chosen.length;
    blocks.set(chosen, row * k);
  }
  return { rows, blocks, rowsShape: [batch, heads, rowCount, 2], listBatches: batch, listHeads: heads };
}
