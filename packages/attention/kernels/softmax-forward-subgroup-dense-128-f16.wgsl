// softmax-forward-subgroup: 44804 bytes of workgroup memory, 128 threads

enable subgroups;

@group(0) @binding(0) var<storage, read> query: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> key: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> value: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> output: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> logSumExp: array<u32>;
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
  firstGroup: u32,
  endGroup: u32,
}
@group(0) @binding(5) var<uniform> shape: Shape;
@group(0) @binding(6) var<storage, read> plan: array<u32>;

const QUERY_TILE = 64u;
const KEY_TILE = 64u;
const KEYS = 4u;
const KEY_LANES = 16u;
const ROW_LANES = 8u;
const ABREAST = 2u;
const THREADS = 128u;
const HEAD_UNITS = 16u;
const HEAD_STEPS = 16u;
const VALUE_UNITS = 16u;
const VALUE_VECTORS = 32u;
const QUERY_STRIDE = 17u;
const KEY_STRIDE = 17u;
const VALUE_STRIDE = 16u;
const WEIGHT_STRIDE = 9u;
const NO_TOKEN = 4294967295u;
const MINUS_INFINITY = 4286578688u;
const NOT_A_NUMBER = 2143289344u;
const HIDDEN_BITS = 4020342536u;
const LEAST_BITS = 34086122u;
const SIGN_BIT = 2147483648u;

var<workgroup> queries: array<vec4<u32>, 1088>;
var<workgroup> keyValues: array<vec4<u32>, 1088>;
var<workgroup> weights: array<vec4<u32>, 576>;
var<workgroup> queryTokens: array<i32, 64>;
var<workgroup> keyTokens: array<i32, 128>;
var<workgroup> spoiled: array<atomic<u32>, 1>;

var<private> s0_0: vec4<f32>;
var<private> m0 = -1e29;
var<private> l0 = 0.0;
var<private> o0_0: vec4<f32>;
var<private> o0_1: vec4<f32>;
var<private> s1_0: vec4<f32>;
var<private> m1 = -1e29;
var<private> l1 = 0.0;
var<private> o1_0: vec4<f32>;
var<private> o1_1: vec4<f32>;
var<private> s2_0: vec4<f32>;
var<private> m2 = -1e29;
var<private> l2 = 0.0;
var<private> o2_0: vec4<f32>;
var<private> o2_1: vec4<f32>;
var<private> s3_0: vec4<f32>;
var<private> m3 = -1e29;
var<private> l3 = 0.0;
var<private> o3_0: vec4<f32>;
var<private> o3_1: vec4<f32>;
var<private> s4_0: vec4<f32>;
var<private> m4 = -1e29;
var<private> l4 = 0.0;
var<private> o4_0: vec4<f32>;
var<private> o4_1: vec4<f32>;
var<private> s5_0: vec4<f32>;
var<private> m5 = -1e29;
var<private> l5 = 0.0;
var<private> o5_0: vec4<f32>;
var<private> o5_1: vec4<f32>;
var<private> s6_0: vec4<f32>;
var<private> m6 = -1e29;
var<private> l6 = 0.0;
var<private> o6_0: vec4<f32>;
var<private> o6_1: vec4<f32>;
var<private> s7_0: vec4<f32>;
var<private> m7 = -1e29;
var<private> l7 = 0.0;
var<private> o7_0: vec4<f32>;
var<private> o7_1: vec4<f32>;
var<private> fetched0: vec4<u32>;
var<private> fetched1: vec4<u32>;
var<private> fetched2: vec4<u32>;
var<private> fetched3: vec4<u32>;
var<private> fetched4: vec4<u32>;
var<private> fetched5: vec4<u32>;
var<private> fetched6: vec4<u32>;
var<private> fetched7: vec4<u32>;
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

struct Located {
  batch: u32,
  head: u32,
  block: u32,
  row: u32,        // of the plan's lists
  firstSlot: u32,
  endSlot: u32,
  queryRow: u32,   // row 0 of this head in query
  keyRow: u32,     // row 0 of this head in key and value
}

fn locate(workgroup: u32) -> Located {
  let tilesOfHead = shape.queryBlocks * shape.blockTiles;
  let headIndex = workgroup / tilesOfHead;
  let tileIndex = tilesOfHead - 1u - workgroup % tilesOfHead;
  var tile: Located;
  tile.batch = headIndex / shape.heads;
  tile.head = headIndex % shape.heads;
  tile.block = tileIndex / shape.blockTiles;
  tile.firstSlot = tile.block * shape.queryBlock + (tileIndex % shape.blockTiles) * QUERY_TILE;
  tile.endSlot = min((tile.block + 1u) * shape.queryBlock, shape.querySlots);
  let list = select(tile.batch, 0u, shape.listBatches == 1u) * shape.listHeads
    + tile.head / (shape.heads / shape.listHeads);
  tile.row = list * shape.queryBlocks + tile.block;
  tile.queryRow = headIndex * shape.queryTokens;
  tile.keyRow = (tile.batch * shape.keyHeads + tile.head / (shape.heads / shape.keyHeads)) * shape.keyStride;
  return tile;
}

