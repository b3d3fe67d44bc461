// softmax-forward-matrix: 48132 bytes of workgroup memory, 256 threads

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
const THREADS = 256u;
const SUBGROUPS = 8u;
const VALUE_VECTORS = 64u;
const VALUES_AT = 1056u;
const SCORES_AT = 2112u;
const WEIGHTS_AT = 2688u;
const NO_TOKEN = 4294967295u;
const MINUS_INFINITY = 4286578688u;
const NOT_A_NUMBER = 2143289344u;
const HIDDEN_BITS = 4020342536u;
const LEAST_BITS = 34086122u;

var<workgroup> tileMemory: array<vec4<u32>, 3008>;
var<workgroup> outgrown: array<atomic<u32>, 1>;

const LOG2_E = 1.4426950408889634;
const LN_2 = 0.6931471805599453;
// GPUs may assume that no number is infinite: a hidden pair's score is far below every other.
const HIDDEN = -1e30;

const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;

fn queryOctet(row: u32, d: u32) -> vec4<u32> { return query[row * 32u + d]; }

fn queryWord(row: u32, d: u32) -> vec4<u32> {
  return queryOctet(row, d);
}

fn keyOctet(row: u32, d: u32) -> vec4<u32> { return key[row * 32u + d]; }

fn keyWord(row: u32, d: u32) -> vec4<u32> {
  return keyOctet(row, d);
}

fn valueOctet(row: u32, d: u32) -> vec4<u32> { return value[row * 32u + d]; }

fn valueWord(row: u32, d: u32) -> vec4<u32> {
  return valueOctet(row, d);
}

fn queryToken(tile: Located, row: u32) -> i32 {
  let slot = tile.firstSlot + row;
  return select(ABSENT, i32(slot), slot < tile.endSlot);
}

fn stageQueries(tile: Located, lane: u32) {
  // a negative scale turns the queries' signs, so that the softmax may take the scale to be positive
  let signs = select(0u, 0x80008000u, shape.scale < 0.0);
  for (var n = 0u; n < 8u; n++) {
    let i = lane + n * THREADS;
    if (i < 2048u) {
      let row = i / 32u;
      let token = queryToken(tile, row);
      var numbers = vec4<u32>();
      if (token >= 0) { numbers = queryWord(tile.queryRow + u32(token), i % 32u) ^ vec4<u32>(signs); }
      tileMemory[row * 33u + i % 32u] = numbers;
    }
  }
}

