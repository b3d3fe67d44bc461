import type { ReferenceInputs, ReferenceOutputs } from '../kit/paper.ts';
import type { Options } from './paper.ts';

/**
 * Halo attention, straight from the equations, in plain float64 loops. Shares no code with mechanism.ts.
 * For block (I, J), query place (i, j) in the block, key place (u, v) in its window of K = b + 2h:
 *
 *   (1) query pixel = (I b + i s, J b + j s)       s = 2 with strided queries, else 1; 0 ≤ i, j < b / s
 *   (2) key pixel   = (I b + u − h, J b + v − h)   0 ≤ u, v < K; outside the image k = v = 0, or masked
 *   (3) position    = q·rh[K − 1 + u − i] + q·rw[K − 1 + v − j]
 *   (4) score       = d^-1/2 q·k + position        position times d^-1/2 too with scalePosition
 *   (5) output      = Σ softmax(score) v over the K × K keys;  logSumExp = log Σ exp(score)
 *
 * The masked variant keeps |u − h − i s| ≤ r and |v − h − j s| ≤ r only. Pixels that (1) does not name have no query.
 */
export function haloAttention(inputs: ReferenceInputs, options: Options): ReferenceOutputs {
  const { batch, heads, keyHeads, tokens, headDim, query, key, value } = inputs;
  const { blockSize: b, halo: h, border, centredRadius: radius = Infinity, position } = options;
  const [rows, columns] = options.grid ?? [Math.sqrt(tokens), Math.sqrt(tokens)];
  const s = options.stride === 2 && !options.averageDown ? 2 : 1;
  const K = b + 2 * h;
  const scale = 1 / Math.sqrt(headDim);
  const output = new Float64Array(batch * heads * tokens * headDim);
  const logSumExp = new Float64Array(batch * heads * tokens).fill(-Infinity);
  for (let n = 0; n < batch; n++) {
    for (let head = 0; head < heads; head++) {
      const queryHead = (n * heads + head) * tokens;
      const keyHead = (n * keyHeads + Math.floor(head / (heads / keyHeads))) * tokens;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          if ((row % b) % s !== 0 || (column % b) % s !== 0) continue; // (1)
          const [i, j] = [(row % b) / s, (column % b) / s];
          const at = queryHead + row * columns + column;
          const times = (vector: ArrayLike<number>, first: number) => {
            let sum = 0;
            for (let d = 0; d < headDim; d++) sum += query[at * headDim + d] * vector[first + d];
            return sum;
          };
          const keys: number[] = [];
          const scores: number[] = [];
          for (let u = 0; u < K; u++) {
            for (let v = 0; v < K; v++) {
              if (Math.abs(u - h - i * s) > radius || Math.abs(v - h - j * s) > radius) continue;
              const y = row - (row % b) + u - h; // (2)
              const x = column - (column % b) + v - h;
              const inside = y >= 0 && y < rows && x >= 0 && x < columns;
              if (!inside && border === 'mask') continue;
              const token = inside ? keyHead + y * columns + x : -1;
              let score = inside ? scale * times(key, token * headDim) : 0;
              if (position) {
                const term =
                  times(position.rows[K - 1 + u - i], 0) + times(position.columns[K - 1 + v - j], 0); // (3)
                score += options.scalePosition ? scale * term : term; // (4)
              }
              keys.push(token);
              scores.push(score);
            }
          }
          // (5)
          const maximum = Math.max(...scores);
          let sum = 0;
          for (const score of scores) sum += Math.exp(score - maximum);
          logSumExp[at] = maximum + Math.log(sum);
          keys.forEach((token, p) => {
            if (token < 0) return;
            const weight = Math.exp(scores[p] - logSumExp[at]);
            for (let d = 0; d < headDim; d++) output[at * headDim + d] += weight * value[token * headDim + d];
          });
        }
      }
    }
  }
  return { output, logSumExp };
}
