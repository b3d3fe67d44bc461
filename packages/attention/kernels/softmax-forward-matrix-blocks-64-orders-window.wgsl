// softmax-forward-matrix: 19720 bytes of workgroup memory, 128 threads

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

diagnostic(off, chromium.subgroup_matrix_uniformity);
diagnostic(off, subgroup_uniformity);

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
const KEY_TILE = 32u;
const THREADS = 128u;
const SUBGROUPS = 4u;
const VALUE_VECTORS = 16u;
const VALUES_AT = 288u;
const SCORES_AT = 576u;
const WEIGHTS_AT = 576u;
const NO_TOKEN = 4294967295u;
const MINUS_INFINITY = 4286578688u;
const NOT_A_NUMBER = 2143289344u;
const HIDDEN_BITS = 4020342536u;
const LEAST_BITS = 34086122u;

var<workgroup> tileMemory: array<vec4<u32>, 1152>;
var<workgroup> queryTokens: array<i32, 64>;
var<workgroup> keyTokens: array<i32, 64>;
var<workgroup> outgrown: array<atomic<u32>, 1>;
var<workgroup> spoiled: array<atomic<u32>, 1>;
var<workgroup> spoiledKeys: array<atomic<u32>, 64>;
var<workgroup> spoiledRows: array<atomic<u32>, 128>;

const LOG2_E = 1.4426950408889634;
const LN_2 = 0.6931471805599453;
// GPUs may assume that no number is infinite: a hidden pair's score is far below every other.
const HIDDEN = -1e30;

const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;

fn queryOctet(row: u32, d: u32) -> vec4<u32> { return query[row * 8u + d]; }

fn queryWord(row: u32, d: u32) -> vec4<u32> {
  return queryOctet(row, d);
}

fn keyOctet(row: u32, d: u32) -> vec4<u32> { return key[row * 8u + d]; }

fn keyWord(row: u32, d: u32) -> vec4<u32> {
  return keyOctet(row, d);
}

fn valueOctet(row: u32, d: u32) -> vec4<u32> { return value[row * 8u + d]; }

fn valueWord(row: u32, d: u32) -> vec4<u32> {
  return valueOctet(row, d);
}

fn queryToken(tile: Located, row: u32) -> i32 { return queryTokens[row]; }

fn stageQueries(tile: Located, lane: u32) {
  // a negative scale turns the queries' signs, so that the softmax may take the scale to be positive
  let signs = select(0u, 0x80008000u, shape.scale < 0.0);
  for (var n = 0u; n < 4u; n++) {
    let i = lane + n * THREADS;
    if (i < 512u) {
      let row = i / 8u;
      let token = queryToken(tile, row);
      var numbers = vec4<u32>();
      if (token >= 0) { numbers = queryWord(tile.queryRow + u32(token), i % 8u) ^ vec4<u32>(signs); }
      tileMemory[row * 9u + i % 8u] = numbers;
    }
  }
}

fn outputStore(row: u32, d: u32, numbers: vec4<f32>) {
  output[row * 16u + d] = vec2<u32>(pack2x16float(numbers.xy), pack2x16float(numbers.zw));
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
  let token = plan[slot];
  return select(i32(token), ABSENT, token == NO_TOKEN);
}

fn resolveQueries(tile: Located, lane: u32) {
  for (var i = lane; i < QUERY_TILE; i += THREADS) {
    let slot = tile.firstSlot + i;
    queryTokens[i] = ABSENT;
    if (slot < tile.endSlot) { queryTokens[i] = queryInOrder(slot); }
  }
}

fn rowAt(at: u32) -> u32 { return plan[shape.rowsAt + at]; }
fn blockAt(at: u32) -> u32 { return plan[shape.blocksAt + at]; }

fn keyInOrder(slot: u32) -> i32 {
  let token = plan[shape.keyOrderAt + slot];
  return select(i32(token), ABSENT, token == NO_TOKEN);
}

fn keyCount(tile: Located) -> u32 { return rowAt(2u * tile.row + 1u) * shape.keyBlock; }

