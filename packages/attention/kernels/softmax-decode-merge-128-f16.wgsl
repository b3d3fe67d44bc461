// softmax-decode-merge: 6144 bytes of workgroup memory, 256 threads

@group(0) @binding(0) var<storage, read> partialOutput: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> partialSums: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> logSumExp: array<u32>;
struct Shape {
  batch: u32,
  heads: u32,
  keyHeads: u32,
  queryTokens: u32,
  keyTokens: u32,
  keyStride: u32,
  scale: f32,
  causalOffset: i32,
  querySlots: u32,
  queryBlock: u32,
  queryBlocks: u32,
  blockTiles: u32,
  keySlots: u32,
  keyBlock: u32,
  listBatches: u32,
  listHeads: u32,
  keyOrderAt: u32,
  rowsAt: u32,
  blocksAt: u32,
  epilogueScale: f32,
  grid0: i32,
  grid1: i32,
  grid2: i32,
  step0: i32,
  step1: i32,
  step2: i32,
  sharedHeads: u32,
  headTiles: u32,
  splits: u32,
  firstGroup: u32,
  endGroup: u32,
}
@group(0) @binding(4) var<uniform> shape: Shape;
@group(0) @binding(5) var<storage, read> plan: array<u32>;

const VALUE_VECTORS = 32u;
const VALUE_LANES = 32u;
const SPLITS_AT_ONCE = 8u;
const THREADS = 256u;
const CHUNK = 256u;
const NO_TOKEN = 4294967295u;
const MINUS_INFINITY = 4286578688u;
const NOT_A_NUMBER = 2143289344u;
const HIDDEN_BITS = 4020342536u;
const LEAST_BITS = 34086122u;

var<workgroup> weights: array<f32, 256>;
var<workgroup> numbers: array<vec4<f32>, 64>;
var<workgroup> outputs: array<vec4<f32>, 256>;

const LOG2_E = 1.4426950408889634;
const LN_2 = 0.6931471805599453;
// GPUs may assume that no number is infinite: a hidden pair's score is far below every other.
const HIDDEN = -1e30;

const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;

fn outputStore(row: u32, d: u32, numbers: vec4<f32>) {
  output[row * 32u + d] = vec2<u32>(pack2x16float(numbers.xy), pack2x16float(numbers.zw));
}

fn queryInOrder(slot: u32) -> i32 {
  return i32(slot);
}

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
}

fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }

fn added(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }

// Drivers disagree on the logarithm of NaN.
fn sumBits(base: f32, sum: f32, empty: bool) -> u32 {
  if ((bitcast<u32>(sum) & 0x7fffffffu) > 0x7f800000u) { return NOT_A_NUMBER; }
  return select(bitcast<u32>((base + log2(sum)) * LN_2), MINUS_INFINITY, empty);
}

fn storeColumn(row: u32, d: u32, numbers: vec4<f32>) {
  if (d < VALUE_VECTORS) { outputStore(row, d, added(row, d, scaled(row, numbers))); }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let workgroup = shape.firstGroup + group.x + group.y * groups.x;
  if (workgroup >= shape.endGroup) { return; }
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
  if (lane == 0u) { logSumExp[row] = sumBits(base, total, empty); }
}
