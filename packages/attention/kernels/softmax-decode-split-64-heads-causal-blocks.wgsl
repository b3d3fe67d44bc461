// softmax-decode-split: 22784 bytes of workgroup memory, 128 threads

@group(0) @binding(0) var<storage, read> query: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> key: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> value: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> partialOutput: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> partialSums: array<vec2<f32>>;
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
@group(0) @binding(5) var<uniform> shape: Shape;
@group(0) @binding(6) var<storage, read> plan: array<u32>;

const QUERY_TILE = 2u;
const HEADS = 4u;
const ROWS = 8u;
const SPLIT = 64u;
const KEY_TILE = 32u;
const SWEEP = 32u;
const KEY_LANES = 16u;
const KEYS_AT_ONCE = 8u;
const KEY_VECTORS = 1u;
const HEAD_VECTORS = 16u;
const QUERY_STRIDE = 16u;
const VALUE_LANES = 16u;
const VALUES_AT_ONCE = 8u;
const VALUE_PARTS = 1u;
const VALUE_VECTORS = 16u;
const ROW_THREADS = 16u;
const THREADS = 128u;
const NO_TOKEN = 4294967295u;
const MINUS_INFINITY = 4286578688u;
const NOT_A_NUMBER = 2143289344u;
const HIDDEN_BITS = 4020342536u;
const LEAST_BITS = 34086122u;

var<workgroup> queries: array<vec4<f32>, 128>;
var<workgroup> exchange: array<vec4<f32>, 1088>;
var<workgroup> weights: array<vec4<f32>, 128>;
var<workgroup> maxima: array<f32, 128>;
var<workgroup> sums: array<f32, 128>;
var<workgroup> keyTokens: array<i32, 64>;

var<private> o0_0_0: vec4<f32>;
var<private> o1_0_0: vec4<f32>;
var<private> o2_0_0: vec4<f32>;
var<private> o3_0_0: vec4<f32>;
var<private> o4_0_0: vec4<f32>;
var<private> o5_0_0: vec4<f32>;
var<private> o6_0_0: vec4<f32>;
var<private> o7_0_0: vec4<f32>;
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

fn keyRaw(row: u32, unit: u32) -> vec4<f32> { return keyVector(row, unit); }

fn keyPart0(raw: vec4<f32>) -> vec4<f32> { return raw; }

fn valueVector(row: u32, d: u32) -> vec4<f32> {
  return value[row * 16u + d];
}

fn valueRaw(row: u32, unit: u32) -> vec4<f32> { return valueVector(row, unit); }

fn valuePart0(raw: vec4<f32>) -> vec4<f32> { return raw; }

fn queryInOrder(slot: u32) -> i32 {
  return i32(slot);
}

struct Located {
  batch: u32,
  head: u32,       // first of the tile's
  endHead: u32,
  block: u32,
  row: u32,        // of the plan's lists
  firstSlot: u32,
  endSlot: u32,
  keyRow: u32,     // row 0 of this head in key and value
  split: u32,
}

fn locate(workgroup: u32) -> Located {
  let queryTiles = shape.queryBlocks * shape.blockTiles;
  let queryTile = workgroup % queryTiles;
  let headTile = workgroup / queryTiles % shape.headTiles;
  let splitOfHeads = workgroup / queryTiles / shape.headTiles;
  let sharers = splitOfHeads / shape.splits;
  let sharersOfBatch = shape.heads / shape.sharedHeads;
  let firstHead = sharers % sharersOfBatch * shape.sharedHeads;
  var tile: Located;
  tile.split = splitOfHeads % shape.splits;
  tile.batch = sharers / sharersOfBatch;
  tile.head = firstHead + headTile * HEADS;
  tile.endHead = firstHead + shape.sharedHeads;
  tile.block = queryTile / shape.blockTiles;
  tile.firstSlot = tile.block * shape.queryBlock + queryTile % shape.blockTiles * QUERY_TILE;
  tile.endSlot = min((tile.block + 1u) * shape.queryBlock, shape.querySlots);
  let list = select(tile.batch, 0u, shape.listBatches == 1u) * shape.listHeads
    + tile.head / (shape.heads / shape.listHeads);
  tile.row = list * shape.queryBlocks + tile.block;
  tile.keyRow = (tile.batch * shape.keyHeads + tile.head / (shape.heads / shape.keyHeads)) * shape.keyStride;
  return tile;
}