fn keyToken(tile: Located, slot: u32) -> i32 {
  let entry = blockAt(rowAt(2u * tile.row) + slot / shape.keyBlock);
  let place = (entry & 0x7fffffffu) * shape.keyBlock + slot % shape.keyBlock;
  if (place >= shape.keySlots) { return ABSENT; }
  let token = keyInOrder(place);
  return select(token, token | FULL, token >= 0 && (entry >> 31u) == 1u);
}

fn isFull(token: i32) -> bool { return token >= FULL; }

fn keep(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> bool {
  let t0 = (query - key);
  let t1 = abs(t0);
  let t2 = (t1 < i32(64));
  return t2;
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

fn keyOrAbsent(tile: Located, slot: u32, count: u32) -> i32 {
  if (slot < count) { return keyToken(tile, slot); }
  return ABSENT;
}

fn blockMark(tile: Located, slot: u32) -> i32 {
  return select(0, FULL, (blockAt(rowAt(2u * tile.row) + slot / shape.keyBlock) >> 31u) == 1u);
}

fn finishScores(tile: Located, start: u32, count: u32, firstToken: i32, tokensAt: u32, row: u32, firstVector: u32) {
  let query = queryToken(tile, row);
  let querySlot = i32(tile.firstSlot - tile.block * shape.queryBlock + row);
  let turn = select(1.0, -1.0, shape.scale < 0.0);
  for (var v = 0u; v < 4u; v++) {
    let at = SCORES_AT + row * 9u + firstVector + v;
    let key = 4u * (firstVector + v);
    let keys = vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u);
    let s = turn * bitcast<vec4<f32>>(tileMemory[at]);
    tileMemory[at] = bitcast<vec4<u32>>(vec4<f32>(
      finishPair(tile, query, querySlot, keyTokens[tokensAt + key], start + key, s.x),
      finishPair(tile, query, querySlot, keyTokens[tokensAt + key + 1u], start + key + 1u, s.y),
      finishPair(tile, query, querySlot, keyTokens[tokensAt + key + 2u], start + key + 2u, s.z),
      finishPair(tile, query, querySlot, keyTokens[tokensAt + key + 3u], start + key + 3u, s.w),
    ));
  }
}

const LOWEST = -1e25;
const MOST = 32768.0;
const FIRST = 0u;
const MAXIMA = 1u;
const EXACT = 2u;
var<private> base = -1e30;
var<private> sum = 0.0;

fn weigh(tile: Located, start: u32, count: u32, firstToken: i32, tokensAt: u32, plain: bool, row: u32, part: u32, mode: u32) {
  let at = SCORES_AT + row * 9u + part * 4u;
  if (!plain) { finishScores(tile, start, count, firstToken, tokensAt, row, part * 4u); }
  let factor = select(1.0, abs(shape.scale) * LOG2_E, plain);
  let s0 = bitcast<vec4<f32>>(tileMemory[at + 0u]);
  let s1 = bitcast<vec4<f32>>(tileMemory[at + 1u]);
  let s2 = bitcast<vec4<f32>>(tileMemory[at + 2u]);
  let s3 = bitcast<vec4<f32>>(tileMemory[at + 3u]);
  if (mode == MAXIMA || (mode == FIRST && subgroupAny(base < LOWEST))) {
    let largest = max(max(s0, s1), max(s2, s3));
    var highest = max(max(largest.x, largest.y), max(largest.z, largest.w)) * factor;
    highest = max(highest, subgroupShuffleXor(highest, 1u));
    if (mode == MAXIMA) {
      base = max(base, highest);
      return;
    }
    if (base < LOWEST && highest > LOWEST) { base = highest; }
  }
  let minus = vec4<f32>(-max(base, LOWEST));
  let factors = vec4<f32>(factor);
  let p0 = exp2(fma(s0, factors, minus));
  let p1 = exp2(fma(s1, factors, minus));
  let p2 = exp2(fma(s2, factors, minus));
  let p3 = exp2(fma(s3, factors, minus));
  let totals = p0 + p1 + p2 + p3;
  let total = (totals.x + totals.y) + (totals.z + totals.w);
  if (total > MOST) { atomicStore(&outgrown[0], 1u); }
  sum += total;
  tileMemory[WEIGHTS_AT + row * 9u + part * 4u + 0u] = vec4<u32>(pack2x16float(p0.xy), pack2x16float(p0.zw), pack2x16float(p1.xy), pack2x16float(p1.zw));
  tileMemory[WEIGHTS_AT + row * 9u + part * 4u + 1u] = vec4<u32>(pack2x16float(p2.xy), pack2x16float(p2.zw), pack2x16float(p3.xy), pack2x16float(p3.zw));
}

fn finite(key: u32, d: u32, word: vec4<u32>, start: u32) -> vec4<u32> {
  let low = (word & vec4<u32>(0x7c00u)) == vec4<u32>(0x7c00u);
  let high = (word & vec4<u32>(0x7c000000u)) == vec4<u32>(0x7c000000u);
  if (!any(low) && !any(high)) { return word; }
  var bits = 0u;
  for (var i = 0u; i < 4u; i++) { bits |= (u32(low[i]) | (u32(high[i]) << 1u)) << (2u * i); }
  atomicOr(&spoiledKeys[key * 2u + d / 4u], bits << (8u * (d % 4u)));
  atomicStore(&spoiled[0], start / KEY_TILE + 1u);
  return word & (select(vec4<u32>(0xffffu), vec4<u32>(), low) | select(vec4<u32>(0xffff0000u), vec4<u32>(), high));
}

fn spoilRow(start: u32, row: u32, part: u32) {
  if (atomicLoad(&spoiled[0]) != start / KEY_TILE + 1u) { return; }
  for (var i = 0u; i < 16u; i++) {
    let word = tileMemory[WEIGHTS_AT + row * 9u + part * 4u + i / 8u];
    if (((word[(i % 8u) / 2u] >> (16u * (i % 2u))) & 0xffffu) == 0u) { continue; }
    for (var m = 0u; m < 2u; m++) {
      atomicOr(&spoiledRows[row * 2u + m], atomicLoad(&spoiledKeys[(part * 16u + i) * 2u + m]));
    }
  }
}

fn clearSpoiled(lane: u32) {
  for (var i = lane; i < 64u; i += THREADS) { atomicStore(&spoiledKeys[i], 0u); }
}

fn spoiledNumbers(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> {
  let bits = vec4<u32>(atomicLoad(&spoiledRows[row * 2u + min(d / 8u, 1u)])) >> (vec4<u32>(4u * (d % 8u)) + vec4<u32>(0u, 1u, 2u, 3u));
  return bitcast<vec4<f32>>(select(bitcast<vec4<u32>>(numbers), vec4<u32>(NOT_A_NUMBER), (bits & vec4<u32>(1u)) == vec4<u32>(1u)));
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

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let workgroup = shape.firstGroup + group.x + group.y * groups.x;
  if (workgroup >= shape.endGroup) { return; }
  let subgroupAt = min(subgroup, SUBGROUPS - 1u);
  let firstRow = subgroupAt / 2u * 32u;
  let firstKey = subgroupAt % 2u * 16u;
  let firstChannel = subgroupAt % 2u * 32u;
  let row = lane / 2u;
  let part = lane % 2u;
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  workgroupBarrier();
  stageQueries(tile, lane);
  workgroupBarrier();
  let q0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 9u + 0u, 9u);
  let q0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 9u + 2u, 9u);
  let q0_2 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 9u + 4u, 9u);
  let q0_3 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 9u + 6u, 9u);
  let q1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 16u) * 9u + 0u, 9u);
  let q1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 16u) * 9u + 2u, 9u);
  let q1_2 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 16u) * 9u + 4u, 9u);
  let q1_3 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 16u) * 9u + 6u, 9u);
  workgroupBarrier();
  var o0_0 = subgroup_matrix_result<f32, 16, 16>();
  var o0_1 = subgroup_matrix_result<f32, 16, 16>();
  var o1_0 = subgroup_matrix_result<f32, 16, 16>();
  var o1_1 = subgroup_matrix_result<f32, 16, 16>();
  var keyWords0: vec4<u32>;
  var keyWords1: vec4<u32>;
  var valueWords0: vec4<u32>;
  var valueWords1: vec4<u32>;
  // lists are read a tile ahead of the keys that they name
  var thisToken = 0;
  var nextToken = 0;
  var mode = FIRST;
  loop {
    {
      workgroupBarrier();
      if (lane < KEY_TILE) { keyTokens[lane] = keyOrAbsent(tile, lane, count); }
      workgroupBarrier();
      thisToken = blockMark(tile, min(0u, max(count, 1u) - 1u));
      nextToken = blockMark(tile, min(KEY_TILE, max(count, 1u) - 1u));
      keyWords0 = vec4<u32>();
      if (0u + (lane + 0u) / 8u < count) {
        let token = keyTokens[0u + (lane + 0u) / 8u];
        if (token >= 0) { keyWords0 = keyWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 0u) % 8u); }
      }
      keyWords1 = vec4<u32>();
      if (0u + (lane + 128u) / 8u < count) {
        let token = keyTokens[0u + (lane + 128u) / 8u];
        if (token >= 0) { keyWords1 = keyWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 128u) % 8u); }
      }
      tileMemory[0u + ((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = keyWords0;
      tileMemory[0u + ((lane + 128u) / 8u) * 9u + (lane + 128u) % 8u] = keyWords1;
    }
    var start = 0u;
    for (; start < count; start += KEY_TILE) {
      let firstToken = thisToken;
      let tokenAfter = blockMark(tile, min(start + 2u * KEY_TILE, max(count, 1u) - 1u));
      let tokensAt = start % (2u * KEY_TILE);
      if (!(start + KEY_TILE <= count && firstToken >= FULL)) { break; }
      let plain = true;
      workgroupBarrier();
      var tokenOfNext = ABSENT;
      if (lane < KEY_TILE) { tokenOfNext = keyOrAbsent(tile, start + KEY_TILE + lane, count); }

      valueWords0 = vec4<u32>();
      if (start + (lane + 0u) / 8u < count) {
        let token = keyTokens[tokensAt + (lane + 0u) / 8u];
        if (token >= 0) { valueWords0 = valueWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 0u) % 8u); }
      }
      valueWords1 = vec4<u32>();
      if (start + (lane + 128u) / 8u < count) {
        let token = keyTokens[tokensAt + (lane + 128u) / 8u];
        if (token >= 0) { valueWords1 = valueWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 128u) % 8u); }
      }
      {
        var s0_0 = subgroup_matrix_result<f32, 16, 16>();
        var s1_0 = subgroup_matrix_result<f32, 16, 16>();
        let k0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 9u + 0u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_0, k0_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(q1_0, k0_0, s1_0);
        let k1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 9u + 2u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_1, k1_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(q1_1, k1_0, s1_0);
        let k2_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 9u + 4u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_2, k2_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(q1_2, k2_0, s1_0);
        let k3_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 9u + 6u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_3, k3_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(q1_3, k3_0, s1_0);
        subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, s0_0, 9u);
        subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 16u) * 9u + firstKey / 4u + 0u, s1_0, 9u);
      }
      workgroupBarrier();
      weigh(tile, start, count, firstToken, tokensAt, plain, row, part, mode);
      tileMemory[288u + ((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = valueWords0;
      tileMemory[288u + ((lane + 128u) / 8u) * 9u + (lane + 128u) % 8u] = valueWords1;
      if (lane < KEY_TILE) { keyTokens[KEY_TILE - tokensAt + lane] = tokenOfNext; }
      workgroupBarrier();
      keyWords0 = vec4<u32>();
      if (start + KEY_TILE + (lane + 0u) / 8u < count) {
        let token = keyTokens[KEY_TILE - tokensAt + (lane + 0u) / 8u];
        if (token >= 0) { keyWords0 = keyWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 0u) % 8u); }
      }
      keyWords1 = vec4<u32>();
      if (start + KEY_TILE + (lane + 128u) / 8u < count) {
        let token = keyTokens[KEY_TILE - tokensAt + (lane + 128u) / 8u];
        if (token >= 0) { keyWords1 = keyWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 128u) % 8u); }
      }
      if (mode != MAXIMA) {

        let p0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 0u) * 9u + 0u, 9u);
        let p1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 16u) * 9u + 0u, 9u);
        let v0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 0u + firstChannel / 8u, 9u);
        o0_0 = subgroupMatrixMultiplyAccumulate(p0_0, v0_0, o0_0);
        o1_0 = subgroupMatrixMultiplyAccumulate(p1_0, v0_0, o1_0);
        let v0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 2u + firstChannel / 8u, 9u);
        o0_1 = subgroupMatrixMultiplyAccumulate(p0_0, v0_1, o0_1);
        o1_1 = subgroupMatrixMultiplyAccumulate(p1_0, v0_1, o1_1);
        let p0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 0u) * 9u + 4u, 9u);
        let p1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 16u) * 9u + 4u, 9u);
        let v1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 144u + firstChannel / 8u, 9u);
        o0_0 = subgroupMatrixMultiplyAccumulate(p0_1, v1_0, o0_0);
        o1_0 = subgroupMatrixMultiplyAccumulate(p1_1, v1_0, o1_0);
        let v1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 146u + firstChannel / 8u, 9u);
        o0_1 = subgroupMatrixMultiplyAccumulate(p0_1, v1_1, o0_1);
        o1_1 = subgroupMatrixMultiplyAccumulate(p1_1, v1_1, o1_1);
      }
      tileMemory[0u + ((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = keyWords0;
      tileMemory[0u + ((lane + 128u) / 8u) * 9u + (lane + 128u) % 8u] = keyWords1;
      thisToken = nextToken;
      nextToken = tokenAfter;
      // a row that has outgrown its base makes the rest of a first attempt useless
      if (mode == FIRST && (start / KEY_TILE) % 16u == 15u) {
        if (workgroupUniformLoad(&outgrown[0]) != 0u) { break; }
      }
    }
    for (var start = start; start < count; start += KEY_TILE) {
      let firstToken = thisToken;
      let tokenAfter = blockMark(tile, min(start + 2u * KEY_TILE, max(count, 1u) - 1u));
      let tokensAt = start % (2u * KEY_TILE);
      let plain = start + KEY_TILE <= count && firstToken >= FULL;
      workgroupBarrier();
      var tokenOfNext = ABSENT;
      if (lane < KEY_TILE) { tokenOfNext = keyOrAbsent(tile, start + KEY_TILE + lane, count); }
      if (!plain) { clearSpoiled(lane); }
      valueWords0 = vec4<u32>();
      if (start + (lane + 0u) / 8u < count) {
        let token = keyTokens[tokensAt + (lane + 0u) / 8u];
        if (token >= 0) { valueWords0 = valueWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 0u) % 8u); }
      }
      valueWords1 = vec4<u32>();
      if (start + (lane + 128u) / 8u < count) {
        let token = keyTokens[tokensAt + (lane + 128u) / 8u];
        if (token >= 0) { valueWords1 = valueWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 128u) % 8u); }
      }
      {
        var s0_0 = subgroup_matrix_result<f32, 16, 16>();
        var s1_0 = subgroup_matrix_result<f32, 16, 16>();
        let k0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 9u + 0u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_0, k0_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(q1_0, k0_0, s1_0);
        let k1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 9u + 2u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_1, k1_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(q1_1, k1_0, s1_0);
        let k2_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 9u + 4u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_2, k2_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(q1_2, k2_0, s1_0);
        let k3_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 9u + 6u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_3, k3_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(q1_3, k3_0, s1_0);
        subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, s0_0, 9u);
        subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 16u) * 9u + firstKey / 4u + 0u, s1_0, 9u);
      }
      workgroupBarrier();
      weigh(tile, start, count, firstToken, tokensAt, plain, row, part, mode);
      if (plain) {
      tileMemory[288u + ((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = valueWords0;
      tileMemory[288u + ((lane + 128u) / 8u) * 9u + (lane + 128u) % 8u] = valueWords1;
      } else {
      tileMemory[288u + ((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = finite((lane + 0u) / 8u, (lane + 0u) % 8u, valueWords0, start);
      tileMemory[288u + ((lane + 128u) / 8u) * 9u + (lane + 128u) % 8u] = finite((lane + 128u) / 8u, (lane + 128u) % 8u, valueWords1, start);
      }
      if (lane < KEY_TILE) { keyTokens[KEY_TILE - tokensAt + lane] = tokenOfNext; }
      workgroupBarrier();
      keyWords0 = vec4<u32>();
      if (start + KEY_TILE + (lane + 0u) / 8u < count) {
        let token = keyTokens[KEY_TILE - tokensAt + (lane + 0u) / 8u];
        if (token >= 0) { keyWords0 = keyWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 0u) % 8u); }
      }
      keyWords1 = vec4<u32>();
      if (start + KEY_TILE + (lane + 128u) / 8u < count) {
        let token = keyTokens[KEY_TILE - tokensAt + (lane + 128u) / 8u];
        if (token >= 0) { keyWords1 = keyWord(tile.keyRow + u32(token & TOKEN_BITS), (lane + 128u) % 8u); }
      }
      if (mode != MAXIMA) {
        if (!plain) { spoilRow(start, row, part); }
        let p0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 0u) * 9u + 0u, 9u);
        let p1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 16u) * 9u + 0u, 9u);
        let v0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 0u + firstChannel / 8u, 9u);
        o0_0 = subgroupMatrixMultiplyAccumulate(p0_0, v0_0, o0_0);
        o1_0 = subgroupMatrixMultiplyAccumulate(p1_0, v0_0, o1_0);
        let v0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 2u + firstChannel / 8u, 9u);
        o0_1 = subgroupMatrixMultiplyAccumulate(p0_0, v0_1, o0_1);
        o1_1 = subgroupMatrixMultiplyAccumulate(p1_0, v0_1, o1_1);
        let p0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 0u) * 9u + 4u, 9u);
        let p1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 16u) * 9u + 4u, 9u);
        let v1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 144u + firstChannel / 8u, 9u);
        o0_0 = subgroupMatrixMultiplyAccumulate(p0_1, v1_0, o0_0);
        o1_0 = subgroupMatrixMultiplyAccumulate(p1_1, v1_0, o1_0);
        let v1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 146u + firstChannel / 8u, 9u);
        o0_1 = subgroupMatrixMultiplyAccumulate(p0_1, v1_1, o0_1);
        o1_1 = subgroupMatrixMultiplyAccumulate(p1_1, v1_1, o1_1);
      }
      tileMemory[0u + ((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = keyWords0;
      tileMemory[0u + ((lane + 128u) / 8u) * 9u + (lane + 128u) % 8u] = keyWords1;
      thisToken = nextToken;
      nextToken = tokenAfter;
      // a row that has outgrown its base makes the rest of a first attempt useless
      if (mode == FIRST && (start / KEY_TILE) % 16u == 15u) {
        if (workgroupUniformLoad(&outgrown[0]) != 0u) { break; }
      }
    }
    if (mode == EXACT) { break; }
    if (mode == FIRST) {
      if (workgroupUniformLoad(&outgrown[0]) == 0u) { break; }
      base = -1e30;
      sum = 0.0;
      o0_0 = subgroup_matrix_result<f32, 16, 16>();
      o0_1 = subgroup_matrix_result<f32, 16, 16>();
      o1_0 = subgroup_matrix_result<f32, 16, 16>();
      o1_1 = subgroup_matrix_result<f32, 16, 16>();
    }
    mode++;
  }
  sum += subgroupShuffleXor(sum, 1u);
  let token = queryToken(tile, row);
  let empty = base < LOWEST;
  let inverse = select(1.0 / sum, 0.0, empty);
  if (token >= 0 && part == 0u) { logSumExp[tile.queryRow + u32(token)] = sumBits(base, sum, empty); }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_0, 9u);
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 16u) * 9u + firstKey / 4u + 0u, o1_0, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 2u) {
      let column = i / 4u;
      let d = column * 8u + 0u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_1, 9u);
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 16u) * 9u + firstKey / 4u + 0u, o1_1, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 2u) {
      let column = i / 4u;
      let d = column * 8u + 4u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
}
