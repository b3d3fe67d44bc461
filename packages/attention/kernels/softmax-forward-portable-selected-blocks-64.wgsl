// softmax-forward-portable: 32516 bytes of workgroup memory, 256 threads

@group(0) @binding(0) var<storage, read> query: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> key: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> value: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;
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
@group(0) @binding(7) var<storage, read> rows: array<u32>;
@group(0) @binding(8) var<storage, read> blocks: array<u32>;

const QUERY_TILE = 64u;
const KEY_TILE = 64u;
const ROWS = 4u;
const KEY_LANES = 16u;
const ROW_LANES = 16u;
const ABREAST = 1u;
const THREADS = 256u;
const CHUNK = 4u;
const HEAD_VECTORS = 16u;
const HEAD_CHUNKS = 4u;
const VALUE_VECTORS = 16u;
const VALUE_STRIDE = 16u;
const VALUE_CHUNK = 16u;
const VALUE_CHUNKS = 4u;
const NO_TOKEN = 4294967295u;
const MINUS_INFINITY = 4286578688u;
const NOT_A_NUMBER = 2143289344u;
const HIDDEN_BITS = 4020342536u;
const LEAST_BITS = 34086122u;

var<workgroup> queries: array<vec4<f32>, 320>;
var<workgroup> keyValues: array<vec4<f32>, 320>;
var<workgroup> weights: array<vec4<f32>, 1088>;
var<workgroup> maxima: array<vec4<f32>, 256>;
var<workgroup> queryTokens: array<i32, 64>;
var<workgroup> keyTokens: array<i32, 128>;
var<workgroup> spoiled: array<atomic<u32>, 1>;

var<private> s0: vec4<f32>;
var<private> m0 = -1e30;
var<private> l0 = 0.0;
var<private> o0_0: vec4<f32>;
var<private> s1: vec4<f32>;
var<private> m1 = -1e30;
var<private> l1 = 0.0;
var<private> o1_0: vec4<f32>;
var<private> s2: vec4<f32>;
var<private> m2 = -1e30;
var<private> l2 = 0.0;
var<private> o2_0: vec4<f32>;
var<private> s3: vec4<f32>;
var<private> m3 = -1e30;
var<private> l3 = 0.0;
var<private> o3_0: vec4<f32>;

const LOG2_E = 1.4426950408889634;
const LN_2 = 0.6931471805599453;
// GPUs may assume that no number is infinite: a hidden pair's score is far below every other.
const HIDDEN = -1e30;

const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;

fn queryVector(row: u32, d: u32) -> vec4<f32> {
  return query[row * 16u + d];
}

fn keyVector(row: u32, d: u32) -> vec4<f32> {
  return key[row * 16u + d];
}

fn valueVector(row: u32, d: u32) -> vec4<f32> {
  return value[row * 16u + d];
}