fn headOf(tile: Located, row: u32) -> u32 { return tile.head + row / QUERY_TILE; }
fn slotOf(tile: Located, row: u32) -> u32 { return tile.firstSlot + row % QUERY_TILE; }

// Where a row's share of this split is stored.
fn shareOf(tile: Located, row: u32) -> u32 {
  let slots = (tile.batch * shape.heads + headOf(tile, row)) * shape.querySlots + slotOf(tile, row);
  return slots * shape.splits + tile.split;
}

// Token of a row's query; ABSENT where the tile has no such row.
fn queryOf(tile: Located, row: u32) -> i32 {
  if (headOf(tile, row) >= tile.endHead || slotOf(tile, row) >= tile.endSlot) { return ABSENT; }
  return queryInOrder(slotOf(tile, row));
}

fn resolveKeys(tile: Located, first: u32, count: u32, lane: u32) {
  for (var i = lane; i < SPLIT; i += THREADS) {
    keyTokens[i] = ABSENT;
    if (first + i < count) { keyTokens[i] = keyToken(tile, first + i); }
  }
}

fn loadQueries(tile: Located, lane: u32) {
  for (var i = lane; i < ROWS * QUERY_STRIDE; i += THREADS) {
    let row = i / QUERY_STRIDE;
    let token = queryOf(tile, row);
    queries[i] = vec4<f32>();
    if (token >= 0 && i % QUERY_STRIDE < HEAD_VECTORS) {
      let first = (tile.batch * shape.heads + headOf(tile, row)) * shape.queryTokens;
      queries[i] = queryVector(first + u32(token), i % QUERY_STRIDE);
    }
  }
}

// Row to read for a key slot; any row where there is none.
fn rowOf(tile: Located, token: i32) -> u32 { return tile.keyRow + select(0u, u32(token & TOKEN_BITS), token >= 0); }

fn rowAt(at: u32) -> u32 { return plan[shape.rowsAt + at]; }
fn blockAt(at: u32) -> u32 { return plan[shape.blocksAt + at]; }

fn keyInOrder(slot: u32) -> i32 { return i32(slot); }

fn keyCount(tile: Located) -> u32 { return rowAt(2u * tile.row + 1u) * shape.keyBlock; }

fn keyToken(tile: Located, slot: u32) -> i32 {
  let entry = blockAt(rowAt(2u * tile.row) + slot / shape.keyBlock);
  let place = (entry & 0x7fffffffu) * shape.keyBlock + slot % shape.keyBlock;
  if (place >= shape.keySlots) { return ABSENT; }
  let token = keyInOrder(place);
  return select(token, token | FULL, token >= 0 && (entry >> 31u) == 1u);
}

fn products(tile: Located, start: u32, lane: u32) {
  let unit = lane % KEY_LANES;
  let keyLane = lane / KEY_LANES;
  for (var sweep = 0u; sweep < KEY_TILE / SWEEP; sweep++) {
    let token0 = keyTokens[start + sweep * SWEEP + 0u * KEYS_AT_ONCE + keyLane];
    let token1 = keyTokens[start + sweep * SWEEP + 1u * KEYS_AT_ONCE + keyLane];
    let token2 = keyTokens[start + sweep * SWEEP + 2u * KEYS_AT_ONCE + keyLane];
    let token3 = keyTokens[start + sweep * SWEEP + 3u * KEYS_AT_ONCE + keyLane];
    let raw0_0 = keyRaw(rowOf(tile, token0), unit + 0u);
    let raw1_0 = keyRaw(rowOf(tile, token1), unit + 0u);
    let raw2_0 = keyRaw(rowOf(tile, token2), unit + 0u);
    let raw3_0 = keyRaw(rowOf(tile, token3), unit + 0u);
    let k0_0_0 = keyPart0(raw0_0);
    let k1_0_0 = keyPart0(raw1_0);
    let k2_0_0 = keyPart0(raw2_0);
    let k3_0_0 = keyPart0(raw3_0);
    for (var row = 0u; row < ROWS; row++) {
      var s = vec4<f32>();
      let q0_0 = queries[row * QUERY_STRIDE + (unit + 0u) * KEY_VECTORS + 0u];
      s += vec4<f32>(dot(q0_0, k0_0_0), dot(q0_0, k1_0_0), dot(q0_0, k2_0_0), dot(q0_0, k3_0_0));
      exchange[((row * (KEY_TILE / SWEEP) + sweep) * KEYS_AT_ONCE + keyLane) * (KEY_LANES + 1u) + unit] = s;
    }
  }
}

