import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { type Bindings, read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import { elementOf, storeVector } from './access.ts';
import { decodeFields } from './decode.ts';
import { epilogueBindings, epilogueStages, finishedRows } from './epilogue.ts';
import { type ForwardOptions, forwardConstants, forwardNumbers } from './forward-options.ts';
import { keyConstants } from './keys.ts';
import { queryInOrder } from './rows.ts';

const THREADS = 256;
/** Splits whose weights are in workgroup memory at a time. */
const CHUNK = 256;

/** What changes the text of the merge. */
export type DecodeMergeOptions = Pick<
  ForwardOptions,
  'valueDim' | 'outputStorage' | 'queryOrder' | 'epilogueScale' | 'epilogueAdd'
>;

function bindingsOf(options: DecodeMergeOptions): Bindings {
  return {
    partialOutput: read('vec4<f32>'), // [batch, heads, querySlots, splits, valueDim]
    partialSums: read('vec2<f32>'), // [batch, heads, querySlots, splits]
    output: write(elementOf(options.outputStorage, options.valueDim)), // [batch, heads, queryTokens, valueDim]
    logSumExp: write('u32'), // bits of f32 [batch, heads, queryTokens]
    shape: uniform(decodeFields),
    plan: read('u32'), // query order
    ...epilogueBindings(options),
  };
}

/** Weight of a split under the row's base. One that saw a key keeps a weight, so that its NaN is not lost. */
const weigh = wgsl`
fn splitWeight(sums: vec2<f32>, base: f32) -> f32 {
  if (bitcast<u32>(sums.y) == 0u) { return 0.0; }
  return bitcast<f32>(max(bitcast<u32>(exp2(sums.x - base)), LEAST_BITS));
}

fn largestBase(at: u32, lane: u32) -> f32 {
  var largest = HIDDEN;
  for (var split = lane; split < shape.splits; split += THREADS) { largest = max(largest, partialSums[at + split].x); }
  return largest;
}

fn tell(number: f32, lane: u32) { numbers[lane / 4u][lane % 4u] = number; }

fn rowMaximum() -> f32 {
  var largest = numbers[0];
  for (var i = 1u; i < THREADS / 4u; i++) { largest = max(largest, numbers[i]); }
  return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

fn rowSum() -> f32 {
  var sum = numbers[0];
  for (var i = 1u; i < THREADS / 4u; i++) { sum += numbers[i]; }
  return sum.x + sum.y + sum.z + sum.w;
}`;

/**
 * The second half of decoding: M = max m, l = Σ l 2^(m − M), O = Σ O 2^(m − M) / l over the splits of a row, always in
 * the same order; then the epilogue. One workgroup a row.
 */
export const decodeMerge = kept((options: DecodeMergeOptions): Kernel => {
  const { valueDim, outputStorage } = options;
  const vectors = Math.ceil(valueDim / 4);
  const lanes = 2 ** Math.ceil(Math.log2(vectors));
  return assemble({
    name: 'softmax-decode-merge',
    bindings: bindingsOf(options),
    constants: {
      VALUE_VECTORS: vectors,
      VALUE_LANES: lanes,
      SPLITS_AT_ONCE: THREADS / lanes,
      THREADS,
      CHUNK,
      ...forwardConstants,
    },
    memory: {
      weights: { type: 'f32', length: CHUNK },
      numbers: { type: 'vec4<f32>', length: THREADS / 4 },
      outputs: { type: 'vec4<f32>', length: THREADS },
    },
    registers: forwardNumbers,
    stages: [
      keyConstants,
      storeVector('output', outputStorage, valueDim),
      queryInOrder(options),
      weigh,
      ...epilogueStages(options),
      finishedRows,
    ],
    threads: THREADS,
    memoryLimit: 16384,
    main: wgsl`
  let token = queryInOrder(workgroup % shape.querySlots);
  if (token < 0) { return; }
  let at = workgroup * shape.splits;
  tell(largestBase(at, lane), lane);
  workgroupBarrier();
  let base = rowMaximum();
  workgroupBarrier();
  let d = min(lane % VALUE_LANES, VALUE_VECTORS - 1u);
  var sum = 0.0;
  var share = vec4<f32>();
  for (var start = 0u; start < shape.splits; start += CHUNK) {
    if (lane < CHUNK && start + lane < shape.splits) {
      let sums = partialSums[at + start + lane];
      let weight = splitWeight(sums, base);
      weights[lane] = weight;
      sum += weight * sums.y;
    }
    workgroupBarrier();
    for (var split = lane / VALUE_LANES; split < min(CHUNK, shape.splits - start); split += SPLITS_AT_ONCE) {
      let weight = weights[split];
      let part = partialOutput[(at + start + split) * VALUE_VECTORS + d];
      share += select(vec4<f32>(), weight * part, weight != 0.0);
    }
    workgroupBarrier();
  }
  tell(sum, lane);
  outputs[lane] = share;
  workgroupBarrier();
  let total = rowSum();
  let empty = bitcast<u32>(total) == 0u;
  let row = workgroup / shape.querySlots * shape.queryTokens + u32(token);
  if (lane < VALUE_VECTORS) {
    var whole = vec4<f32>();
    for (var i = 0u; i < SPLITS_AT_ONCE; i++) { whole += outputs[i * VALUE_LANES + lane]; }
    storeColumn(row, lane, whole * select(1.0 / total, 0.0, empty));
  }
  if (lane == 0u) { logSumExp[row] = sumBits(base, total, empty); }`,
  });
});
