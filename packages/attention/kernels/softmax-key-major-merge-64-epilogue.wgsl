// key-major-merge: 0 bytes of workgroup memory, 64 threads

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> partSums: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> places: array<u32>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> sumsBefore: array<u32>;
@group(0) @binding(7) var<storage, read_write> logSumExp: array<u32>;
struct Shape {
  heads: u32,
  listBatches: u32,
  listHeads: u32,
  querySlots: u32,
  queryBlock: u32,
  queryBlocks: u32,
  queryTokens: u32,
  tiles: u32,
  visits: u32,
  elements: u32,
  first: u32,
  epilogueScale: f32,
  firstGroup: u32,
  endGroup: u32,
}
@group(0) @binding(8) var<uniform> shape: Shape;
@group(0) @binding(9) var<storage, read> addend: array<vec4<f32>>;

const THREADS = 64u;
const VECTORS = 16u;
const NO_TOKEN = 4294967295u;
const MINUS_INFINITY = 4286578688u;
const NOT_A_NUMBER = 2143289344u;
const HIDDEN_BITS = 4020342536u;
const LEAST_BITS = 34086122u;

const HIDDEN = -1e30;

const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;

fn queryInOrder(slot: u32) -> i32 {
  return i32(slot);
}

fn listOf(head: u32) -> u32 {
  return select(head / shape.heads, 0u, shape.listBatches == 1u) * shape.listHeads
    + head % shape.heads / (shape.heads / shape.listHeads);
}

fn partsVector(row: u32, d: u32) -> vec4<f32> {
  return parts[row * 16u + d];
}

fn outputVector(row: u32, d: u32) -> vec4<f32> {
  return output[row * 16u + d];
}

fn outputStore(row: u32, d: u32, numbers: vec4<f32>) {
  output[row * 16u + d] = numbers;
}

fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return shape.epilogueScale * numbers; }

fn addendVector(row: u32, d: u32) -> vec4<f32> {
  return addend[row * 16u + d];
}

fn added(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers + addendVector(row, d); }

// A NaN has a weight that is NaN on every GPU: by its bits, since they may compute as if there were none.
fn weightOf(bits: u32, base: f32) -> f32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return bitcast<f32>(bits); }
  return exp(bitcast<f32>(bits) - base);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let workgroup = shape.firstGroup + group.x + group.y * groups.x;
  if (workgroup >= shape.endGroup) { return; }
  let at = workgroup * THREADS + lane;
  if (at >= shape.elements) { return; }
  let d = at % VECTORS;
  let head = at / VECTORS / shape.querySlots;
  let slot = at / VECTORS % shape.querySlots;
  let token = queryInOrder(slot);
  if (token < 0) { return; }
  let row = head * shape.queryTokens + u32(token);
  let list = 2u * (listOf(head) * shape.queryBlocks + slot / shape.queryBlock);
  let end = rows[list] + rows[list + 1u];
  let firstRow = head * shape.tiles * shape.visits * shape.queryBlock + slot % shape.queryBlock;
  var before = MINUS_INFINITY;
  if (shape.first == 0u) { before = sumsBefore[row]; }
  var base = HIDDEN;
  if (before != MINUS_INFINITY) { base = max(base, bitcast<f32>(before)); }
  for (var entry = rows[list]; entry < end; entry++) {
    if (places[entry] == 0u) { continue; }
    let bits = partSums[firstRow + places[entry] - 1u];
    if (bits != MINUS_INFINITY) { base = max(base, bitcast<f32>(bits)); }
  }
  var spoiled = false;
  var total = 0.0;
  var numbers = vec4<f32>();
  if (before != MINUS_INFINITY) {
    let weight = weightOf(before, base);
    spoiled = (before & 0x7fffffffu) > 0x7f800000u;
    total = weight;
    numbers = weight * outputVector(row, d);
  }
  for (var entry = rows[list]; entry < end; entry++) {
    if (places[entry] == 0u) { continue; }
    let part = firstRow + places[entry] - 1u;
    let bits = partSums[part];
    if (bits == MINUS_INFINITY) { continue; }
    spoiled = spoiled || (bits & 0x7fffffffu) > 0x7f800000u;
    let weight = weightOf(bits, base);
    total += weight;
    numbers += weight * partsVector(part, d);
  }
  let isEmpty = !spoiled && total == 0.0;
  if (!isEmpty) { numbers /= total; }
  outputStore(row, d, added(row, d, scaled(row, numbers)));
  if (d == 0u) {
    var sum = bitcast<u32>(base + log(total));
    if (spoiled) { sum = NOT_A_NUMBER; }
    logSumExp[row] = select(sum, MINUS_INFINITY, isEmpty);
  }
}
