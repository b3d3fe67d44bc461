// softmax-backward-portable-queries: 28160 bytes of workgroup memory, 256 threads

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
  firstGroup: u32,
  endGroup: u32,
}
@group(0) @binding(5) var<uniform> shape: Shape;
@group(0) @binding(6) var<storage, read_write> queryGradient: array<vec4<f32>>;

const QUERY_TILE = 64u;
const KEY_TILE = 64u;
const ROWS = 4u;
const COLUMN_LANES = 16u;
const ROW_LANES = 16u;
const THREADS = 256u;
const CHUNK = 4u;
const COLUMNS_AT = 320u;
const NO_TOKEN = 4294967295u;
const BY_SLOT = 0u;

var<workgroup> operands: array<vec4<f32>, 640>;
var<workgroup> weights: array<vec4<f32>, 1088>;
var<workgroup> queryTokens: array<i32, 64>;
var<workgroup> keyTokens: array<i32, 64>;

const LOG2_E = 1.4426950408889634;
// A row that sees no key has this for a sum, so that its weights are 0; sums and scores from here on are never real.
const UNSEEN = 1e30;
const HIDDEN = -1e29;
var<private> s0: vec4<f32>;
var<private> d0: vec4<f32>;
var<private> l0 = UNSEEN;
var<private> m0 = 0.0;
var<private> a0_0: vec4<f32>;
var<private> s1: vec4<f32>;
var<private> d1: vec4<f32>;
var<private> l1 = UNSEEN;
var<private> m1 = 0.0;
var<private> a1_0: vec4<f32>;
var<private> s2: vec4<f32>;
var<private> d2: vec4<f32>;
var<private> l2 = UNSEEN;
var<private> m2 = 0.0;
var<private> a2_0: vec4<f32>;
var<private> s3: vec4<f32>;
var<private> d3: vec4<f32>;
var<private> l3 = UNSEEN;
var<private> m3 = 0.0;
var<private> a3_0: vec4<f32>;

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

fn queryGradientStore(row: u32, d: u32, numbers: vec4<f32>) {
  queryGradient[row * 16u + d] = numbers;
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
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let numbers0 = queryAt(tile, chunk, i0);
    putRow(i0, numbers0);
  }
}

fn loadKey(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let numbers0 = keyAt(tile, chunk, i0);
    putColumn(i0, numbers0);
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
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let numbers0 = outputGradientAt(tile, chunk, i0);
    putRow(i0, numbers0);
  }
}

fn loadValue(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let numbers0 = valueAt(tile, chunk, i0);
    putColumn(i0, numbers0);
  }
}

