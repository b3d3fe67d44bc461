import type { ReferenceInputs, ReferenceOutputs } from '../kit/paper.ts';
import type { Options } from './paper.ts';

/**
 * Generalized neighbourhood attention by plain loops in float64.
 *
 * On an axis with window w, stride s, dilation d, a token x is inner token i = floor(x / d) of group x mod d with
 * n = ceil((length − group) / d) tokens:
 *   (1) leader(i) = min(floor(i / s) s + floor(s / 2), n − 1); causal: min(floor(i / s) s + s − 1, n − 1)
 *   (2) keys(i) = [start, start + w), start = clamp(leader − floor(w / 2), 0, n − w);
 *       causal: [max(leader − w + 1, 0), i + 1)
 *   (3) allowed(query, key): same group and key in keys(i), on every axis; extra tokens are always allowed
 *   (4) output = softmax over the allowed keys of q · k / sqrt(headDim), times v
 */
export function generalizedNeighborhoodAttention(
  inputs: ReferenceInputs,
  options: Options,
): ReferenceOutputs {
  const { batch, heads, keyHeads, tokens, headDim, query, key, value } = inputs;
  const keyTokens = key.length / (batch * keyHeads * headDim);
  const output = new Float64Array(batch * heads * tokens * headDim);
  const logSumExp = new Float64Array(batch * heads * tokens);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const keyHead = b * keyHeads + Math.floor(h / (heads / keyHeads));
      for (let i = 0; i < tokens; i++) {
        const row = (b * heads + h) * tokens + i;
        const scores: number[] = [];
        const seen: number[] = [];
        for (let j = 0; j < keyTokens; j++) {
          if (j < tokens && !allowed(i, j, tokens, options)) continue; // (3)
          let score = 0;
          for (let d = 0; d < headDim; d++)
            score += query[row * headDim + d] * key[(keyHead * keyTokens + j) * headDim + d];
          scores.push(score / Math.sqrt(headDim));
          seen.push(j);
        }
        const highest = Math.max(...scores); // (4)
        logSumExp[row] =
          highest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - highest), 0));
        seen.forEach((j, p) => {
          const weight = Math.exp(scores[p] - logSumExp[row]);
          for (let d = 0; d < headDim; d++)
            output[row * headDim + d] += weight * value[(keyHead * keyTokens + j) * headDim + d];
        });
      }
    }
  }
  return { output, logSumExp };
}

/** (3) for two tokens of the grid. */
export function allowed(
  query: number,
  key: number,
  tokens: number,
  { grid = [tokens], window, stride, dilation, causal }: Options,
): boolean {
  for (let a = grid.length - 1; a >= 0; a--) {
    const length = grid[a];
    const [x, y] = [query % length, key % length];
    query = Math.floor(query / length);
    key = Math.floor(key / length);
    if (length === 1) continue;
    const d = dilation[a] ?? dilation[0];
    if (x % d !== y % d) return false;
    const n = Math.ceil((length - (x % d)) / d);
    const [from, to] = keysOf(
      Math.floor(x / d),
      n,
      window[a] ?? window[0],
      stride[a] ?? stride[0],
      causal[a] ?? causal[0],
    );
    const j = Math.floor(y / d);
    if (j < from || j >= to) return false;
  }
  return true;
}

/** (1), (2): the half-open window of inner position i on an axis of n. */
export function keysOf(i: number, n: number, w: number, s: number, causal: boolean): [number, number] {
  const group = Math.floor(i / s) * s;
  if (causal) {
    const leader = Math.min(group + s - 1, n - 1);
    return [Math.max(leader - w + 1, 0), i + 1];
  }
  const leader = Math.min(group + Math.floor(s / 2), n - 1);
  const start = Math.min(Math.max(leader - Math.floor(w / 2), 0), n - w);
  return [start, start + w];
}

/** Queries that see key j on an axis of n, half-open: the inverse of (2) in closed form, which a backward kernel needs. */
export function inverseRange(j: number, n: number, w: number, s: number, causal: boolean): [number, number] {
  if (causal) return [j, Math.min((Math.floor((j + w) / s) + (j + w >= n ? 1 : 0)) * s, n)];
  const L = Math.floor(w / 2);
  const R = L + (w % 2) - 1;
  const o = s - Math.floor(s / 2) - 1;
  return [j >= w ? Math.floor((j - R + o) / s) * s : 0, j >= n - w ? n : Math.floor((j + L + o + 1) / s) * s];
}
