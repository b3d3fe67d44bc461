import type { ReferenceInputs, ReferenceOutputs } from '../kit/paper.ts';
import type { Options } from './paper.ts';

/**
 * PowerAttention, straight from the equations, in plain float64 loops over tokens. Shares no code with mechanism.ts.
 *
 *   (1) δ       = ⌊qi / b⌋ − ⌊kj / b⌋                   block distance, for kj ≤ qi only
 *   (2) window  = δ < Wb
 *   (3) power   = (δ AND (δ − 1)) = 0                    true for δ = 0, 1, 2, 4, 8, …
 *   (4) sink    = kj < Sb · b
 *   (5) allowed = qi ≥ kj AND (window OR power OR sink)
 *   (6) oᵢ      = Σ softmaxⱼ(qᵢ·kⱼ / √D) vⱼ over the allowed j;  logSumExpᵢ = log Σ exp(qᵢ·kⱼ / √D)
 *
 * The patterns that it is compared with replace (2) and (3):
 *   window: (2) alone · slash: (2) OR δ mod P = 0 · dilated: δ even AND δ < 2 Wb · full: true
 *   longnet: OR over m of: same segment of Wb·2ᵐ blocks AND ⌊qi/b⌋ ≡ ⌊kj/b⌋ mod 2ᵐ
 */
export function powerAttention(inputs: ReferenceInputs, options: Options): ReferenceOutputs {
  const { batch, heads, keyHeads, tokens, headDim, query, key, value } = inputs;
  const output = new Float64Array(batch * heads * tokens * headDim);
  const logSumExp = new Float64Array(batch * heads * tokens);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const first = (b * keyHeads + Math.floor(h / (heads / keyHeads))) * tokens;
      for (let i = 0; i < tokens; i++) {
        const row = (b * heads + h) * tokens + i;
        const keys: number[] = [];
        const scores: number[] = [];
        for (let j = 0; j < tokens; j++) {
          if (!allowed(i, j, options)) continue;
          let dot = 0;
          for (let d = 0; d < headDim; d++) dot += query[row * headDim + d] * key[(first + j) * headDim + d];
          keys.push(j);
          scores.push(dot / Math.sqrt(headDim));
        }
        // (6)
        const maximum = Math.max(...scores);
        const sum = scores.reduce((total, score) => total + Math.exp(score - maximum), 0);
        logSumExp[row] = maximum + Math.log(sum);
        keys.forEach((j, n) => {
          const weight = Math.exp(scores[n] - logSumExp[row]);
          for (let d = 0; d < headDim; d++)
            output[row * headDim + d] += weight * value[(first + j) * headDim + d];
        });
      }
    }
  }
  return { output, logSumExp };
}

/** (5): whether the query token sees the key token. */
export function allowed(
  queryToken: number,
  keyToken: number,
  options: Pick<Options, 'pattern' | 'blockSize' | 'windowBlocks' | 'sinkBlocks' | 'period'>,
): boolean {
  // causality first: for negative distances the test of (3) means nothing
  if (keyToken > queryToken) return false;
  const { pattern, blockSize, windowBlocks, sinkBlocks, period } = options;
  const own = Math.floor(queryToken / blockSize);
  const other = Math.floor(keyToken / blockSize);
  const distance = own - other; // (1)
  if (keyToken < sinkBlocks * blockSize) return true; // (4)
  switch (pattern) {
    case 'power':
      return distance < windowBlocks || (distance & (distance - 1)) === 0; // (2) or (3)
    case 'window':
      return distance < windowBlocks; // (2)
    case 'slash':
      return distance < windowBlocks || distance % period === 0;
    case 'dilated':
      return distance % 2 === 0 && distance < 2 * windowBlocks;
    case 'longnet':
      for (let m = 0; ; m++) {
        const segment = windowBlocks * 2 ** m;
        const rate = 2 ** m;
        if (Math.floor(own / segment) === Math.floor(other / segment) && own % rate === other % rate)
          return true;
        if (segment > own) return false; // one segment holds the whole past: wider ones only thin out
      }
    case 'full':
      return true;
  }
}