fn queryInOrder(slot: u32) -> i32 {
  return i32(slot);
}

fn resolveQueries(tile: Located, lane: u32) {
  for (var i = lane; i < QUERY_TILE; i += THREADS) {
    let slot = tile.firstSlot + i;
    queryTokens[i] = ABSENT;
    if (slot < tile.endSlot) { queryTokens[i] = queryInOrder(slot); }
  }
}

fn resolveKeys(tile: Located, start: u32, count: u32, half: u32, lane: u32) {
  for (var i = lane; i < KEY_TILE; i += THREADS) {
    var token = ABSENT;
    if (start + i < count) { token = keyToken(tile, start + i); }
    keyTokens[half + i] = token;
  }
}

fn keyCount(tile: Located) -> u32 { return shape.keyTokens; }

fn keyToken(tile: Located, slot: u32) -> i32 { return i32(slot); }

fn noteSpoiled(numbers: vec4<f32>, generation: u32) {}
fn isSpoiled(generation: u32) -> bool { return false; }

fn queryOctet(row: u32, d: u32) -> vec4<u32> { return query[row * 16u + d]; }

fn keyOctet(row: u32, d: u32) -> vec4<u32> { return key[row * 16u + d]; }

fn valueOctet(row: u32, d: u32) -> vec4<u32> { return value[row * 16u + d]; }

fn note(numbers: vec4<u32>, generation: u32) {}

fn loadQueries(tile: Located, lane: u32) {
  for (var i = lane % THREADS; i < 1024u; i += THREADS) {
    let row = min(i / HEAD_UNITS, QUERY_TILE - 1u);
    let token = queryTokens[row];
    var numbers = vec4<u32>();
    if (token >= 0) { numbers = queryOctet(tile.queryRow + u32(token), i % HEAD_UNITS); }
    let at = row * QUERY_STRIDE + 1u * (i % HEAD_UNITS);
    queries[at] = numbers;
  }
}

fn readKeys(tile: Located, half: u32, chunk: u32, i: u32) -> vec4<u32> {
  let token = keyTokens[half + min(i / HEAD_UNITS, KEY_TILE - 1u)];
  if (token >= 0) { return keyOctet(tile.keyRow + u32(token & TOKEN_BITS), i % HEAD_UNITS); }
  return vec4<u32>();
}

fn placeKeys(i: u32, numbers: vec4<u32>, generation: u32) {
  let at = min(i / HEAD_UNITS, KEY_TILE - 1u) * KEY_STRIDE + 1u * (i % HEAD_UNITS);
  keyValues[at] = numbers;
}

// The keys of a lane are KEY_LANES apart; values lie in the order in which the weights name them.
fn readValues(tile: Located, half: u32, chunk: u32, i: u32) -> vec4<u32> {
  let place = min(i / VALUE_UNITS, KEY_TILE - 1u);
  let token = keyTokens[half + place / KEYS + (place % KEYS) * KEY_LANES];
  if (token >= 0) { return valueOctet(tile.keyRow + u32(token & TOKEN_BITS), i % VALUE_UNITS); }
  return vec4<u32>();
}

fn placeValues(i: u32, numbers: vec4<u32>, generation: u32) {
  note(numbers, generation);
  let at = min(i / VALUE_UNITS, KEY_TILE - 1u) * VALUE_STRIDE + 1u * (i % VALUE_UNITS);
  keyValues[at] = numbers;
}

fn fetchKeys(tile: Located, half: u32, chunk: u32, lane: u32) {
  fetched0 = readKeys(tile, half, chunk, 0u * THREADS + lane);
  fetched1 = readKeys(tile, half, chunk, 1u * THREADS + lane);
  fetched2 = readKeys(tile, half, chunk, 2u * THREADS + lane);
  fetched3 = readKeys(tile, half, chunk, 3u * THREADS + lane);
  fetched4 = readKeys(tile, half, chunk, 4u * THREADS + lane);
  fetched5 = readKeys(tile, half, chunk, 5u * THREADS + lane);
  fetched6 = readKeys(tile, half, chunk, 6u * THREADS + lane);
  fetched7 = readKeys(tile, half, chunk, 7u * THREADS + lane);
}

fn putKeys(tile: Located, half: u32, chunk: u32, generation: u32, lane: u32) {
  placeKeys(0u * THREADS + lane, fetched0, generation);
  placeKeys(1u * THREADS + lane, fetched1, generation);
  placeKeys(2u * THREADS + lane, fetched2, generation);
  placeKeys(3u * THREADS + lane, fetched3, generation);
  placeKeys(4u * THREADS + lane, fetched4, generation);
  placeKeys(5u * THREADS + lane, fetched5, generation);
  placeKeys(6u * THREADS + lane, fetched6, generation);
  placeKeys(7u * THREADS + lane, fetched7, generation);
}

