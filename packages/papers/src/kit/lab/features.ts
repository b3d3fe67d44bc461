/**
 * What the three kinds of tokens share: features become query and key such that the softmax weighs keys by a negative
 * squared distance (non-local means). Fixed arithmetic on the input itself; nothing is trained.
 */
export interface HeadWeights {
  /** Squared distances are divided by 2 bandwidth². Smaller: more selective. */
  bandwidth: number;
  /** Multiplies the position channels before distances are taken. 0: appearance alone. */
  position: number;
}

/** Query, key and value of one input, batch 1, with the grid its tokens lie on. */
export interface TokenInputs {
  query: Float32Array; // [1, heads, tokens, headDim]
  key: Float32Array; // [1, heads, tokens, headDim]
  value: Float32Array; // [1, heads, tokens, headDim]
  shape: readonly [number, number, number, number];
  /** Row-major, last axis fastest: [tokens], [height, width] or [frames, height, width]. */
  grid: readonly number[];
  /** What was left out or changed, in words; empty when nothing was. */
  notes: readonly string[];
}

/** Uniform in [0, 1), the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Standard normal numbers from a seed (Box-Muller). */
export function seededNormal(seed: number): () => number {
  const uniform = seeded(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/**
 * query_i · key_j / sqrt(headDim) = (f_i · f_j - |f_j|²/2) / bandwidth², which the softmax over j turns into weights
 * proportional to exp(-|f_i - f_j|² / (2 bandwidth²)). Key and query are the same features; the key carries half its
 * squared length in the last channel. Features that do not fit headDim - 1 go through a fixed random projection.
 *
 * @param appearance [tokens, channels]
 * @param position [tokens, axes], each axis in 0..1
 * @param values [tokens, headDim], the same for every head
 */
export function queryKeyValue(input: {
  appearance: Float32Array;
  channels: number;
  position: Float32Array;
  axes: number;
  values: Float32Array;
  heads: readonly HeadWeights[];
  headDim: number;
}): Pick<TokenInputs, 'query' | 'key' | 'value'> {
  const { appearance, channels, position, axes, values, heads, headDim } = input;
  const tokens = values.length / headDim;
  const size = heads.length * tokens * headDim;
  const query = new Float32Array(size);
  const key = new Float32Array(size);
  const value = new Float32Array(size);
  const count = channels + axes;
  const room = headDim - 1;
  const projection = count > room ? randomProjection(count, room) : undefined;
  const row = new Float64Array(count);
  heads.forEach(({ bandwidth, position: weight }, head) => {
    const gain = headDim ** 0.25 / bandwidth;
    for (let token = 0; token < tokens; token++) {
      for (let c = 0; c < channels; c++) row[c] = appearance[token * channels + c] * gain;
      for (let a = 0; a < axes; a++) row[channels + a] = position[token * axes + a] * weight * gain;
      const at = (head * tokens + token) * headDim;
      let squared = 0;
      for (let d = 0; d < Math.min(count, room); d++) {
        let x = row[d];
        if (projection) {
          x = 0;
          for (let c = 0; c < count; c++) x += projection[d * count + c] * row[c];
        }
        query[at + d] = x;
        key[at + d] = x;
        squared += x * x;
      }
      query[at + room] = gain;
      key[at + room] = -squared / (2 * gain);
    }
    value.set(values, head * tokens * headDim);
  });
  return { query, key, value };
}

function randomProjection(from: number, to: number): Float64Array {
  const normal = seededNormal(17);
  return Float64Array.from({ length: from * to }, () => normal() / Math.sqrt(to));
}