fn outputStore(row: u32, d: u32, numbers: vec4<f32>) {
  output[row * 16u + d] = numbers;
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

fn rowAt(at: u32) -> u32 { return rows[at]; }
fn blockAt(at: u32) -> u32 { return blocks[at]; }

fn keyInOrder(slot: u32) -> i32 { return i32(slot); }

fn keyCount(tile: Located) -> u32 { return rowAt(2u * tile.row + 1u) * shape.keyBlock; }

fn keyToken(tile: Located, slot: u32) -> i32 {
  let entry = blockAt(rowAt(2u * tile.row) + slot / shape.keyBlock);
  let place = (entry & 0x7fffffffu) * shape.keyBlock + slot % shape.keyBlock;
  if (place >= shape.keySlots) { return ABSENT; }
  let token = keyInOrder(place);
  return select(token, token | FULL, token >= 0 && (entry >> 31u) == 1u);
}

fn noteSpoiled(numbers: vec4<f32>, generation: u32) {}
fn isSpoiled(generation: u32) -> bool { return false; }

fn readQueries(tile: Located, half: u32, chunk: u32, i: u32) -> vec4<f32> {
  let token = queryTokens[min(i / CHUNK, QUERY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < HEAD_VECTORS) { return queryVector(tile.queryRow + u32(token), d); }
  return vec4<f32>();
}

fn readKeys(tile: Located, half: u32, chunk: u32, i: u32) -> vec4<f32> {
  let token = keyTokens[half + min(i / CHUNK, KEY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < HEAD_VECTORS) { return keyVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

// The keys of a thread are KEY_LANES apart; values lie in the order in which the weights name them.
fn readValues(tile: Located, half: u32, chunk: u32, i: u32) -> vec4<f32> {
  let k = min(i / VALUE_STRIDE, VALUE_CHUNK - 1u);
  let token = keyTokens[half + chunk * (VALUE_CHUNK / 4u) + k / 4u + (k % 4u) * KEY_LANES];
  let d = i % VALUE_STRIDE;
  if (token >= 0 && d < VALUE_VECTORS) { return valueVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn placeQueries(i: u32, numbers: vec4<f32>, generation: u32) {
  queries[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn placeKeys(i: u32, numbers: vec4<f32>, generation: u32) {
  keyValues[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn placeValues(i: u32, numbers: vec4<f32>, generation: u32) {
  noteSpoiled(numbers, generation);
  keyValues[i] = numbers;
}

fn fetchQueries(tile: Located, half: u32, chunk: u32, lane: u32) {}

fn putQueries(tile: Located, half: u32, chunk: u32, generation: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let piece0 = readQueries(tile, half, chunk, i0);
    placeQueries(i0, piece0, generation);
  }
}

fn fetchKeys(tile: Located, half: u32, chunk: u32, lane: u32) {}

fn putKeys(tile: Located, half: u32, chunk: u32, generation: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let piece0 = readKeys(tile, half, chunk, i0);
    placeKeys(i0, piece0, generation);
  }
}

fn fetchValues(tile: Located, half: u32, chunk: u32, lane: u32) {}

fn putValues(tile: Located, half: u32, chunk: u32, generation: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let piece0 = readValues(tile, half, chunk, i0);
    placeValues(i0, piece0, generation);
  }
}

fn scores(lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  for (var d = 0u; d < CHUNK; d++) {
    let k0 = keyValues[keyLane * (CHUNK + 1u) + d];
    let k1 = keyValues[(keyLane + KEY_LANES) * (CHUNK + 1u) + d];
    let k2 = keyValues[(keyLane + 2u * KEY_LANES) * (CHUNK + 1u) + d];
    let k3 = keyValues[(keyLane + 3u * KEY_LANES) * (CHUNK + 1u) + d];
    let x = vec4<f32>(k0.x, k1.x, k2.x, k3.x);
    let y = vec4<f32>(k0.y, k1.y, k2.y, k3.y);
    let z = vec4<f32>(k0.z, k1.z, k2.z, k3.z);
    let w = vec4<f32>(k0.w, k1.w, k2.w, k3.w);
    let q0 = queries[(rowLane + 0u * ROW_LANES) * (CHUNK + 1u) + d];
    s0 += q0.x * x;
    s0 += q0.y * y;
    s0 += q0.z * z;
    s0 += q0.w * w;
    let q1 = queries[(rowLane + 1u * ROW_LANES) * (CHUNK + 1u) + d];
    s1 += q1.x * x;
    s1 += q1.y * y;
    s1 += q1.z * z;
    s1 += q1.w * w;
    let q2 = queries[(rowLane + 2u * ROW_LANES) * (CHUNK + 1u) + d];
    s2 += q2.x * x;
    s2 += q2.y * y;
    s2 += q2.z * z;
    s2 += q2.w * w;
    let q3 = queries[(rowLane + 3u * ROW_LANES) * (CHUNK + 1u) + d];
    s3 += q3.x * x;
    s3 += q3.y * y;
    s3 += q3.z * z;
    s3 += q3.w * w;
  }
}

fn finishScores(tile: Located, start: u32, half: u32, lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  let absent = vec4<bool>(
    keyTokens[half + keyLane] == ABSENT,
    keyTokens[half + keyLane + KEY_LANES] == ABSENT,
    keyTokens[half + keyLane + 2u * KEY_LANES] == ABSENT,
    keyTokens[half + keyLane + 3u * KEY_LANES] == ABSENT,
  );
  s0 = select(s0 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent);
  tellMaximum(rowLane + 0u * ROW_LANES, keyLane, s0);
  s1 = select(s1 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent);
  tellMaximum(rowLane + 1u * ROW_LANES, keyLane, s1);
  s2 = select(s2 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent);
  tellMaximum(rowLane + 2u * ROW_LANES, keyLane, s2);
  s3 = select(s3 * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent);
  tellMaximum(rowLane + 3u * ROW_LANES, keyLane, s3);
}

fn tellMaximum(row: u32, keyLane: u32, s: vec4<f32>) {
  maxima[row * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = max(max(s.x, s.y), max(s.z, s.w));
}

fn rowMaximum(row: u32) -> f32 {
  var largest = maxima[row * (KEY_LANES / 4u)];
  for (var i = 1u; i < KEY_LANES / 4u; i++) { largest = max(largest, maxima[row * (KEY_LANES / 4u) + i]); }
  return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

// NaN by its bits: compilers may turn p < x into !(p >= x), and drivers disagree on 2^NaN.
fn weightsOf(s: vec4<f32>, base: f32) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(s);
  let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  let hidden = (bits >= vec4<u32>(HIDDEN_BITS)) & (bits <= vec4<u32>(MINUS_INFINITY));
  let p = max(bitcast<vec4<u32>>(exp2(s - base)), vec4<u32>(LEAST_BITS));
  return bitcast<vec4<f32>>(select(select(p, vec4<u32>(NOT_A_NUMBER), nan), vec4<u32>(0u), hidden));
}

fn rescale(lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  {
    let row = rowLane + 0u * ROW_LANES;
    let base = max(m0, rowMaximum(row));
    let shrink = exp2(m0 - base);
    let p = weightsOf(s0, base);
    m0 = base;
    l0 = l0 * shrink + (p.x + p.y + p.z + p.w);
    weights[row * (KEY_LANES + 1u) + keyLane] = p;
    o0_0 *= shrink;
    s0 = vec4<f32>();
  }
  {
    let row = rowLane + 1u * ROW_LANES;
    let base = max(m1, rowMaximum(row));
    let shrink = exp2(m1 - base);
    let p = weightsOf(s1, base);
    m1 = base;
    l1 = l1 * shrink + (p.x + p.y + p.z + p.w);
    weights[row * (KEY_LANES + 1u) + keyLane] = p;
    o1_0 *= shrink;
    s1 = vec4<f32>();
  }
  {
    let row = rowLane + 2u * ROW_LANES;
    let base = max(m2, rowMaximum(row));
    let shrink = exp2(m2 - base);
    let p = weightsOf(s2, base);
    m2 = base;
    l2 = l2 * shrink + (p.x + p.y + p.z + p.w);
    weights[row * (KEY_LANES + 1u) + keyLane] = p;
    o2_0 *= shrink;
    s2 = vec4<f32>();
  }
  {
    let row = rowLane + 3u * ROW_LANES;
    let base = max(m3, rowMaximum(row));
    let shrink = exp2(m3 - base);
    let p = weightsOf(s3, base);
    m3 = base;
    l3 = l3 * shrink + (p.x + p.y + p.z + p.w);
    weights[row * (KEY_LANES + 1u) + keyLane] = p;
    o3_0 *= shrink;
    s3 = vec4<f32>();
  }
}

fn accumulate(chunk: u32, lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  for (var k = 0u; k < VALUE_CHUNK / 4u; k++) {
    let at = chunk * (VALUE_CHUNK / 4u) + k;
    let p0 = weights[(rowLane + 0u * ROW_LANES) * (KEY_LANES + 1u) + at];
    let p1 = weights[(rowLane + 1u * ROW_LANES) * (KEY_LANES + 1u) + at];
    let p2 = weights[(rowLane + 2u * ROW_LANES) * (KEY_LANES + 1u) + at];
    let p3 = weights[(rowLane + 3u * ROW_LANES) * (KEY_LANES + 1u) + at];
    let v0_0 = keyValues[(4u * k + 0u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    o0_0 += p0[0] * v0_0;
    o1_0 += p1[0] * v0_0;
    o2_0 += p2[0] * v0_0;
    o3_0 += p3[0] * v0_0;
    let v1_0 = keyValues[(4u * k + 1u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    o0_0 += p0[1] * v1_0;
    o1_0 += p1[1] * v1_0;
    o2_0 += p2[1] * v1_0;
    o3_0 += p3[1] * v1_0;
    let v2_0 = keyValues[(4u * k + 2u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    o0_0 += p0[2] * v2_0;
    o1_0 += p1[2] * v2_0;
    o2_0 += p2[2] * v2_0;
    o3_0 += p3[2] * v2_0;
    let v3_0 = keyValues[(4u * k + 3u) * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    o0_0 += p0[3] * v3_0;
    o1_0 += p1[3] * v3_0;
    o2_0 += p2[3] * v3_0;
    o3_0 += p3[3] * v3_0;
  }
}

fn accumulateSpoiled(chunk: u32, lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  for (var i = 0u; i < VALUE_CHUNK; i++) {
    let at = chunk * (VALUE_CHUNK / 4u) + i / 4u;
    let v0 = keyValues[i * VALUE_STRIDE + 0u * KEY_LANES + keyLane];
    let p0 = weights[(rowLane + 0u * ROW_LANES) * (KEY_LANES + 1u) + at][i % 4u];
    if (p0 != 0.0) {
      o0_0 += p0 * v0;
    }
    let p1 = weights[(rowLane + 1u * ROW_LANES) * (KEY_LANES + 1u) + at][i % 4u];
    if (p1 != 0.0) {
      o1_0 += p1 * v0;
    }
    let p2 = weights[(rowLane + 2u * ROW_LANES) * (KEY_LANES + 1u) + at][i % 4u];
    if (p2 != 0.0) {
      o2_0 += p2 * v0;
    }
    let p3 = weights[(rowLane + 3u * ROW_LANES) * (KEY_LANES + 1u) + at][i % 4u];
    if (p3 != 0.0) {
      o3_0 += p3 * v0;
    }
  }
}

fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }

fn added(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }

fn tellSums(lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  maxima[(rowLane + 0u * ROW_LANES) * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = l0;
  maxima[(rowLane + 1u * ROW_LANES) * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = l1;
  maxima[(rowLane + 2u * ROW_LANES) * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = l2;
  maxima[(rowLane + 3u * ROW_LANES) * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = l3;
}

fn rowSum(row: u32) -> f32 {
  var sums = maxima[row * (KEY_LANES / 4u)];
  for (var i = 1u; i < KEY_LANES / 4u; i++) { sums += maxima[row * (KEY_LANES / 4u) + i]; }
  return sums.x + sums.y + sums.z + sums.w;
}

// Drivers disagree on the logarithm of NaN.
fn sumBits(base: f32, sum: f32, empty: bool) -> u32 {
  if ((bitcast<u32>(sum) & 0x7fffffffu) > 0x7f800000u) { return NOT_A_NUMBER; }
  return select(bitcast<u32>((base + log2(sum)) * LN_2), MINUS_INFINITY, empty);
}

fn storeColumn(row: u32, d: u32, numbers: vec4<f32>) {
  if (d < VALUE_VECTORS) { outputStore(row, d, added(row, d, scaled(row, numbers))); }
}

fn store(tile: Located, lane: u32) {
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;
  {
    let token = queryTokens[rowLane + 0u * ROW_LANES];
    let sum = rowSum(rowLane + 0u * ROW_LANES);
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, keyLane + 0u * KEY_LANES, o0_0 * inverse);
      if (keyLane == 0u) {
        logSumExp[row] = sumBits(m0, sum, empty);
      }
    }
  }
  {
    let token = queryTokens[rowLane + 1u * ROW_LANES];
    let sum = rowSum(rowLane + 1u * ROW_LANES);
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, keyLane + 0u * KEY_LANES, o1_0 * inverse);
      if (keyLane == 0u) {
        logSumExp[row] = sumBits(m1, sum, empty);
      }
    }
  }
  {
    let token = queryTokens[rowLane + 2u * ROW_LANES];
    let sum = rowSum(rowLane + 2u * ROW_LANES);
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, keyLane + 0u * KEY_LANES, o2_0 * inverse);
      if (keyLane == 0u) {
        logSumExp[row] = sumBits(m2, sum, empty);
      }
    }
  }
  {
    let token = queryTokens[rowLane + 3u * ROW_LANES];
    let sum = rowSum(rowLane + 3u * ROW_LANES);
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      storeColumn(row, keyLane + 0u * KEY_LANES, o3_0 * inverse);
      if (keyLane == 0u) {
        logSumExp[row] = sumBits(m3, sum, empty);
      }
    }
  }
}

@compute @workgroup_size(256)
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
  fetchQueries(tile, 0u, 0u, lane);
  if (HEAD_CHUNKS == 1u) { putQueries(tile, 0u, 0u, 0u, lane); }
  fetchKeys(tile, 0u, 0u, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    let half = ((start / KEY_TILE) % 2u) * KEY_TILE;
    let nextHalf = KEY_TILE - half;
    resolveKeys(tile, start + KEY_TILE, count, nextHalf, lane);
    for (var chunk = 0u; chunk < HEAD_CHUNKS; chunk++) {
      if (HEAD_CHUNKS > 1u) { putQueries(tile, half, chunk, 0u, lane); }
      putKeys(tile, half, chunk, 0u, lane);
      workgroupBarrier();
      if (chunk + 1u < HEAD_CHUNKS) {
        fetchQueries(tile, half, chunk + 1u, lane);
        fetchKeys(tile, half, chunk + 1u, lane);
      } else {
        fetchValues(tile, half, 0u, lane);
      }
      scores(lane);
      workgroupBarrier();
    }
    finishScores(tile, start, half, lane);
    workgroupBarrier();
    rescale(lane);
    for (var chunk = 0u; chunk < VALUE_CHUNKS; chunk++) {
      let generation = (start / KEY_TILE) * VALUE_CHUNKS + chunk + 1u;
      putValues(tile, half, chunk, generation, lane);
      workgroupBarrier();
      if (chunk + 1u < VALUE_CHUNKS) {
        fetchValues(tile, half, chunk + 1u, lane);
      } else {
        if (HEAD_CHUNKS > 1u) { fetchQueries(tile, nextHalf, 0u, lane); }
        fetchKeys(tile, nextHalf, 0u, lane);
      }
      if (isSpoiled(generation)) { accumulateSpoiled(chunk, lane); } else { accumulate(chunk, lane); }
      workgroupBarrier();
    }
  }
  tellSums(lane);
  workgroupBarrier();
  store(tile, lane);
}