// The columns of a thread are COLUMN_LANES apart; rows lie in the order in which the weights name them.
fn keyStaged(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let k = min(i / 16u, 31u);
  let token = keyTokens[chunk * 8u + k / 4u + (k % 4u) * COLUMN_LANES];
  let d = i % 16u;
  if (token >= 0 && d < 16u) { return keyVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn stageKey(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 2u + 0u) * THREADS + lane;
    let numbers0 = keyStaged(tile, chunk, i0);
    let i1 = (n * 2u + 1u) * THREADS + lane;
    let numbers1 = keyStaged(tile, chunk, i1);
    putStaged(i0, numbers0);
    putStaged(i1, numbers1);
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

fn weigh(tile: Located, start: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  let keys = vec4<i32>(keyTokens[columnLane + 0u * COLUMN_LANES], keyTokens[columnLane + 1u * COLUMN_LANES], keyTokens[columnLane + 2u * COLUMN_LANES], keyTokens[columnLane + 3u * COLUMN_LANES]);
  let absent = keys == vec4<i32>(ABSENT);
  s0 = select(weightsOf(s0 * (shape.scale * LOG2_E) - l0), vec4<f32>(), absent);
  s1 = select(weightsOf(s1 * (shape.scale * LOG2_E) - l1), vec4<f32>(), absent);
  s2 = select(weightsOf(s2 * (shape.scale * LOG2_E) - l2), vec4<f32>(), absent);
  s3 = select(weightsOf(s3 * (shape.scale * LOG2_E) - l3), vec4<f32>(), absent);
}

fn weightsOf(x: vec4<f32>) -> vec4<f32> { return select(exp2(x), vec4<f32>(), x < vec4<f32>(HIDDEN)); }

fn scoreGradients(lane: u32) {
  let columnLane = lane % COLUMN_LANES;

  d0 = select(s0 * (d0 - m0), vec4<f32>(), s0 == vec4<f32>());
  d1 = select(s1 * (d1 - m1), vec4<f32>(), s1 == vec4<f32>());
  d2 = select(s2 * (d2 - m2), vec4<f32>(), s2 == vec4<f32>());
  d3 = select(s3 * (d3 - m3), vec4<f32>(), s3 == vec4<f32>());
}

fn putScoreGradients(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  weights[(rowLane + 0u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d0;
  weights[(rowLane + 1u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d1;
  weights[(rowLane + 2u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d2;
  weights[(rowLane + 3u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d3;
}

fn accumulateKeys(chunk: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  for (var k = 0u; k < 8u; k++) {
    let at = chunk * 8u + k;
    let p0 = weights[(rowLane + 0u * ROW_LANES) * (COLUMN_LANES + 1u) + at];
    let p1 = weights[(rowLane + 1u * ROW_LANES) * (COLUMN_LANES + 1u) + at];
    let p2 = weights[(rowLane + 2u * ROW_LANES) * (COLUMN_LANES + 1u) + at];
    let p3 = weights[(rowLane + 3u * ROW_LANES) * (COLUMN_LANES + 1u) + at];
    let v0_0 = operands[(4u * k + 0u) * 16u + 0u * COLUMN_LANES + columnLane];
    a0_0 += p0[0] * v0_0;
    a1_0 += p1[0] * v0_0;
    a2_0 += p2[0] * v0_0;
    a3_0 += p3[0] * v0_0;
    let v1_0 = operands[(4u * k + 1u) * 16u + 0u * COLUMN_LANES + columnLane];
    a0_0 += p0[1] * v1_0;
    a1_0 += p1[1] * v1_0;
    a2_0 += p2[1] * v1_0;
    a3_0 += p3[1] * v1_0;
    let v2_0 = operands[(4u * k + 2u) * 16u + 0u * COLUMN_LANES + columnLane];
    a0_0 += p0[2] * v2_0;
    a1_0 += p1[2] * v2_0;
    a2_0 += p2[2] * v2_0;
    a3_0 += p3[2] * v2_0;
    let v3_0 = operands[(4u * k + 3u) * 16u + 0u * COLUMN_LANES + columnLane];
    a0_0 += p0[3] * v3_0;
    a1_0 += p1[3] * v3_0;
    a2_0 += p2[3] * v3_0;
    a3_0 += p3[3] * v3_0;
  }
}

fn store(tile: Located, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  {
    let token = queryTokens[rowLane + 0u * ROW_LANES];
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      if (columnLane + 0u * COLUMN_LANES < 16u) { queryGradientStore(row, columnLane + 0u * COLUMN_LANES, shape.scale * a0_0); }
    }
  }
  {
    let token = queryTokens[rowLane + 1u * ROW_LANES];
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      if (columnLane + 0u * COLUMN_LANES < 16u) { queryGradientStore(row, columnLane + 0u * COLUMN_LANES, shape.scale * a1_0); }
    }
  }
  {
    let token = queryTokens[rowLane + 2u * ROW_LANES];
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      if (columnLane + 0u * COLUMN_LANES < 16u) { queryGradientStore(row, columnLane + 0u * COLUMN_LANES, shape.scale * a2_0); }
    }
  }
  {
    let token = queryTokens[rowLane + 3u * ROW_LANES];
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
      if (columnLane + 0u * COLUMN_LANES < 16u) { queryGradientStore(row, columnLane + 0u * COLUMN_LANES, shape.scale * a3_0); }
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
  workgroupBarrier();
  loadStatistics(tile, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    resolveKeys(tile, start, count, 0u, lane);
    startTile();
    workgroupBarrier();

    for (var chunk = 0u; chunk < 4u; chunk++) {
      loadQuery(tile, chunk, lane);
      loadKey(tile, chunk, lane);
      workgroupBarrier();
      scores(lane);
      workgroupBarrier();
    }
    weigh(tile, start, lane);

    for (var chunk = 0u; chunk < 4u; chunk++) {
      loadOutputGradient(tile, chunk, lane);
      loadValue(tile, chunk, lane);
      workgroupBarrier();
      weightProducts(lane);
      workgroupBarrier();
    }
    scoreGradients(lane);
    putScoreGradients(lane);

    for (var chunk = 0u; chunk < 2u; chunk++) {
      stageKey(tile, chunk, lane);
      workgroupBarrier();
      accumulateKeys(chunk, lane);
      workgroupBarrier();
    }
  }
  store(tile, lane);
}
