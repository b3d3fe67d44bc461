import type { ReferenceInputs, ReferenceOutputs } from '../kit/paper.ts';
import type { Options } from './paper.ts';

/**
 * Radial attention, straight from the definitions, in plain float64 loops. Shares no code with mechanism.ts.
 * Token n of f frames with s tokens each: frame i = ⌊n / s⌋, position k = n mod s. Distance d = |i − j|.
 *
 * Token mask (equations of the paper), e = ⌊log₂ max(d, 1)⌋, p = 2ᵉ:
 *   (1) band      p ≤ s  and  (|k − l| + 1) p ≤ s
 *   (2) diagonal  d mod ⌈p / s⌉ = 0  and  k = l
 *   (3) sink      j = 0
 *   (4) allowed = (1) or (2) or (3)
 *
 * Block mask (the authors' program), B = block size, |x| = bits of x:
 *   (5) ref(d)   = 2^|s| / 2^|d|
 *   (6) width(d) = d ≤ 1 ? s : max(B, decay · ref(d))
 *   (7) keep(d)  = ref(d) ≥ B or d mod ⌊B / ref(d)⌋ = 0
 *   (8) pair(i, j)[k, l] = (sink and j = 0) or (keep(d) and |k − l| ≤ width(d))
 *   (9) each pair of frames is drawn on a canvas of whole blocks, shifted by (i s mod B, j s mod B);
 *       of a block, `some` columns have an allowed row and `many` have more than B / 3 of them;
 *       the block is kept where many / (some + 1e-9) > 0.6, and all its tokens see each other
 *  (10) blocks from ⌊f s / B⌋ on, in either direction, are kept: tail and text
 *  (11) oᵢ = Σ softmaxⱼ(qᵢ·kⱼ / √D) vⱼ;  logSumExpᵢ = log Σ exp(qᵢ·kⱼ / √D)
 */
export function radialAttention(inputs: ReferenceInputs, options: Options): ReferenceOutputs {
  const { batch, heads, keyHeads, tokens, headDim, query, key, value } = inputs;
  const video = tokens - options.textTokens;
  const frames = options.grid ? options.grid[0] : 1;
  const seen =
    options.mask === 'tokens'
      ? (i: number, j: number) => i >= video || j >= video || tokenAllowed(i, j, video / frames, options.sink)
      : blockAllowed(tokens, video, frames, options);
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
          if (!seen(i, j)) continue;
          let dot = 0;
          for (let d = 0; d < headDim; d++) dot += query[row * headDim + d] * key[(first + j) * headDim + d];
          keys.push(j);
          scores.push(dot / Math.sqrt(headDim));
        }
        // (11)
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

/** (4): whether one video token sees another. */
export function tokenAllowed(queryToken: number, keyToken: number, perFrame: number, sink: boolean): boolean {
  const i = Math.floor(queryToken / perFrame);
  const j = Math.floor(keyToken / perFrame);
  const k = queryToken % perFrame;
  const l = keyToken % perFrame;
  const d = Math.abs(i - j);
  const p = 2 ** Math.floor(Math.log2(Math.max(d, 1)));
  if (p <= perFrame && (Math.abs(k - l) + 1) * p <= perFrame) return true; // (1)
  if (d % Math.ceil(p / perFrame) === 0 && k === l) return true; // (2)
  return sink && j === 0; // (3)
}

/** (8): whether position k of frame i and position l of frame j are allowed before blocks are decided on. */
export function pairAllowed(
  at: { i: number; j: number; k: number; l: number },
  perFrame: number,
  { blockSize, decay, sink }: Pick<Options, 'blockSize' | 'decay' | 'sink'>,
): boolean {
  if (sink && at.j === 0) return true;
  const d = Math.abs(at.i - at.j);
  const ref = 2 ** bits(perFrame) / 2 ** bits(d); // (5)
  const width = d <= 1 ? perFrame : Math.max(blockSize, decay * ref); // (6)
  const kept = ref >= blockSize || d % Math.trunc(blockSize / ref) === 0; // (7)
  return kept && Math.abs(at.k - at.l) <= width;
}

/** (9), (10): the block mask, drawn pixel by pixel. [blocks][blocks] */
export function drawBlockMask(tokens: number, video: number, frames: number, options: Options): boolean[][] {
  const { blockSize: B } = options;
  const s = video / frames;
  const whole = Math.floor(video / B);
  const count = Math.ceil(tokens / B);
  const mask = Array.from({ length: count }, (_, row) =>
    Array.from({ length: count }, (_, column) => row >= whole || column >= whole),
  );
  const side = Math.ceil(s / B); // blocks of the canvas
  for (let i = 0; i < frames; i++) {
    for (let j = 0; j < frames; j++) {
      const [shiftRow, shiftColumn] = [(i * s) % B, (j * s) % B];
      for (let R = 0; R < side; R++) {
        for (let C = 0; C < side; C++) {
          let some = 0;
          let many = 0;
          for (let c = 0; c < B; c++) {
            const l = C * B + c - shiftColumn;
            let rows = 0;
            for (let r = 0; r < B; r++) {
              const k = R * B + r - shiftRow;
              if (k >= 0 && k < s && l >= 0 && l < s && pairAllowed({ i, j, k, l }, s, options)) rows++;
            }
            if (rows > 0) some++;
            if (rows / B > 1 / 3) many++;
          }
          const row = Math.floor((i * s) / B) + R;
          const column = Math.floor((j * s) / B) + C;
          if (many / (some + 1e-9) > 0.6 && row < whole && column < whole) mask[row][column] = true;
        }
      }
    }
  }
  for (let row = 0; row < whole; row++) mask[row][row] = true;
  return mask;
}

function blockAllowed(tokens: number, video: number, frames: number, options: Options) {
  const mask = drawBlockMask(tokens, video, frames, options);
  return (i: number, j: number) => mask[Math.floor(i / options.blockSize)][Math.floor(j / options.blockSize)];
}

/** Digits of x in binary; none for 0. */
function bits(x: number): number {
  return x === 0 ? 0 : Math.floor(Math.log2(x)) + 1;
}