fn outputStore(row: u32, d: u32, numbers: vec4<f32>) {
  output[row * 64u + d] = vec2<u32>(pack2x16float(numbers.xy), pack2x16float(numbers.zw));
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

fn keyCount(tile: Located) -> u32 { return shape.keyTokens; }

fn keyToken(tile: Located, slot: u32) -> i32 { return i32(slot); }

fn finishScores(tile: Located, start: u32, count: u32, firstToken: i32, tokensAt: u32, row: u32, firstVector: u32) {
  for (var v = 0u; v < 2u; v++) {
    let at = SCORES_AT + row * 9u + firstVector + v;
    let key = 4u * (firstVector + v);
    let keys = vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u);
    tileMemory[at] = select(bitcast<vec4<u32>>(vec4<f32>(HIDDEN)), tileMemory[at], keys < vec4<u32>(count - start));
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
  let at = SCORES_AT + row * 9u + part * 2u;
  if (!plain) { finishScores(tile, start, count, firstToken, tokensAt, row, part * 2u); }
  let factor = abs(shape.scale) * LOG2_E;
  let s0 = bitcast<vec4<f32>>(tileMemory[at + 0u]);
  let s1 = bitcast<vec4<f32>>(tileMemory[at + 1u]);
  if (mode == MAXIMA || (mode == FIRST && subgroupAny(base < LOWEST))) {
    let largest = max(s0, s1);
    var highest = max(max(largest.x, largest.y), max(largest.z, largest.w)) * factor;
    highest = max(highest, subgroupShuffleXor(highest, 1u));
    highest = max(highest, subgroupShuffleXor(highest, 2u));
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
  let totals = p0 + p1;
  let total = (totals.x + totals.y) + (totals.z + totals.w);
  if (total > MOST) { atomicStore(&outgrown[0], 1u); }
  sum += total;
  tileMemory[WEIGHTS_AT + row * 5u + part * 1u + 0u] = vec4<u32>(pack2x16float(p0.xy), pack2x16float(p0.zw), pack2x16float(p1.xy), pack2x16float(p1.zw));
}

fn spoiledNumbers(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }

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
  @builtin(subgroup_id) subgroup: u32,
) {
  let workgroup = shape.firstGroup + group.x + group.y * groups.x;
  if (workgroup >= shape.endGroup) { return; }
  let subgroupAt = min(subgroup, SUBGROUPS - 1u);
  let firstRow = subgroupAt / 2u * 16u;
  let firstKey = subgroupAt % 2u * 16u;
  let firstChannel = subgroupAt % 2u * 128u;
  let row = lane / 4u;
  let part = lane % 4u;
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  stageQueries(tile, lane);
  workgroupBarrier();
  let q0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 0u, 33u);
  let q0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 2u, 33u);
  let q0_2 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 4u, 33u);
  let q0_3 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 6u, 33u);
  let q0_4 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 8u, 33u);
  let q0_5 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 10u, 33u);
  let q0_6 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 12u, 33u);
  let q0_7 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 14u, 33u);
  let q0_8 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 16u, 33u);
  let q0_9 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 18u, 33u);
  let q0_10 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 20u, 33u);
  let q0_11 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 22u, 33u);
  let q0_12 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 24u, 33u);
  let q0_13 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 26u, 33u);
  let q0_14 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 28u, 33u);
  let q0_15 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, (firstRow + 0u) * 33u + 30u, 33u);
  workgroupBarrier();
  var o0_0 = subgroup_matrix_result<f32, 16, 16>();
  var o0_1 = subgroup_matrix_result<f32, 16, 16>();
  var o0_2 = subgroup_matrix_result<f32, 16, 16>();
  var o0_3 = subgroup_matrix_result<f32, 16, 16>();
  var o0_4 = subgroup_matrix_result<f32, 16, 16>();
  var o0_5 = subgroup_matrix_result<f32, 16, 16>();
  var o0_6 = subgroup_matrix_result<f32, 16, 16>();
  var o0_7 = subgroup_matrix_result<f32, 16, 16>();
  var keyWords0: vec4<u32>;
  var keyWords1: vec4<u32>;
  var keyWords2: vec4<u32>;
  var keyWords3: vec4<u32>;
  var valueWords0: vec4<u32>;
  var valueWords1: vec4<u32>;
  var valueWords2: vec4<u32>;
  var valueWords3: vec4<u32>;
  // lists are read a tile ahead of the keys that they name
  var thisToken = 0;
  var nextToken = 0;
  var mode = FIRST;
  loop {
    {

      thisToken = keyToken(tile, min(0u, max(count, 1u) - 1u));
      nextToken = keyToken(tile, min(KEY_TILE, max(count, 1u) - 1u));
      keyWords0 = vec4<u32>();
      if (0u + (lane + 0u) / 32u < count) { keyWords0 = keyWord(tile.keyRow + u32(thisToken & TOKEN_BITS) + (lane + 0u) / 32u, (lane + 0u) % 32u); }
      keyWords1 = vec4<u32>();
      if (0u + (lane + 256u) / 32u < count) { keyWords1 = keyWord(tile.keyRow + u32(thisToken & TOKEN_BITS) + (lane + 256u) / 32u, (lane + 256u) % 32u); }
      keyWords2 = vec4<u32>();
      if (0u + (lane + 512u) / 32u < count) { keyWords2 = keyWord(tile.keyRow + u32(thisToken & TOKEN_BITS) + (lane + 512u) / 32u, (lane + 512u) % 32u); }
      keyWords3 = vec4<u32>();
      if (0u + (lane + 768u) / 32u < count) { keyWords3 = keyWord(tile.keyRow + u32(thisToken & TOKEN_BITS) + (lane + 768u) / 32u, (lane + 768u) % 32u); }
      tileMemory[0u + ((lane + 0u) / 32u) * 33u + (lane + 0u) % 32u] = keyWords0;
      tileMemory[0u + ((lane + 256u) / 32u) * 33u + (lane + 256u) % 32u] = keyWords1;
      tileMemory[0u + ((lane + 512u) / 32u) * 33u + (lane + 512u) % 32u] = keyWords2;
      tileMemory[0u + ((lane + 768u) / 32u) * 33u + (lane + 768u) % 32u] = keyWords3;
    }
    for (var start = 0u; start < count; start += KEY_TILE) {
      let firstToken = thisToken;
      let tokenAfter = keyToken(tile, min(start + 2u * KEY_TILE, max(count, 1u) - 1u));
      let tokensAt = start % (2u * KEY_TILE);
      let plain = start + KEY_TILE <= count;
      workgroupBarrier();


      valueWords0 = vec4<u32>();
      if (start + (lane + 0u) / 32u < count) { valueWords0 = valueWord(tile.keyRow + u32(firstToken & TOKEN_BITS) + (lane + 0u) / 32u, (lane + 0u) % 32u); }
      valueWords1 = vec4<u32>();
      if (start + (lane + 256u) / 32u < count) { valueWords1 = valueWord(tile.keyRow + u32(firstToken & TOKEN_BITS) + (lane + 256u) / 32u, (lane + 256u) % 32u); }
      valueWords2 = vec4<u32>();
      if (start + (lane + 512u) / 32u < count) { valueWords2 = valueWord(tile.keyRow + u32(firstToken & TOKEN_BITS) + (lane + 512u) / 32u, (lane + 512u) % 32u); }
      valueWords3 = vec4<u32>();
      if (start + (lane + 768u) / 32u < count) { valueWords3 = valueWord(tile.keyRow + u32(firstToken & TOKEN_BITS) + (lane + 768u) / 32u, (lane + 768u) % 32u); }
      {
        var s0_0 = subgroup_matrix_result<f32, 16, 16>();
        let k0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 0u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_0, k0_0, s0_0);
        let k1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 2u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_1, k1_0, s0_0);
        let k2_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 4u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_2, k2_0, s0_0);
        let k3_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 6u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_3, k3_0, s0_0);
        let k4_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 8u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_4, k4_0, s0_0);
        let k5_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 10u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_5, k5_0, s0_0);
        let k6_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 12u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_6, k6_0, s0_0);
        let k7_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 14u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_7, k7_0, s0_0);
        let k8_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 16u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_8, k8_0, s0_0);
        let k9_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 18u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_9, k9_0, s0_0);
        let k10_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 20u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_10, k10_0, s0_0);
        let k11_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 22u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_11, k11_0, s0_0);
        let k12_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 24u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_12, k12_0, s0_0);
        let k13_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 26u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_13, k13_0, s0_0);
        let k14_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 28u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_14, k14_0, s0_0);
        let k15_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, (firstKey + 0u) * 33u + 30u, 33u);
        s0_0 = subgroupMatrixMultiplyAccumulate(q0_15, k15_0, s0_0);
        subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, s0_0, 9u);
      }
      workgroupBarrier();
      weigh(tile, start, count, firstToken, tokensAt, plain, row, part, mode);
      tileMemory[1056u + ((lane + 0u) / 32u) * 33u + (lane + 0u) % 32u] = valueWords0;
      tileMemory[1056u + ((lane + 256u) / 32u) * 33u + (lane + 256u) % 32u] = valueWords1;
      tileMemory[1056u + ((lane + 512u) / 32u) * 33u + (lane + 512u) % 32u] = valueWords2;
      tileMemory[1056u + ((lane + 768u) / 32u) * 33u + (lane + 768u) % 32u] = valueWords3;

      workgroupBarrier();
      keyWords0 = vec4<u32>();
      if (start + KEY_TILE + (lane + 0u) / 32u < count) { keyWords0 = keyWord(tile.keyRow + u32(nextToken & TOKEN_BITS) + (lane + 0u) / 32u, (lane + 0u) % 32u); }
      keyWords1 = vec4<u32>();
      if (start + KEY_TILE + (lane + 256u) / 32u < count) { keyWords1 = keyWord(tile.keyRow + u32(nextToken & TOKEN_BITS) + (lane + 256u) / 32u, (lane + 256u) % 32u); }
      keyWords2 = vec4<u32>();
      if (start + KEY_TILE + (lane + 512u) / 32u < count) { keyWords2 = keyWord(tile.keyRow + u32(nextToken & TOKEN_BITS) + (lane + 512u) / 32u, (lane + 512u) % 32u); }
      keyWords3 = vec4<u32>();
      if (start + KEY_TILE + (lane + 768u) / 32u < count) { keyWords3 = keyWord(tile.keyRow + u32(nextToken & TOKEN_BITS) + (lane + 768u) / 32u, (lane + 768u) % 32u); }
      if (mode != MAXIMA) {

        let p0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 0u) * 5u + 0u, 5u);
        let v0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 0u + firstChannel / 8u, 33u);
        o0_0 = subgroupMatrixMultiplyAccumulate(p0_0, v0_0, o0_0);
        let v0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 2u + firstChannel / 8u, 33u);
        o0_1 = subgroupMatrixMultiplyAccumulate(p0_0, v0_1, o0_1);
        let v0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 4u + firstChannel / 8u, 33u);
        o0_2 = subgroupMatrixMultiplyAccumulate(p0_0, v0_2, o0_2);
        let v0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 6u + firstChannel / 8u, 33u);
        o0_3 = subgroupMatrixMultiplyAccumulate(p0_0, v0_3, o0_3);
        let v0_4 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 8u + firstChannel / 8u, 33u);
        o0_4 = subgroupMatrixMultiplyAccumulate(p0_0, v0_4, o0_4);
        let v0_5 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 10u + firstChannel / 8u, 33u);
        o0_5 = subgroupMatrixMultiplyAccumulate(p0_0, v0_5, o0_5);
        let v0_6 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 12u + firstChannel / 8u, 33u);
        o0_6 = subgroupMatrixMultiplyAccumulate(p0_0, v0_6, o0_6);
        let v0_7 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 14u + firstChannel / 8u, 33u);
        o0_7 = subgroupMatrixMultiplyAccumulate(p0_0, v0_7, o0_7);
        let p0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, WEIGHTS_AT + (firstRow + 0u) * 5u + 2u, 5u);
        let v1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 528u + firstChannel / 8u, 33u);
        o0_0 = subgroupMatrixMultiplyAccumulate(p0_1, v1_0, o0_0);
        let v1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 530u + firstChannel / 8u, 33u);
        o0_1 = subgroupMatrixMultiplyAccumulate(p0_1, v1_1, o0_1);
        let v1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 532u + firstChannel / 8u, 33u);
        o0_2 = subgroupMatrixMultiplyAccumulate(p0_1, v1_2, o0_2);
        let v1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 534u + firstChannel / 8u, 33u);
        o0_3 = subgroupMatrixMultiplyAccumulate(p0_1, v1_3, o0_3);
        let v1_4 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 536u + firstChannel / 8u, 33u);
        o0_4 = subgroupMatrixMultiplyAccumulate(p0_1, v1_4, o0_4);
        let v1_5 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 538u + firstChannel / 8u, 33u);
        o0_5 = subgroupMatrixMultiplyAccumulate(p0_1, v1_5, o0_5);
        let v1_6 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 540u + firstChannel / 8u, 33u);
        o0_6 = subgroupMatrixMultiplyAccumulate(p0_1, v1_6, o0_6);
        let v1_7 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, VALUES_AT + 542u + firstChannel / 8u, 33u);
        o0_7 = subgroupMatrixMultiplyAccumulate(p0_1, v1_7, o0_7);
      }
      tileMemory[0u + ((lane + 0u) / 32u) * 33u + (lane + 0u) % 32u] = keyWords0;
      tileMemory[0u + ((lane + 256u) / 32u) * 33u + (lane + 256u) % 32u] = keyWords1;
      tileMemory[0u + ((lane + 512u) / 32u) * 33u + (lane + 512u) % 32u] = keyWords2;
      tileMemory[0u + ((lane + 768u) / 32u) * 33u + (lane + 768u) % 32u] = keyWords3;
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
      o0_2 = subgroup_matrix_result<f32, 16, 16>();
      o0_3 = subgroup_matrix_result<f32, 16, 16>();
      o0_4 = subgroup_matrix_result<f32, 16, 16>();
      o0_5 = subgroup_matrix_result<f32, 16, 16>();
      o0_6 = subgroup_matrix_result<f32, 16, 16>();
      o0_7 = subgroup_matrix_result<f32, 16, 16>();
    }
    mode++;
  }
  sum += subgroupShuffleXor(sum, 1u);
  sum += subgroupShuffleXor(sum, 2u);
  let token = queryToken(tile, row);
  let empty = base < LOWEST;
  let inverse = select(1.0 / sum, 0.0, empty);
  if (token >= 0 && part == 0u) { logSumExp[tile.queryRow + u32(token)] = sumBits(base, sum, empty); }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_0, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 4u) {
      let column = i / 4u;
      let d = column * 32u + 0u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_1, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 4u) {
      let column = i / 4u;
      let d = column * 32u + 4u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_2, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 4u) {
      let column = i / 4u;
      let d = column * 32u + 8u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_3, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 4u) {
      let column = i / 4u;
      let d = column * 32u + 12u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_4, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 4u) {
      let column = i / 4u;
      let d = column * 32u + 16u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_5, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 4u) {
      let column = i / 4u;
      let d = column * 32u + 20u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_6, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 4u) {
      let column = i / 4u;
      let d = column * 32u + 24u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, SCORES_AT + (firstRow + 0u) * 9u + firstKey / 4u + 0u, o0_7, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 8u; i += 4u) {
      let column = i / 4u;
      let d = column * 32u + 28u + i % 4u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * 9u + column * 4u + i % 4u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }
}
