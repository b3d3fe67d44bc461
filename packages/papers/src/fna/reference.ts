import type { ReferenceInputs, ReferenceOutputs } from '../kit/paper.ts';
import type { Options } from './paper.ts';

/**
 * Neighbourhood attention by plain loops in float64.
 *
 * On an axis of n tokens with window w (odd), dilation d, token x is inner token i = floor(x / d) of group g = x mod d,
 * which has n_g = ceil((n − g) / d) tokens; R = (w − 1) / 2.
 *   (1) start(i) = clamp(i − R, 0, n_g − w), neighbours start … start + w − 1; causal: max(i − w + 1, 0) … i
 *   (2) neighbour t of x: (start + t) d + g; in several axes: all combinations, t row-major
 *   (3) PN(x, t) = scale · q[x] · k[x_t] + b[h, (x_t − x) / d + w − 1]
 *   (4) P = softmax over t of PN;  output[x] = NN(P, V)[x] = Σ_t P[x, t] v[x_t]
 */
export function neighborhoodAttention(inputs: ReferenceInputs, options: Options): ReferenceOutputs {
  const { batch, heads, keyHeads, tokens, headDim, query, key, value } = inputs;
  const output = new Float64Array(batch * heads * tokens * headDim);
  const logSumExp = new Float64Array(batch * heads * tokens);
  const near = Array.from({ length: tokens }, (_, x) => neighbours(x, tokens, options));
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const keyHead = b * keyHeads + Math.floor(h / (heads / keyHeads));
      for (let x = 0; x < tokens; x++) {
        const row = (b * heads + h) * tokens + x;
        const scores = near[x].map(({ token, biasIndex }) => {
          let score = 0; // (3)
          for (let d = 0; d < headDim; d++)
            score += query[row * headDim + d] * key[(keyHead * tokens + token) * headDim + d];
          return (
            score / Math.sqrt(headDim) +
            (options.relativeBias ? options.relativeBias[h * tableSize(options, tokens) + biasIndex] : 0)
          );
        });
        const highest = Math.max(...scores); // (4)
        const sum = scores.reduce((all, score) => all + Math.exp(score - highest), 0);
        logSumExp[row] = highest + Math.log(sum);
        near[x].forEach(({ token }, t) => {
          const weight = Math.exp(scores[t] - logSumExp[row]);
          for (let d = 0; d < headDim; d++)
            output[row * headDim + d] += weight * value[(keyHead * tokens + token) * headDim + d];
        });
      }
    }
  }
  return { output, logSumExp };
}

/** (1), (2): the neighbours of a token, t row-major, with their place in the bias table of a head. */
export function neighbours(
  x: number,
  tokens: number,
  { grid = [tokens], window, dilation, causal }: Omit<Options, 'route'>,
): { token: number; biasIndex: number }[] {
  let found = [{ token: 0, biasIndex: 0 }];
  let rest = x;
  const at: number[] = [];
  for (let a = grid.length - 1; a >= 0; a--) {
    at[a] = rest % grid[a];
    rest = Math.floor(rest / grid[a]);
  }
  grid.forEach((n, a) => {
    const flat = n === 1;
    const w = flat ? 1 : (window[a] ?? window[0]);
    const d = flat ? 1 : (dilation[a] ?? dilation[0]);
    const g = at[a] % d;
    const i = Math.floor(at[a] / d);
    const length = Math.ceil((n - g) / d);
    const first =
      (causal[a] ?? causal[0]) ? Math.max(i - w + 1, 0) : Math.min(Math.max(i - (w - 1) / 2, 0), length - w);
    const last = (causal[a] ?? causal[0]) ? i : first + w - 1;
    const next: typeof found = [];
    for (const { token, biasIndex } of found) {
      for (let j = first; j <= last; j++)
        next.push({ token: token * n + j * d + g, biasIndex: biasIndex * (2 * w - 1) + (j - i) + w - 1 });
    }
    found = next;
  });
  return found;
}

function tableSize({ grid, window }: Options, tokens: number): number {
  return (grid ?? [tokens]).reduce(
    (size, n, a) => size * (n === 1 ? 1 : 2 * (window[a] ?? window[0]) - 1),
    1,
  );
}

/**
 * Keys j of a group of n see the queries of this half-open range: the inverse of (1), in closed form.
 * Not the window of j: near a border a token attends to others that do not attend back.
 */
export function inverseRange(j: number, n: number, w: number, causal: boolean): [number, number] {
  const R = (w - 1) / 2;
  if (causal) return [j, Math.min(j + w, n)];
  return [j >= w ? j - R : 0, j >= n - w ? n : j + R + 1];
}

/** Gradients of Σ output · G by the three operators of the paper: dP = PN(dO, V), dS = P (dP − Σ P dP), dQ = NN(dS, K), dK = IN(dS, Q), dV = IN(P, dO). */
export function neighborhoodGradients(
  inputs: ReferenceInputs,
  options: Options,
  outputGradient: Float64Array,
) {
  const { batch, heads, tokens, headDim, query, key, value } = inputs;
  const scale = headDim ** -0.5;
  const gradient = {
    query: new Float64Array(query.length),
    key: new Float64Array(key.length),
    value: new Float64Array(value.length),
    relativeBias: new Float64Array(options.relativeBias?.length ?? 0),
  };
  const { logSumExp } = neighborhoodAttention(inputs, options);
  const table = tableSize(options, tokens);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const head = (b * heads + h) * tokens;
      for (let x = 0; x < tokens; x++) {
        const near = neighbours(x, tokens, options);
        const dot = (a: Float64Array, ra: number, c: Float64Array, rc: number) => {
          let sum = 0;
          for (let d = 0; d < headDim; d++)
            sum += a[(head + ra) * headDim + d] * c[(head + rc) * headDim + d];
          return sum;
        };
        const weights = near.map(({ token, biasIndex }) =>
          Math.exp(
            scale * dot(query, x, key, token) +
              (options.relativeBias?.[h * table + biasIndex] ?? 0) -
              logSumExp[head + x],
          ),
        );
        const weightGradients = near.map(({ token }) => dot(outputGradient, x, value, token));
        const mean = weights.reduce((sum, weight, t) => sum + weight * weightGradients[t], 0);
        near.forEach(({ token, biasIndex }, t) => {
          const scoreGradient = weights[t] * (weightGradients[t] - mean);
          if (options.relativeBias) gradient.relativeBias[h * table + biasIndex] += scoreGradient;
          for (let d = 0; d < headDim; d++) {
            const [q, k] = [(head + x) * headDim + d, (head + token) * headDim + d];
            gradient.query[q] += scale * scoreGradient * key[k];
            gradient.key[k] += scale * scoreGradient * query[q];
            gradient.value[k] += weights[t] * outputGradient[q];
          }
        });
      }
    }
  }
  return gradient;
}
