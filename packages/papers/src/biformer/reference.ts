import type { ReferenceInputs, ReferenceOutputs } from '../kit/paper.ts';
import type { Options } from './paper.ts';

/**
 * Bi-level routing attention, straight from the equations, in plain float64 loops. Shares no code with mechanism.ts.
 * C = heads · headDim channels, S regions a side:
 *
 *   (1) region(r, c) = ⌊r / rh⌋ Sw + ⌊c / rw⌋      rh = ⌈H / S⌉, rw = ⌈W / S⌉, Sw = ⌈W / rw⌉
 *   (2) qr[i], kr[j] = means of q and k over the tokens of a region, all channels
 *   (3) A[i, j]      = ⟨qr[i], kr[j]⟩               over all channels: one graph for all heads
 *   (4) I[i]         = the k largest of row i       ties: the lower index
 *   (5) out_m[t]     = Σ softmax(C^-1/2 q_m[t]·k_m[j]) v_m[j] over the tokens j of the regions I[region(t)]
 *   (6) y            = out + DWConv(v) + bias       zero padding, kernel not flipped; only with a local kernel
 *
 * Comparison routings replace (4): `window` I[i] = {i}; `random` is left to the mechanism and not defined here.
 */
export function biLevelRoutingAttention(inputs: ReferenceInputs, options: Options): ReferenceOutputs {
  const { batch, heads, keyHeads, tokens, headDim, query, key, value } = inputs;
  if (options.routing === 'random') throw new Error('the reference has no random routing');
  const [rows, columns] = options.grid ?? [Math.sqrt(tokens), Math.sqrt(tokens)];
  const regionOf = regionMap(rows, columns, options.regions);
  const scale = 1 / Math.sqrt(heads * headDim);
  const output = new Float64Array(batch * heads * tokens * headDim);
  const logSumExp = new Float64Array(batch * heads * tokens);
  const { chosen } = routing(inputs, options);
  for (let b = 0; b < batch; b++) {
    for (let m = 0; m < heads; m++) {
      const keyHead = (b * keyHeads + Math.floor(m / (heads / keyHeads))) * tokens;
      for (let t = 0; t < tokens; t++) {
        const at = (b * heads + m) * tokens + t;
        const keys: number[] = [];
        const scores: number[] = [];
        for (let j = 0; j < tokens; j++) {
          if (!chosen[b][regionOf[t]].includes(regionOf[j])) continue;
          let dot = 0;
          for (let d = 0; d < headDim; d++) dot += query[at * headDim + d] * key[(keyHead + j) * headDim + d];
          keys.push(j);
          scores.push(scale * dot);
        }
        // (5)
        const maximum = Math.max(...scores);
        let sum = 0;
        for (const score of scores) sum += Math.exp(score - maximum);
        logSumExp[at] = maximum + Math.log(sum);
        keys.forEach((j, p) => {
          const weight = Math.exp(scores[p] - logSumExp[at]);
          for (let d = 0; d < headDim; d++)
            output[at * headDim + d] += weight * value[(keyHead + j) * headDim + d];
        });
      }
    }
  }
  if (options.localKernel) addConvolution(inputs, options.localKernel, rows, columns, output);
  return { output, logSumExp };
}

/** (1): the region of each token. */
function regionMap(rows: number, columns: number, regions: number): number[] {
  const rh = Math.ceil(rows / regions);
  const rw = Math.ceil(columns / regions);
  const across = Math.ceil(columns / rw);
  const map: number[] = [];
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) map.push(Math.floor(r / rh) * across + Math.floor(c / rw));
  return map;
}

/** (2) to (4): the region graph of each batch and its pruned rows, ascending. */
export function routing(
  inputs: ReferenceInputs,
  options: Options,
): { graph: number[][][]; chosen: number[][][] } {
  const { batch, heads, keyHeads, tokens, headDim, query, key } = inputs;
  const [rows, columns] = options.grid ?? [Math.sqrt(tokens), Math.sqrt(tokens)];
  const regionOf = regionMap(rows, columns, options.regions);
  const count = Math.max(...regionOf) + 1;
  const graph: number[][][] = [];
  const chosen: number[][][] = [];
  for (let b = 0; b < batch; b++) {
    const table = Array.from({ length: count }, () => new Array<number>(count).fill(0));
    for (let m = 0; m < heads; m++) {
      const keyHead = b * keyHeads + Math.floor(m / (heads / keyHeads));
      const mean = (data: Float64Array, head: number, region: number, d: number) => {
        let sum = 0;
        let members = 0;
        for (let t = 0; t < tokens; t++) {
          if (regionOf[t] !== region) continue;
          sum += data[(head * tokens + t) * headDim + d];
          members++;
        }
        return sum / members; // (2)
      };
      for (let d = 0; d < headDim; d++) {
        const qr = Array.from({ length: count }, (_, i) => mean(query, b * heads + m, i, d));
        const kr = Array.from({ length: count }, (_, j) => mean(key, keyHead, j, d));
        for (let i = 0; i < count; i++) for (let j = 0; j < count; j++) table[i][j] += qr[i] * kr[j]; // (3)
      }
    }
    graph.push(table);
    chosen.push(
      table.map((row, own) => {
        if (options.routing === 'window') return [own];
        const ranked = row.map((_, j) => j).sort((x, y) => row[y] - row[x] || x - y);
        return ranked.slice(0, options.topk).sort((x, y) => x - y); // (4)
      }),
    );
  }
  return { graph, chosen };
}

/** (6) */
function addConvolution(
  { batch, heads, keyHeads, tokens, headDim, value }: ReferenceInputs,
  { weights, bias }: NonNullable<Options['localKernel']>,
  rows: number,
  columns: number,
  output: Float64Array,
): void {
  const side = Math.sqrt(weights.length);
  for (let b = 0; b < batch; b++)
    for (let m = 0; m < heads; m++)
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++)
          for (let d = 0; d < headDim; d++) {
            const channel = m * headDim + d;
            let sum = bias?.[channel] ?? 0;
            for (let i = 0; i < side; i++)
              for (let j = 0; j < side; j++) {
                const y = r + i - (side - 1) / 2;
                const x = c + j - (side - 1) / 2;
                if (y < 0 || y >= rows || x < 0 || x >= columns) continue;
                const head = b * keyHeads + Math.floor(m / (heads / keyHeads));
                sum +=
                  weights[i * side + j][channel] * value[(head * tokens + y * columns + x) * headDim + d];
              }
            output[((b * heads + m) * tokens + r * columns + c) * headDim + d] += sum;
          }
}
