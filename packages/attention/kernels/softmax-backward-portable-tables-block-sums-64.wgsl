// softmax-backward-portable-tables: 32640 bytes of workgroup memory, 128 threads

@group(0) @binding(0) var<storage, read> query: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> key: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> value: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> outputGradient: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> rowStats: array<vec2<f32>>;
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
  units: u32,
  unitTiles: u32,
  unitSize: u32,
  unitSlots: u32,
  unitOrderAt: u32,
  inverseLists: u32,
  inverseEntriesAt: u32,
  keyRows: u32,
  tableAt0: u32,
  keyBlocks: u32,
  partBits: u32,
  firstGroup: u32,
  endGroup: u32,
}
@group(0) @binding(5) var<uniform> shape: Shape;
@group(0) @binding(6) var<storage, read> plan: array<u32>;
@group(0) @binding(7) var<storage, read_write> maxima: array<atomic<u32>>;
@group(0) @binding(8) var<storage, read_write> totals: array<atomic<u32>>;

const QUERY_TILE = 64u;
const KEY_TILE = 32u;
const ROWS = 4u;
const COLUMN_LANES = 8u;
const ROW_LANES = 16u;
const THREADS = 128u;
const CHUNK = 8u;
const COLUMNS_AT = 576u;
const NO_TOKEN = 4294967295u;
const BY_SLOT = 0u;

var<workgroup> operands: array<vec4<f32>, 864>;
var<workgroup> weights: array<vec4<f32>, 576>;
var<workgroup> queryTokens: array<i32, 64>;
var<workgroup> keyTokens: array<i32, 32>;
var<workgroup> weightGradients: array<vec4<f32>, 576>;

const LOG2_E = 1.4426950408889634;
// A row that sees no key has this for a sum, so that its weights are 0; sums and scores from here on are never real.
const UNSEEN = 1e30;
const HIDDEN = -1e29;
var<private> s0: vec4<f32>;
var<private> d0: vec4<f32>;
var<private> l0 = UNSEEN;
var<private> m0 = 0.0;
var<private> s1: vec4<f32>;
var<private> d1: vec4<f32>;
var<private> l1 = UNSEEN;
var<private> m1 = 0.0;
var<private> s2: vec4<f32>;
var<private> d2: vec4<f32>;
var<private> l2 = UNSEEN;
var<private> m2 = 0.0;
var<private> s3: vec4<f32>;
var<private> d3: vec4<f32>;
var<private> l3 = UNSEEN;
var<private> m3 = 0.0;

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