fn fetchValues(tile: Located, half: u32, chunk: u32, lane: u32) {
  fetched0 = readValues(tile, half, chunk, 0u * THREADS + lane);
  fetched1 = readValues(tile, half, chunk, 1u * THREADS + lane);
  fetched2 = readValues(tile, half, chunk, 2u * THREADS + lane);
  fetched3 = readValues(tile, half, chunk, 3u * THREADS + lane);
  fetched4 = readValues(tile, half, chunk, 4u * THREADS + lane);
  fetched5 = readValues(tile, half, chunk, 5u * THREADS + lane);
  fetched6 = readValues(tile, half, chunk, 6u * THREADS + lane);
  fetched7 = readValues(tile, half, chunk, 7u * THREADS + lane);
}

fn putValues(tile: Located, half: u32, chunk: u32, generation: u32, lane: u32) {
  placeValues(0u * THREADS + lane, fetched0, generation);
  placeValues(1u * THREADS + lane, fetched1, generation);
  placeValues(2u * THREADS + lane, fetched2, generation);
  placeValues(3u * THREADS + lane, fetched3, generation);
  placeValues(4u * THREADS + lane, fetched4, generation);
  placeValues(5u * THREADS + lane, fetched5, generation);
  placeValues(6u * THREADS + lane, fetched6, generation);
  placeValues(7u * THREADS + lane, fetched7, generation);
}

fn scores(lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  for (var d = 0u; d < HEAD_STEPS; d++) {
    let k0 = keyValues[(keyLane + 0u * KEY_LANES) * KEY_STRIDE + d];
    let k0a = vec4<f32>(unpack2x16float(k0.x), unpack2x16float(k0.y));
    let k0b = vec4<f32>(unpack2x16float(k0.z), unpack2x16float(k0.w));
    let k1 = keyValues[(keyLane + 1u * KEY_LANES) * KEY_STRIDE + d];
    let k1a = vec4<f32>(unpack2x16float(k1.x), unpack2x16float(k1.y));
    let k1b = vec4<f32>(unpack2x16float(k1.z), unpack2x16float(k1.w));
    let k2 = keyValues[(keyLane + 2u * KEY_LANES) * KEY_STRIDE + d];
    let k2a = vec4<f32>(unpack2x16float(k2.x), unpack2x16float(k2.y));
    let k2b = vec4<f32>(unpack2x16float(k2.z), unpack2x16float(k2.w));
    let k3 = keyValues[(keyLane + 3u * KEY_LANES) * KEY_STRIDE + d];
    let k3a = vec4<f32>(unpack2x16float(k3.x), unpack2x16float(k3.y));
    let k3b = vec4<f32>(unpack2x16float(k3.z), unpack2x16float(k3.w));
    let x0a = vec4<f32>(k0a.x, k1a.x, k2a.x, k3a.x);
    let y0a = vec4<f32>(k0a.y, k1a.y, k2a.y, k3a.y);
    let z0a = vec4<f32>(k0a.z, k1a.z, k2a.z, k3a.z);
    let w0a = vec4<f32>(k0a.w, k1a.w, k2a.w, k3a.w);
    let x0b = vec4<f32>(k0b.x, k1b.x, k2b.x, k3b.x);
    let y0b = vec4<f32>(k0b.y, k1b.y, k2b.y, k3b.y);
    let z0b = vec4<f32>(k0b.z, k1b.z, k2b.z, k3b.z);
    let w0b = vec4<f32>(k0b.w, k1b.w, k2b.w, k3b.w);
    let q0 = queries[(rowLane + 0u * ROW_LANES) * QUERY_STRIDE + d];
    let q0a = vec4<f32>(unpack2x16float(q0.x), unpack2x16float(q0.y));
    let q0b = vec4<f32>(unpack2x16float(q0.z), unpack2x16float(q0.w));
    s0_0 += q0a.x * x0a;
    s0_0 += q0a.y * y0a;
    s0_0 += q0a.z * z0a;
    s0_0 += q0a.w * w0a;
    s0_0 += q0b.x * x0b;
    s0_0 += q0b.y * y0b;
    s0_0 += q0b.z * z0b;
    s0_0 += q0b.w * w0b;
    let q1 = queries[(rowLane + 1u * ROW_LANES) * QUERY_STRIDE + d];
    let q1a = vec4<f32>(unpack2x16float(q1.x), unpack2x16float(q1.y));
    let q1b = vec4<f32>(unpack2x16float(q1.z), unpack2x16float(q1.w));
    s1_0 += q1a.x * x0a;
    s1_0 += q1a.y * y0a;
    s1_0 += q1a.z * z0a;
    s1_0 += q1a.w * w0a;
    s1_0 += q1b.x * x0b;
    s1_0 += q1b.y * y0b;
    s1_0 += q1b.z * z0b;
    s1_0 += q1b.w * w0b;
    let q2 = queries[(rowLane + 2u * ROW_LANES) * QUERY_STRIDE + d];
    let q2a = vec4<f32>(unpack2x16float(q2.x), unpack2x16float(q2.y));
    let q2b = vec4<f32>(unpack2x16float(q2.z), unpack2x16float(q2.w));
    s2_0 += q2a.x * x0a;
    s2_0 += q2a.y * y0a;
    s2_0 += q2a.z * z0a;
    s2_0 += q2a.w * w0a;
    s2_0 += q2b.x * x0b;
    s2_0 += q2b.y * y0b;
    s2_0 += q2b.z * z0b;
    s2_0 += q2b.w * w0b;
    let q3 = queries[(rowLane + 3u * ROW_LANES) * QUERY_STRIDE + d];
    let q3a = vec4<f32>(unpack2x16float(q3.x), unpack2x16float(q3.y));
    let q3b = vec4<f32>(unpack2x16float(q3.z), unpack2x16float(q3.w));
    s3_0 += q3a.x * x0a;
    s3_0 += q3a.y * y0a;
    s3_0 += q3a.z * z0a;
    s3_0 += q3a.w * w0a;
    s3_0 += q3b.x * x0b;
    s3_0 += q3b.y * y0b;
    s3_0 += q3b.z * z0b;
    s3_0 += q3b.w * w0b;
    let q4 = queries[(rowLane + 4u * ROW_LANES) * QUERY_STRIDE + d];
    let q4a = vec4<f32>(unpack2x16float(q4.x), unpack2x16float(q4.y));
    let q4b = vec4<f32>(unpack2x16float(q4.z), unpack2x16float(q4.w));
    s4_0 += q4a.x * x0a;
    s4_0 += q4a.y * y0a;
    s4_0 += q4a.z * z0a;
    s4_0 += q4a.w * w0a;
    s4_0 += q4b.x * x0b;
    s4_0 += q4b.y * y0b;
    s4_0 += q4b.z * z0b;
    s4_0 += q4b.w * w0b;
    let q5 = queries[(rowLane + 5u * ROW_LANES) * QUERY_STRIDE + d];
    let q5a = vec4<f32>(unpack2x16float(q5.x), unpack2x16float(q5.y));
    let q5b = vec4<f32>(unpack2x16float(q5.z), unpack2x16float(q5.w));
    s5_0 += q5a.x * x0a;
    s5_0 += q5a.y * y0a;
    s5_0 += q5a.z * z0a;
    s5_0 += q5a.w * w0a;
    s5_0 += q5b.x * x0b;
    s5_0 += q5b.y * y0b;
    s5_0 += q5b.z * z0b;
    s5_0 += q5b.w * w0b;
    let q6 = queries[(rowLane + 6u * ROW_LANES) * QUERY_STRIDE + d];
    let q6a = vec4<f32>(unpack2x16float(q6.x), unpack2x16float(q6.y));
    let q6b = vec4<f32>(unpack2x16float(q6.z), unpack2x16float(q6.w));
    s6_0 += q6a.x * x0a;
    s6_0 += q6a.y * y0a;
    s6_0 += q6a.z * z0a;
    s6_0 += q6a.w * w0a;
    s6_0 += q6b.x * x0b;
    s6_0 += q6b.y * y0b;
    s6_0 += q6b.z * z0b;
    s6_0 += q6b.w * w0b;
    let q7 = queries[(rowLane + 7u * ROW_LANES) * QUERY_STRIDE + d];
    let q7a = vec4<f32>(unpack2x16float(q7.x), unpack2x16float(q7.y));
    let q7b = vec4<f32>(unpack2x16float(q7.z), unpack2x16float(q7.w));
    s7_0 += q7a.x * x0a;
    s7_0 += q7a.y * y0a;
    s7_0 += q7a.z * z0a;
    s7_0 += q7a.w * w0a;
    s7_0 += q7b.x * x0b;
    s7_0 += q7b.y * y0b;
    s7_0 += q7b.z * z0b;
    s7_0 += q7b.w * w0b;
  }
}