fn product(row: u32, key: u32) -> f32 {
  let sweep = key / SWEEP;
  let j = key % SWEEP / KEYS_AT_ONCE;
  let keyLane = key % KEYS_AT_ONCE;
  let first = ((row * (KEY_TILE / SWEEP) + sweep) * KEYS_AT_ONCE + keyLane) * (KEY_LANES + 1u);
  var sum = 0.0;
  for (var unit = 0u; unit < KEY_LANES; unit++) { sum += exchange[first + unit][j]; }
  return sum;
}

fn isFull(token: i32) -> bool { return false; }

fn keep(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> bool {
  let t0 = (key <= query);
  return t0;
}

fn change(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> f32 { return score; }

fn finishPair(tile: Located, query: i32, querySlot: i32, token: i32, keySlot: u32, product: f32) -> f32 {
  if (token == ABSENT) { return HIDDEN; }
  let key = select(token & TOKEN_BITS, ZERO, token == ZERO);
  let batch = i32(tile.batch);
  let head = i32(tile.head);
  let score = product * shape.scale;
  if (!isFull(token) && !keep(batch, head, query, key, querySlot, i32(keySlot), score)) { return HIDDEN; }
  return change(batch, head, query, key, querySlot, i32(keySlot), score) * LOG2_E;
}

fn finished(tile: Located, row: u32, place: u32, sum: f32) -> f32 {
  var own = tile;
  own.head = headOf(tile, row);
  let querySlot = i32(slotOf(tile, row) - tile.block * shape.queryBlock);
  return finishPair(own, queryOf(tile, row), querySlot, keyTokens[place], tile.split * SPLIT + place, sum);
}

fn finishScores(tile: Located, start: u32, lane: u32) {
  for (var i = lane; i < ROWS * KEY_TILE; i += THREADS) {
    let row = i / KEY_TILE;
    let place = start + i % KEY_TILE;
    let sum = select(0.0, product(row, i % KEY_TILE), keyTokens[place] >= 0);
    weights[row * (SPLIT / 4u) + place / 4u][place % 4u] = finished(tile, row, place, sum);
  }
}

// NaN by its bits: compilers may turn p < x into !(p >= x), and drivers disagree on 2^NaN.
fn weightsOf(s: vec4<f32>, base: f32) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(s);
  let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  let hidden = (bits >= vec4<u32>(HIDDEN_BITS)) & (bits <= vec4<u32>(MINUS_INFINITY));
  let p = max(bitcast<vec4<u32>>(exp2(s - base)), vec4<u32>(LEAST_BITS));
  return bitcast<vec4<f32>>(select(select(p, vec4<u32>(NOT_A_NUMBER), nan), vec4<u32>(0u), hidden));
}

fn tellMaxima(used: u32, lane: u32) {
  let row = lane / ROW_THREADS;
  maxima[lane] = HIDDEN;
  if (row >= ROWS) { return; }
  var largest = vec4<f32>(HIDDEN);
  for (var v = lane % ROW_THREADS; v < used / 4u; v += ROW_THREADS) {
    largest = max(largest, weights[row * (SPLIT / 4u) + v]);
  }
  maxima[lane] = max(max(largest.x, largest.y), max(largest.z, largest.w));
}

fn rowMaximum(row: u32) -> f32 {
  var largest = maxima[row * ROW_THREADS];
  for (var i = 1u; i < ROW_THREADS; i++) { largest = max(largest, maxima[row * ROW_THREADS + i]); }
  return largest;
}

fn weigh(used: u32, lane: u32) {
  let row = lane / ROW_THREADS;
  if (row >= ROWS) { return; }
  let base = rowMaximum(row);
  var sum = vec4<f32>();
  for (var v = lane % ROW_THREADS; v < used / 4u; v += ROW_THREADS) {
    let p = weightsOf(weights[row * (SPLIT / 4u) + v], base);
    weights[row * (SPLIT / 4u) + v] = p;
    sum += p;
  }
  sums[lane] = sum.x + sum.y + sum.z + sum.w;
}

fn rowSum(row: u32) -> f32 {
  var sum = sums[row * ROW_THREADS];
  for (var i = 1u; i < ROW_THREADS; i++) { sum += sums[row * ROW_THREADS + i]; }
  return sum;
}

fn accumulate(tile: Located, used: u32, lane: u32) {
  let unit = lane % VALUE_LANES;
  for (var v = lane / VALUE_LANES; v < used / 4u; v += VALUES_AT_ONCE) {
    let token0 = keyTokens[4u * v + 0u];
    let token1 = keyTokens[4u * v + 1u];
    let token2 = keyTokens[4u * v + 2u];
    let token3 = keyTokens[4u * v + 3u];
    let raw0_0 = valueRaw(rowOf(tile, token0), unit + 0u);
    let raw1_0 = valueRaw(rowOf(tile, token1), unit + 0u);
    let raw2_0 = valueRaw(rowOf(tile, token2), unit + 0u);
    let raw3_0 = valueRaw(rowOf(tile, token3), unit + 0u);
    let v0_0_0 = select(vec4<f32>(), valuePart0(raw0_0), token0 >= 0);
    let v1_0_0 = select(vec4<f32>(), valuePart0(raw1_0), token1 >= 0);
    let v2_0_0 = select(vec4<f32>(), valuePart0(raw2_0), token2 >= 0);
    let v3_0_0 = select(vec4<f32>(), valuePart0(raw3_0), token3 >= 0);
    let p0 = weights[0u * (SPLIT / 4u) + v];
    let p1 = weights[1u * (SPLIT / 4u) + v];
    let p2 = weights[2u * (SPLIT / 4u) + v];
    let p3 = weights[3u * (SPLIT / 4u) + v];
    let p4 = weights[4u * (SPLIT / 4u) + v];
    let p5 = weights[5u * (SPLIT / 4u) + v];
    let p6 = weights[6u * (SPLIT / 4u) + v];
    let p7 = weights[7u * (SPLIT / 4u) + v];
    o0_0_0 += select(vec4<f32>(), p0[0] * v0_0_0, p0[0] != 0.0);
    o1_0_0 += select(vec4<f32>(), p1[0] * v0_0_0, p1[0] != 0.0);
    o2_0_0 += select(vec4<f32>(), p2[0] * v0_0_0, p2[0] != 0.0);
    o3_0_0 += select(vec4<f32>(), p3[0] * v0_0_0, p3[0] != 0.0);
    o4_0_0 += select(vec4<f32>(), p4[0] * v0_0_0, p4[0] != 0.0);
    o5_0_0 += select(vec4<f32>(), p5[0] * v0_0_0, p5[0] != 0.0);
    o6_0_0 += select(vec4<f32>(), p6[0] * v0_0_0, p6[0] != 0.0);
    o7_0_0 += select(vec4<f32>(), p7[0] * v0_0_0, p7[0] != 0.0);
    o0_0_0 += select(vec4<f32>(), p0[1] * v1_0_0, p0[1] != 0.0);
    o1_0_0 += select(vec4<f32>(), p1[1] * v1_0_0, p1[1] != 0.0);
    o2_0_0 += select(vec4<f32>(), p2[1] * v1_0_0, p2[1] != 0.0);
    o3_0_0 += select(vec4<f32>(), p3[1] * v1_0_0, p3[1] != 0.0);
    o4_0_0 += select(vec4<f32>(), p4[1] * v1_0_0, p4[1] != 0.0);
    o5_0_0 += select(vec4<f32>(), p5[1] * v1_0_0, p5[1] != 0.0);
    o6_0_0 += select(vec4<f32>(), p6[1] * v1_0_0, p6[1] != 0.0);
    o7_0_0 += select(vec4<f32>(), p7[1] * v1_0_0, p7[1] != 0.0);
    o0_0_0 += select(vec4<f32>(), p0[2] * v2_0_0, p0[2] != 0.0);
    o1_0_0 += select(vec4<f32>(), p1[2] * v2_0_0, p1[2] != 0.0);
    o2_0_0 += select(vec4<f32>(), p2[2] * v2_0_0, p2[2] != 0.0);
    o3_0_0 += select(vec4<f32>(), p3[2] * v2_0_0, p3[2] != 0.0);
    o4_0_0 += select(vec4<f32>(), p4[2] * v2_0_0, p4[2] != 0.0);
    o5_0_0 += select(vec4<f32>(), p5[2] * v2_0_0, p5[2] != 0.0);
    o6_0_0 += select(vec4<f32>(), p6[2] * v2_0_0, p6[2] != 0.0);
    o7_0_0 += select(vec4<f32>(), p7[2] * v2_0_0, p7[2] != 0.0);
    o0_0_0 += select(vec4<f32>(), p0[3] * v3_0_0, p0[3] != 0.0);
    o1_0_0 += select(vec4<f32>(), p1[3] * v3_0_0, p1[3] != 0.0);
    o2_0_0 += select(vec4<f32>(), p2[3] * v3_0_0, p2[3] != 0.0);
    o3_0_0 += select(vec4<f32>(), p3[3] * v3_0_0, p3[3] != 0.0);
    o4_0_0 += select(vec4<f32>(), p4[3] * v3_0_0, p4[3] != 0.0);
    o5_0_0 += select(vec4<f32>(), p5[3] * v3_0_0, p5[3] != 0.0);
    o6_0_0 += select(vec4<f32>(), p6[3] * v3_0_0, p6[3] != 0.0);
    o7_0_0 += select(vec4<f32>(), p7[3] * v3_0_0, p7[3] != 0.0);
  }
}

fn tellRow0(lane: u32) {
  exchange[0u * THREADS + lane] = o0_0_0;
}
fn tellRow1(lane: u32) {
  exchange[0u * THREADS + lane] = o1_0_0;
}
fn tellRow2(lane: u32) {
  exchange[0u * THREADS + lane] = o2_0_0;
}
fn tellRow3(lane: u32) {
  exchange[0u * THREADS + lane] = o3_0_0;
}
fn tellRow4(lane: u32) {
  exchange[0u * THREADS + lane] = o4_0_0;
}
fn tellRow5(lane: u32) {
  exchange[0u * THREADS + lane] = o5_0_0;
}
fn tellRow6(lane: u32) {
  exchange[0u * THREADS + lane] = o6_0_0;
}
fn tellRow7(lane: u32) {
  exchange[0u * THREADS + lane] = o7_0_0;
}

fn storeRow(tile: Located, row: u32, lane: u32) {
  if (queryOf(tile, row) == ABSENT) { return; }
  let share = shareOf(tile, row);
  for (var d = lane; d < VALUE_VECTORS; d += THREADS) {
    let unit = d / VALUE_PARTS;
    let first = (unit / VALUE_LANES * VALUE_PARTS + d % VALUE_PARTS) * THREADS + unit % VALUE_LANES;
    var sum = vec4<f32>();
    for (var i = 0u; i < VALUES_AT_ONCE; i++) { sum += exchange[first + i * VALUE_LANES]; }
    partialOutput[share * VALUE_VECTORS + d] = sum;
  }
  if (lane == 0u) { partialSums[share] = vec2<f32>(rowMaximum(row), rowSum(row)); }
}

// A split beyond the end of a list: its sums say that its output is not to be read.
fn storeNothing(tile: Located, lane: u32) {
  for (var row = lane; row < ROWS; row += THREADS) {
    if (queryOf(tile, row) != ABSENT) { partialSums[shareOf(tile, row)] = vec2<f32>(HIDDEN, 0.0); }
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
  let first = tile.split * SPLIT;
  if (first >= count) {
    storeNothing(tile, lane);
    return;
  }
  let used = min(SPLIT, (count - first + KEY_TILE - 1u) / KEY_TILE * KEY_TILE);
  resolveKeys(tile, first, count, lane);
  loadQueries(tile, lane);
  workgroupBarrier();
  for (var start = 0u; start < used; start += KEY_TILE) {
    products(tile, start, lane);
    workgroupBarrier();
    finishScores(tile, start, lane);
    workgroupBarrier();
  }
  tellMaxima(used, lane);
  workgroupBarrier();
  weigh(used, lane);
  workgroupBarrier();
  accumulate(tile, used, lane);
  tellRow0(lane);
  workgroupBarrier();
  storeRow(tile, 0u, lane);
  workgroupBarrier();
  tellRow1(lane);
  workgroupBarrier();
  storeRow(tile, 1u, lane);
  workgroupBarrier();
  tellRow2(lane);
  workgroupBarrier();
  storeRow(tile, 2u, lane);
  workgroupBarrier();
  tellRow3(lane);
  workgroupBarrier();
  storeRow(tile, 3u, lane);
  workgroupBarrier();
  tellRow4(lane);
  workgroupBarrier();
  storeRow(tile, 4u, lane);
  workgroupBarrier();
  tellRow5(lane);
  workgroupBarrier();
  storeRow(tile, 5u, lane);
  workgroupBarrier();
  tellRow6(lane);
  workgroupBarrier();
  storeRow(tile, 6u, lane);
  workgroupBarrier();
  tellRow7(lane);
  workgroupBarrier();
  storeRow(tile, 7u, lane);
  workgroupBarrier();
}