fn outputGradientVector(row: u32, d: u32) -> vec4<f32> {
  return outputGradient[row * 16u + d];
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

fn loadStatistics(tile: Located, lane: u32) {
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  {
    let token = queryTokens[rowLane + 0u * ROW_LANES];
    if (token >= 0) {
      let row = rowStats[tile.queryRow + u32(token)];
      l0 = row.x;
      m0 = row.y;
    }
  }
  {
    let token = queryTokens[rowLane + 1u * ROW_LANES];
    if (token >= 0) {
      let row = rowStats[tile.queryRow + u32(token)];
      l1 = row.x;
      m1 = row.y;
    }
  }
  {
    let token = queryTokens[rowLane + 2u * ROW_LANES];
    if (token >= 0) {
      let row = rowStats[tile.queryRow + u32(token)];
      l2 = row.x;
      m2 = row.y;
    }
  }
  {
    let token = queryTokens[rowLane + 3u * ROW_LANES];
    if (token >= 0) {
      let row = rowStats[tile.queryRow + u32(token)];
      l3 = row.x;
      m3 = row.y;
    }
  }
}

fn putRow(i: u32, numbers: vec4<f32>) {
  operands[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putColumn(i: u32, numbers: vec4<f32>) {
  operands[COLUMNS_AT + (i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putStaged(i: u32, numbers: vec4<f32>) {
  operands[i] = numbers;
}


fn queryAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = queryTokens[min(i / CHUNK, QUERY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < 16u) { return queryVector(tile.queryRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn keyAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = keyTokens[min(i / CHUNK, KEY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < 16u) { return keyVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn loadQuery(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 4u + 0u) * THREADS + lane;
    let numbers0 = queryAt(tile, chunk, i0);
    let i1 = (n * 4u + 1u) * THREADS + lane;
    let numbers1 = queryAt(tile, chunk, i1);
    let i2 = (n * 4u + 2u) * THREADS + lane;
    let numbers2 = queryAt(tile, chunk, i2);
    let i3 = (n * 4u + 3u) * THREADS + lane;
    let numbers3 = queryAt(tile, chunk, i3);
    putRow(i0, numbers0);
    putRow(i1, numbers1);
    putRow(i2, numbers2);
    putRow(i3, numbers3);
  }
}

fn loadKey(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 2u + 0u) * THREADS + lane;
    let numbers0 = keyAt(tile, chunk, i0);
    let i1 = (n * 2u + 1u) * THREADS + lane;
    let numbers1 = keyAt(tile, chunk, i1);
    putColumn(i0, numbers0);
    putColumn(i1, numbers1);
  }
}


fn outputGradientAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = queryTokens[min(i / CHUNK, QUERY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < 16u) { return outputGradientVector(tile.queryRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn valueAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = keyTokens[min(i / CHUNK, KEY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < 16u) { return valueVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn loadOutputGradient(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 4u + 0u) * THREADS + lane;
    let numbers0 = outputGradientAt(tile, chunk, i0);
    let i1 = (n * 4u + 1u) * THREADS + lane;
    let numbers1 = outputGradientAt(tile, chunk, i1);
    let i2 = (n * 4u + 2u) * THREADS + lane;
    let numbers2 = outputGradientAt(tile, chunk, i2);
    let i3 = (n * 4u + 3u) * THREADS + lane;
    let numbers3 = outputGradientAt(tile, chunk, i3);
    putRow(i0, numbers0);
    putRow(i1, numbers1);
    putRow(i2, numbers2);
    putRow(i3, numbers3);
  }
}

fn loadValue(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 2u + 0u) * THREADS + lane;
    let numbers0 = valueAt(tile, chunk, i0);
    let i1 = (n * 2u + 1u) * THREADS + lane;
    let numbers1 = valueAt(tile, chunk, i1);
    putColumn(i0, numbers0);
    putColumn(i1, numbers1);
  }
}

fn scores(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  for (var d = 0u; d < CHUNK; d++) {
    let k0 = operands[COLUMNS_AT + (columnLane + 0u * COLUMN_LANES) * (CHUNK + 1u) + d];
    let k1 = operands[COLUMNS_AT + (columnLane + 1u * COLUMN_LANES) * (CHUNK + 1u) + d];
    let k2 = operands[COLUMNS_AT + (columnLane + 2u * COLUMN_LANES) * (CHUNK + 1u) + d];
    let k3 = operands[COLUMNS_AT + (columnLane + 3u * COLUMN_LANES) * (CHUNK + 1u) + d];
    let x = vec4<f32>(k0.x, k1.x, k2.x, k3.x);
    let y = vec4<f32>(k0.y, k1.y, k2.y, k3.y);
    let z = vec4<f32>(k0.z, k1.z, k2.z, k3.z);
    let w = vec4<f32>(k0.w, k1.w, k2.w, k3.w);
    let q0 = operands[(rowLane + 0u * ROW_LANES) * (CHUNK + 1u) + d];
    s0 += q0.x * x;
    s0 += q0.y * y;
    s0 += q0.z * z;
    s0 += q0.w * w;
    let q1 = operands[(rowLane + 1u * ROW_LANES) * (CHUNK + 1u) + d];
    s1 += q1.x * x;
    s1 += q1.y * y;
    s1 += q1.z * z;
    s1 += q1.w * w;
    let q2 = operands[(rowLane + 2u * ROW_LANES) * (CHUNK + 1u) + d];
    s2 += q2.x * x;
    s2 += q2.y * y;
    s2 += q2.z * z;
    s2 += q2.w * w;
    let q3 = operands[(rowLane + 3u * ROW_LANES) * (CHUNK + 1u) + d];
    s3 += q3.x * x;
    s3 += q3.y * y;
    s3 += q3.z * z;
    s3 += q3.w * w;
  }
}

fn weightProducts(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  for (var d = 0u; d < CHUNK; d++) {
    let k0 = operands[COLUMNS_AT + (columnLane + 0u * COLUMN_LANES) * (CHUNK + 1u) + d];
    let k1 = operands[COLUMNS_AT + (columnLane + 1u * COLUMN_LANES) * (CHUNK + 1u) + d];
    let k2 = operands[COLUMNS_AT + (columnLane + 2u * COLUMN_LANES) * (CHUNK + 1u) + d];
    let k3 = operands[COLUMNS_AT + (columnLane + 3u * COLUMN_LANES) * (CHUNK + 1u) + d];
    let x = vec4<f32>(k0.x, k1.x, k2.x, k3.x);
    let y = vec4<f32>(k0.y, k1.y, k2.y, k3.y);
    let z = vec4<f32>(k0.z, k1.z, k2.z, k3.z);
    let w = vec4<f32>(k0.w, k1.w, k2.w, k3.w);
    let q0 = operands[(rowLane + 0u * ROW_LANES) * (CHUNK + 1u) + d];
    d0 += q0.x * x;
    d0 += q0.y * y;
    d0 += q0.z * z;
    d0 += q0.w * w;
    let q1 = operands[(rowLane + 1u * ROW_LANES) * (CHUNK + 1u) + d];
    d1 += q1.x * x;
    d1 += q1.y * y;
    d1 += q1.z * z;
    d1 += q1.w * w;
    let q2 = operands[(rowLane + 2u * ROW_LANES) * (CHUNK + 1u) + d];
    d2 += q2.x * x;
    d2 += q2.y * y;
    d2 += q2.z * z;
    d2 += q2.w * w;
    let q3 = operands[(rowLane + 3u * ROW_LANES) * (CHUNK + 1u) + d];
    d3 += q3.x * x;
    d3 += q3.y * y;
    d3 += q3.z * z;
    d3 += q3.w * w;
  }
}

fn startTile() {
  s0 = vec4<f32>();
  d0 = vec4<f32>();
  s1 = vec4<f32>();
  d1 = vec4<f32>();
  s2 = vec4<f32>();
  d2 = vec4<f32>();
  s3 = vec4<f32>();
  d3 = vec4<f32>();
}

struct Pair {
  query: i32,
  key: i32,
  querySlot: i32,
  keySlot: i32,
  seen: bool,
  full: bool,
}

fn pairAt(tile: Located, start: u32, row: u32, column: u32) -> Pair {
  let token = keyTokens[column];
  var pair: Pair;
  pair.query = queryTokens[row];
  pair.querySlot = i32(tile.firstSlot - tile.block * shape.queryBlock + row);
  pair.key = select(token & TOKEN_BITS, ZERO, token == ZERO);
  pair.keySlot = i32(start + column);
  pair.seen = token != ABSENT && pair.query != ABSENT;
  pair.full = token >= FULL;
  return pair;
}

fn weighPair(tile: Located, pair: Pair, product: f32, sum: f32) -> f32 {
  if (!pair.seen) { return 0.0; }
  let score = product * shape.scale;

  let x = score * LOG2_E - sum;
  return select(exp2(x), 0.0, x < HIDDEN);
}

const NOWHERE = 0xffffffffu;

fn fixedPoint(largest: u32) -> i32 {
  return i32(shape.partBits) - 1 - max(i32(largest >> 23u) - 127, -80);
}

fn powerOfTwo(exponent: i32) -> f32 { return bitcast<f32>(u32(exponent + 127) << 23u); }

fn flush(table: u32, place: u32, part: f32) {
  let largest = atomicLoad(&maxima[table]);
  if (part == 0.0 || largest >= 0x7f800000u) { return; }
  let scaled = abs(part) * powerOfTwo(fixedPoint(largest));
  let wholes = floor(scaled * 2.3283064365386963e-10);
  var high = u32(wholes);
  var low = u32(scaled - wholes * 4294967296.0);
  if (part < 0.0) {
    low = ~low + 1u;
    high = ~high + select(0u, 1u, low == 0u);
  }
  let before = atomicAdd(&totals[2u * place], low);
  let carry = select(0u, 1u, before + low < before);
  atomicAdd(&totals[2u * place + 1u], high + carry);
}

var<private> place0 = NOWHERE;
var<private> pending0 = 0.0;

fn flush0() {
  if (place0 != NOWHERE) { flush(0u, place0, pending0); }
}

fn note0(place: u32, part: f32) {
  if (place != place0) {
    flush0();
    place0 = place;
    pending0 = 0.0;
  }
  pending0 += part;
}

fn give(tile: Located, pair: Pair, score: f32, gradient: f32) {

  let entry = blockAt(rowAt(2u * tile.row) + u32(pair.keySlot) / shape.keyBlock) & 0x7fffffffu;
  let cell = ((tile.batch * shape.heads + tile.head) * shape.queryBlocks + tile.block) * shape.keyBlocks + entry;
  note0(shape.tableAt0 + cell, gradient);
}

fn gather(tile: Located, start: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  var rowSums = array<f32, ROWS>(l0, l1, l2, l3);
  var rowMeans = array<f32, ROWS>(m0, m1, m2, m3);
  weights[(rowLane + 0u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s0;
  weightGradients[(rowLane + 0u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d0;
  weights[(rowLane + 1u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s1;
  weightGradients[(rowLane + 1u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d1;
  weights[(rowLane + 2u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s2;
  weightGradients[(rowLane + 2u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d2;
  weights[(rowLane + 3u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s3;
  weightGradients[(rowLane + 3u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d3;
  for (var r = 0u; r < ROWS; r++) {
    let row = rowLane + r * ROW_LANES;
    let at = row * (COLUMN_LANES + 1u) + columnLane;
    let pair = pairAt(tile, start, row, columnLane + 0u * COLUMN_LANES);
    let product = weights[at][0];
    let p = weighPair(tile, pair, product, rowSums[r]);
    if (p != 0.0) { give(tile, pair, product * shape.scale, p * (weightGradients[at][0] - rowMeans[r])); }
  }
  for (var r = 0u; r < ROWS; r++) {
    let row = rowLane + r * ROW_LANES;
    let at = row * (COLUMN_LANES + 1u) + columnLane;
    let pair = pairAt(tile, start, row, columnLane + 1u * COLUMN_LANES);
    let product = weights[at][1];
    let p = weighPair(tile, pair, product, rowSums[r]);
    if (p != 0.0) { give(tile, pair, product * shape.scale, p * (weightGradients[at][1] - rowMeans[r])); }
  }
  for (var r = 0u; r < ROWS; r++) {
    let row = rowLane + r * ROW_LANES;
    let at = row * (COLUMN_LANES + 1u) + columnLane;
    let pair = pairAt(tile, start, row, columnLane + 2u * COLUMN_LANES);
    let product = weights[at][2];
    let p = weighPair(tile, pair, product, rowSums[r]);
    if (p != 0.0) { give(tile, pair, product * shape.scale, p * (weightGradients[at][2] - rowMeans[r])); }
  }
  for (var r = 0u; r < ROWS; r++) {
    let row = rowLane + r * ROW_LANES;
    let at = row * (COLUMN_LANES + 1u) + columnLane;
    let pair = pairAt(tile, start, row, columnLane + 3u * COLUMN_LANES);
    let product = weights[at][3];
    let p = weighPair(tile, pair, product, rowSums[r]);
    if (p != 0.0) { give(tile, pair, product * shape.scale, p * (weightGradients[at][3] - rowMeans[r])); }
  }
}

fn flushAll() {
  flush0();
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
  workgroupBarrier();
  loadStatistics(tile, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    resolveKeys(tile, start, count, 0u, lane);
    startTile();
    workgroupBarrier();

    for (var chunk = 0u; chunk < 2u; chunk++) {
      loadQuery(tile, chunk, lane);
      loadKey(tile, chunk, lane);
      workgroupBarrier();
      scores(lane);
      workgroupBarrier();
    }

    for (var chunk = 0u; chunk < 2u; chunk++) {
      loadOutputGradient(tile, chunk, lane);
      loadValue(tile, chunk, lane);
      workgroupBarrier();
      weightProducts(lane);
      workgroupBarrier();
    }
    gather(tile, start, lane);
    workgroupBarrier();
  }
  flushAll();
}