fn finishScores(tile: Located, start: u32, half: u32, lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  let absent0 = vec4<bool>(
    keyTokens[half + keyLane + 0u * KEY_LANES] == ABSENT,
    keyTokens[half + keyLane + 1u * KEY_LANES] == ABSENT,
    keyTokens[half + keyLane + 2u * KEY_LANES] == ABSENT,
    keyTokens[half + keyLane + 3u * KEY_LANES] == ABSENT,
  );
  s0_0 = select(s0_0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent0);
  s1_0 = select(s1_0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent0);
  s2_0 = select(s2_0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent0);
  s3_0 = select(s3_0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent0);
  s4_0 = select(s4_0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent0);
  s5_0 = select(s5_0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent0);
  s6_0 = select(s6_0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent0);
  s7_0 = select(s7_0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent0);
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

fn tellMaxima(lane: u32) {}

fn rowMaximum(row: u32, own: f32) -> f32 {
  var largest = own;
  largest = max(largest, subgroupShuffleXor(largest, 2u));
  largest = max(largest, subgroupShuffleXor(largest, 4u));
  largest = max(largest, subgroupShuffleXor(largest, 8u));
  largest = max(largest, subgroupShuffleXor(largest, 16u));
  return largest;
}

fn tellSums(lane: u32) {}

fn rowSum(row: u32, own: f32) -> f32 {
  var sum = own;
  sum += subgroupShuffleXor(sum, 2u);
  sum += subgroupShuffleXor(sum, 4u);
  sum += subgroupShuffleXor(sum, 8u);
  sum += subgroupShuffleXor(sum, 16u);
  return sum;
}

fn weightsOf(s: vec4<f32>, base: f32) -> vec4<f32> {
  let nan = (bitcast<vec4<u32>>(s) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  return bitcast<vec4<f32>>(select(bitcast<vec4<u32>>(exp2(s - base)), vec4<u32>(NOT_A_NUMBER), nan));
}

fn rescale(lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  {
    let row = rowLane + 0u * ROW_LANES;
    let base = max(m0, rowMaximum(row, max(max(s0_0.x, s0_0.y), max(s0_0.z, s0_0.w))));
    let shrink = exp2(m0 - base);
    let p0_0 = weightsOf(s0_0, base);
    m0 = base;
    l0 = l0 * shrink + dot(p0_0, vec4<f32>(1.0));
    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p0_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p0_0.zw);
    o0_0 *= shrink;
    o0_1 *= shrink;
    s0_0 = vec4<f32>();
  }
  {
    let row = rowLane + 1u * ROW_LANES;
    let base = max(m1, rowMaximum(row, max(max(s1_0.x, s1_0.y), max(s1_0.z, s1_0.w))));
    let shrink = exp2(m1 - base);
    let p1_0 = weightsOf(s1_0, base);
    m1 = base;
    l1 = l1 * shrink + dot(p1_0, vec4<f32>(1.0));
    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p1_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p1_0.zw);
    o1_0 *= shrink;
    o1_1 *= shrink;
    s1_0 = vec4<f32>();
  }
  {
    let row = rowLane + 2u * ROW_LANES;
    let base = max(m2, rowMaximum(row, max(max(s2_0.x, s2_0.y), max(s2_0.z, s2_0.w))));
    let shrink = exp2(m2 - base);
    let p2_0 = weightsOf(s2_0, base);
    m2 = base;
    l2 = l2 * shrink + dot(p2_0, vec4<f32>(1.0));
    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p2_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p2_0.zw);
    o2_0 *= shrink;
    o2_1 *= shrink;
    s2_0 = vec4<f32>();
  }
  {
    let row = rowLane + 3u * ROW_LANES;
    let base = max(m3, rowMaximum(row, max(max(s3_0.x, s3_0.y), max(s3_0.z, s3_0.w))));
    let shrink = exp2(m3 - base);
    let p3_0 = weightsOf(s3_0, base);
    m3 = base;
    l3 = l3 * shrink + dot(p3_0, vec4<f32>(1.0));
    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p3_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p3_0.zw);
    o3_0 *= shrink;
    o3_1 *= shrink;
    s3_0 = vec4<f32>();
  }
  {
    let row = rowLane + 4u * ROW_LANES;
    let base = max(m4, rowMaximum(row, max(max(s4_0.x, s4_0.y), max(s4_0.z, s4_0.w))));
    let shrink = exp2(m4 - base);
    let p4_0 = weightsOf(s4_0, base);
    m4 = base;
    l4 = l4 * shrink + dot(p4_0, vec4<f32>(1.0));
    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p4_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p4_0.zw);
    o4_0 *= shrink;
    o4_1 *= shrink;
    s4_0 = vec4<f32>();
  }
  {
    let row = rowLane + 5u * ROW_LANES;
    let base = max(m5, rowMaximum(row, max(max(s5_0.x, s5_0.y), max(s5_0.z, s5_0.w))));
    let shrink = exp2(m5 - base);
    let p5_0 = weightsOf(s5_0, base);
    m5 = base;
    l5 = l5 * shrink + dot(p5_0, vec4<f32>(1.0));
    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p5_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p5_0.zw);
    o5_0 *= shrink;
    o5_1 *= shrink;
    s5_0 = vec4<f32>();
  }
  {
    let row = rowLane + 6u * ROW_LANES;
    let base = max(m6, rowMaximum(row, max(max(s6_0.x, s6_0.y), max(s6_0.z, s6_0.w))));
    let shrink = exp2(m6 - base);
    let p6_0 = weightsOf(s6_0, base);
    m6 = base;
    l6 = l6 * shrink + dot(p6_0, vec4<f32>(1.0));
    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p6_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p6_0.zw);
    o6_0 *= shrink;
    o6_1 *= shrink;
    s6_0 = vec4<f32>();
  }
  {
    let row = rowLane + 7u * ROW_LANES;
    let base = max(m7, rowMaximum(row, max(max(s7_0.x, s7_0.y), max(s7_0.z, s7_0.w))));
    let shrink = exp2(m7 - base);
    let p7_0 = weightsOf(s7_0, base);
    m7 = base;
    l7 = l7 * shrink + dot(p7_0, vec4<f32>(1.0));
    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p7_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p7_0.zw);
    o7_0 *= shrink;
    o7_1 *= shrink;
    s7_0 = vec4<f32>();
  }
}

fn accumulate(lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  for (var k = 0u; k < KEY_TILE / 8u; k++) {
    let p0 = weights[(rowLane + 0u * ROW_LANES) * WEIGHT_STRIDE + k];
    let p0a = vec4<f32>(unpack2x16float(p0.x), unpack2x16float(p0.y));
    let p0b = vec4<f32>(unpack2x16float(p0.z), unpack2x16float(p0.w));
    let p1 = weights[(rowLane + 1u * ROW_LANES) * WEIGHT_STRIDE + k];
    let p1a = vec4<f32>(unpack2x16float(p1.x), unpack2x16float(p1.y));
    let p1b = vec4<f32>(unpack2x16float(p1.z), unpack2x16float(p1.w));
    let p2 = weights[(rowLane + 2u * ROW_LANES) * WEIGHT_STRIDE + k];
    let p2a = vec4<f32>(unpack2x16float(p2.x), unpack2x16float(p2.y));
    let p2b = vec4<f32>(unpack2x16float(p2.z), unpack2x16float(p2.w));
    let p3 = weights[(rowLane + 3u * ROW_LANES) * WEIGHT_STRIDE + k];
    let p3a = vec4<f32>(unpack2x16float(p3.x), unpack2x16float(p3.y));
    let p3b = vec4<f32>(unpack2x16float(p3.z), unpack2x16float(p3.w));
    let p4 = weights[(rowLane + 4u * ROW_LANES) * WEIGHT_STRIDE + k];
    let p4a = vec4<f32>(unpack2x16float(p4.x), unpack2x16float(p4.y));
    let p4b = vec4<f32>(unpack2x16float(p4.z), unpack2x16float(p4.w));
    let p5 = weights[(rowLane + 5u * ROW_LANES) * WEIGHT_STRIDE + k];
    let p5a = vec4<f32>(unpack2x16float(p5.x), unpack2x16float(p5.y));
    let p5b = vec4<f32>(unpack2x16float(p5.z), unpack2x16float(p5.w));
    let p6 = weights[(rowLane + 6u * ROW_LANES) * WEIGHT_STRIDE + k];
    let p6a = vec4<f32>(unpack2x16float(p6.x), unpack2x16float(p6.y));
    let p6b = vec4<f32>(unpack2x16float(p6.z), unpack2x16float(p6.w));
    let p7 = weights[(rowLane + 7u * ROW_LANES) * WEIGHT_STRIDE + k];
    let p7a = vec4<f32>(unpack2x16float(p7.x), unpack2x16float(p7.y));
    let p7b = vec4<f32>(unpack2x16float(p7.z), unpack2x16float(p7.w));
    let v0_0 = keyValues[(8u * k + 0u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let v0_0a = vec4<f32>(unpack2x16float(v0_0.x), unpack2x16float(v0_0.y));
    let v0_0b = vec4<f32>(unpack2x16float(v0_0.z), unpack2x16float(v0_0.w));
    o0_0 += p0a[0] * v0_0a;
    o0_1 += p0a[0] * v0_0b;
    o1_0 += p1a[0] * v0_0a;
    o1_1 += p1a[0] * v0_0b;
    o2_0 += p2a[0] * v0_0a;
    o2_1 += p2a[0] * v0_0b;
    o3_0 += p3a[0] * v0_0a;
    o3_1 += p3a[0] * v0_0b;
    o4_0 += p4a[0] * v0_0a;
    o4_1 += p4a[0] * v0_0b;
    o5_0 += p5a[0] * v0_0a;
    o5_1 += p5a[0] * v0_0b;
    o6_0 += p6a[0] * v0_0a;
    o6_1 += p6a[0] * v0_0b;
    o7_0 += p7a[0] * v0_0a;
    o7_1 += p7a[0] * v0_0b;
    let v1_0 = keyValues[(8u * k + 1u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let v1_0a = vec4<f32>(unpack2x16float(v1_0.x), unpack2x16float(v1_0.y));
    let v1_0b = vec4<f32>(unpack2x16float(v1_0.z), unpack2x16float(v1_0.w));
    o0_0 += p0a[1] * v1_0a;
    o0_1 += p0a[1] * v1_0b;
    o1_0 += p1a[1] * v1_0a;
    o1_1 += p1a[1] * v1_0b;
    o2_0 += p2a[1] * v1_0a;
    o2_1 += p2a[1] * v1_0b;
    o3_0 += p3a[1] * v1_0a;
    o3_1 += p3a[1] * v1_0b;
    o4_0 += p4a[1] * v1_0a;
    o4_1 += p4a[1] * v1_0b;
    o5_0 += p5a[1] * v1_0a;
    o5_1 += p5a[1] * v1_0b;
    o6_0 += p6a[1] * v1_0a;
    o6_1 += p6a[1] * v1_0b;
    o7_0 += p7a[1] * v1_0a;
    o7_1 += p7a[1] * v1_0b;
    let v2_0 = keyValues[(8u * k + 2u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let v2_0a = vec4<f32>(unpack2x16float(v2_0.x), unpack2x16float(v2_0.y));
    let v2_0b = vec4<f32>(unpack2x16float(v2_0.z), unpack2x16float(v2_0.w));
    o0_0 += p0a[2] * v2_0a;
    o0_1 += p0a[2] * v2_0b;
    o1_0 += p1a[2] * v2_0a;
    o1_1 += p1a[2] * v2_0b;
    o2_0 += p2a[2] * v2_0a;
    o2_1 += p2a[2] * v2_0b;
    o3_0 += p3a[2] * v2_0a;
    o3_1 += p3a[2] * v2_0b;
    o4_0 += p4a[2] * v2_0a;
    o4_1 += p4a[2] * v2_0b;
    o5_0 += p5a[2] * v2_0a;
    o5_1 += p5a[2] * v2_0b;
    o6_0 += p6a[2] * v2_0a;
    o6_1 += p6a[2] * v2_0b;
    o7_0 += p7a[2] * v2_0a;
    o7_1 += p7a[2] * v2_0b;
    let v3_0 = keyValues[(8u * k + 3u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let v3_0a = vec4<f32>(unpack2x16float(v3_0.x), unpack2x16float(v3_0.y));
    let v3_0b = vec4<f32>(unpack2x16float(v3_0.z), unpack2x16float(v3_0.w));
    o0_0 += p0a[3] * v3_0a;
    o0_1 += p0a[3] * v3_0b;
    o1_0 += p1a[3] * v3_0a;
    o1_1 += p1a[3] * v3_0b;
    o2_0 += p2a[3] * v3_0a;
    o2_1 += p2a[3] * v3_0b;
    o3_0 += p3a[3] * v3_0a;
    o3_1 += p3a[3] * v3_0b;
    o4_0 += p4a[3] * v3_0a;
    o4_1 += p4a[3] * v3_0b;
    o5_0 += p5a[3] * v3_0a;
    o5_1 += p5a[3] * v3_0b;
    o6_0 += p6a[3] * v3_0a;
    o6_1 += p6a[3] * v3_0b;
    o7_0 += p7a[3] * v3_0a;
    o7_1 += p7a[3] * v3_0b;
    let v4_0 = keyValues[(8u * k + 4u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let v4_0a = vec4<f32>(unpack2x16float(v4_0.x), unpack2x16float(v4_0.y));
    let v4_0b = vec4<f32>(unpack2x16float(v4_0.z), unpack2x16float(v4_0.w));
    o0_0 += p0b[0] * v4_0a;
    o0_1 += p0b[0] * v4_0b;
    o1_0 += p1b[0] * v4_0a;
    o1_1 += p1b[0] * v4_0b;
    o2_0 += p2b[0] * v4_0a;
    o2_1 += p2b[0] * v4_0b;
    o3_0 += p3b[0] * v4_0a;
    o3_1 += p3b[0] * v4_0b;
    o4_0 += p4b[0] * v4_0a;
    o4_1 += p4b[0] * v4_0b;
    o5_0 += p5b[0] * v4_0a;
    o5_1 += p5b[0] * v4_0b;
    o6_0 += p6b[0] * v4_0a;
    o6_1 += p6b[0] * v4_0b;
    o7_0 += p7b[0] * v4_0a;
    o7_1 += p7b[0] * v4_0b;
    let v5_0 = keyValues[(8u * k + 5u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let v5_0a = vec4<f32>(unpack2x16float(v5_0.x), unpack2x16float(v5_0.y));
    let v5_0b = vec4<f32>(unpack2x16float(v5_0.z), unpack2x16float(v5_0.w));
    o0_0 += p0b[1] * v5_0a;
    o0_1 += p0b[1] * v5_0b;
    o1_0 += p1b[1] * v5_0a;
    o1_1 += p1b[1] * v5_0b;
    o2_0 += p2b[1] * v5_0a;
    o2_1 += p2b[1] * v5_0b;
    o3_0 += p3b[1] * v5_0a;
    o3_1 += p3b[1] * v5_0b;
    o4_0 += p4b[1] * v5_0a;
    o4_1 += p4b[1] * v5_0b;
    o5_0 += p5b[1] * v5_0a;
    o5_1 += p5b[1] * v5_0b;
    o6_0 += p6b[1] * v5_0a;
    o6_1 += p6b[1] * v5_0b;
    o7_0 += p7b[1] * v5_0a;
    o7_1 += p7b[1] * v5_0b;
    let v6_0 = keyValues[(8u * k + 6u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let v6_0a = vec4<f32>(unpack2x16float(v6_0.x), unpack2x16float(v6_0.y));
    let v6_0b = vec4<f32>(unpack2x16float(v6_0.z), unpack2x16float(v6_0.w));
    o0_0 += p0b[2] * v6_0a;
    o0_1 += p0b[2] * v6_0b;
    o1_0 += p1b[2] * v6_0a;
    o1_1 += p1b[2] * v6_0b;
    o2_0 += p2b[2] * v6_0a;
    o2_1 += p2b[2] * v6_0b;
    o3_0 += p3b[2] * v6_0a;
    o3_1 += p3b[2] * v6_0b;
    o4_0 += p4b[2] * v6_0a;
    o4_1 += p4b[2] * v6_0b;
    o5_0 += p5b[2] * v6_0a;
    o5_1 += p5b[2] * v6_0b;
    o6_0 += p6b[2] * v6_0a;
    o6_1 += p6b[2] * v6_0b;
    o7_0 += p7b[2] * v6_0a;
    o7_1 += p7b[2] * v6_0b;
    let v7_0 = keyValues[(8u * k + 7u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let v7_0a = vec4<f32>(unpack2x16float(v7_0.x), unpack2x16float(v7_0.y));
    let v7_0b = vec4<f32>(unpack2x16float(v7_0.z), unpack2x16float(v7_0.w));
    o0_0 += p0b[3] * v7_0a;
    o0_1 += p0b[3] * v7_0b;
    o1_0 += p1b[3] * v7_0a;
    o1_1 += p1b[3] * v7_0b;
    o2_0 += p2b[3] * v7_0a;
    o2_1 += p2b[3] * v7_0b;
    o3_0 += p3b[3] * v7_0a;
    o3_1 += p3b[3] * v7_0b;
    o4_0 += p4b[3] * v7_0a;
    o4_1 += p4b[3] * v7_0b;
    o5_0 += p5b[3] * v7_0a;
    o5_1 += p5b[3] * v7_0b;
    o6_0 += p6b[3] * v7_0a;
    o6_1 += p6b[3] * v7_0b;
    o7_0 += p7b[3] * v7_0a;
    o7_1 += p7b[3] * v7_0b;
  }
}

fn store(tile: Located, lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  {
    let slot = rowLane + 0u * ROW_LANES;
    let sum = rowSum(slot, l0);
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 0u, o0_0 * inverse);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 1u, o0_1 * inverse);
      if (keyLane == 0u) { logSumExp[row] = sumBits(m0, sum, empty); }
    }
  }
  {
    let slot = rowLane + 1u * ROW_LANES;
    let sum = rowSum(slot, l1);
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 0u, o1_0 * inverse);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 1u, o1_1 * inverse);
      if (keyLane == 0u) { logSumExp[row] = sumBits(m1, sum, empty); }
    }
  }
  {
    let slot = rowLane + 2u * ROW_LANES;
    let sum = rowSum(slot, l2);
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 0u, o2_0 * inverse);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 1u, o2_1 * inverse);
      if (keyLane == 0u) { logSumExp[row] = sumBits(m2, sum, empty); }
    }
  }
  {
    let slot = rowLane + 3u * ROW_LANES;
    let sum = rowSum(slot, l3);
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 0u, o3_0 * inverse);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 1u, o3_1 * inverse);
      if (keyLane == 0u) { logSumExp[row] = sumBits(m3, sum, empty); }
    }
  }
  {
    let slot = rowLane + 4u * ROW_LANES;
    let sum = rowSum(slot, l4);
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 0u, o4_0 * inverse);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 1u, o4_1 * inverse);
      if (keyLane == 0u) { logSumExp[row] = sumBits(m4, sum, empty); }
    }
  }
  {
    let slot = rowLane + 5u * ROW_LANES;
    let sum = rowSum(slot, l5);
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 0u, o5_0 * inverse);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 1u, o5_1 * inverse);
      if (keyLane == 0u) { logSumExp[row] = sumBits(m5, sum, empty); }
    }
  }
  {
    let slot = rowLane + 6u * ROW_LANES;
    let sum = rowSum(slot, l6);
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 0u, o6_0 * inverse);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 1u, o6_1 * inverse);
      if (keyLane == 0u) { logSumExp[row] = sumBits(m6, sum, empty); }
    }
  }
  {
    let slot = rowLane + 7u * ROW_LANES;
    let sum = rowSum(slot, l7);
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 0u, o7_0 * inverse);
      storeColumn(row, (0u * KEY_LANES + keyLane) * 2u + 1u, o7_1 * inverse);
      if (keyLane == 0u) { logSumExp[row] = sumBits(m7, sum, empty); }
    }
  }
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let workgroup = shape.firstGroup + group.x + group.y * groups.x;
  if (workgroup >= shape.endGroup) { return; }
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  resolveKeys(tile, 0u, count, 0u, lane);
  workgroupBarrier();
  loadQueries(tile, lane);
  fetchKeys(tile, 0u, 0u, lane);
  putKeys(tile, 0u, 0u, 0u, lane);
  workgroupBarrier();
  for (var start = 0u; start < count; start += KEY_TILE) {
    let generation = start / KEY_TILE + 1u;
    let half = ((start / KEY_TILE) % 2u) * KEY_TILE;
    let nextHalf = KEY_TILE - half;
    fetchValues(tile, half, 0u, lane);
    resolveKeys(tile, start + KEY_TILE, count, nextHalf, lane);
    scores(lane);
    finishScores(tile, start, half, lane);
    tellMaxima(lane);
    rescale(lane);
    workgroupBarrier();
    putValues(tile, half, 0u, generation, lane);
    workgroupBarrier();
    fetchKeys(tile, nextHalf, 0u, lane);
    accumulate(lane);
    workgroupBarrier();
    putKeys(tile, nextHalf, 0u, generation, lane);
    workgroupBarrier();
  }
  tellSums(lane);
  store(tile, lane);
}
