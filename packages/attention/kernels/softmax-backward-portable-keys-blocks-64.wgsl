// softmax-backward-portable-keys: 28928 bytes of workgroup memory, 256 threads

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
@group(0) @binding(6) var<storage, read_write> keyGradient: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> valueGradient: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> inverse: array<u32>;

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
var<workgroup> visits: array<u32, 64>;
var<workgroup> sums: array<f32, 64>;
var<workgroup> means: array<f32, 64>;

const LOG2_E = 1.4426950408889634;
// A row that sees no key has this for a sum, so that its weights are 0; sums and scores from here on are never real.
const UNSEEN = 1e30;
const HIDDEN = -1e29;
var<private> s0: vec4<f32>;
var<private> d0: vec4<f32>;
var<private> a0_0: vec4<f32>;
var<private> b0_0: vec4<f32>;
var<private> s1: vec4<f32>;
var<private> d1: vec4<f32>;
var<private> a1_0: vec4<f32>;
var<private> b1_0: vec4<f32>;
var<private> s2: vec4<f32>;
var<private> d2: vec4<f32>;
var<private> a2_0: vec4<f32>;
var<private> b2_0: vec4<f32>;
var<private> s3: vec4<f32>;
var<private> d3: vec4<f32>;
var<private> a3_0: vec4<f32>;
var<private> b3_0: vec4<f32>;

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

fn keyGradientStore(row: u32, d: u32, numbers: vec4<f32>) {
  keyGradient[row * 16u + d] = numbers;
}

fn valueGradientStore(row: u32, d: u32, numbers: vec4<f32>) {
  valueGradient[row * 16u + d] = numbers;
}

fn queryInOrder(slot: u32) -> i32 {
  return i32(slot);
}

fn keyInUnit(slot: u32) -> i32 { return i32(slot); }

fn inverseRow(tile: Located) -> u32 {
  return 2u * (select(tile.list, 0u, shape.inverseLists == 1u) * shape.units + tile.unit);
}
fn queryCount(tile: Located) -> u32 { return inverse[inverseRow(tile) + 1u] * shape.queryBlock; }

fn firstQuery(tile: Located) -> u32 { return 0u; }

fn visitAt(tile: Located, index: u32) -> vec2<u32> {
  let at = shape.inverseEntriesAt + 2u * (inverse[inverseRow(tile)] + index);
  return vec2<u32>(inverse[at], inverse[at + 1u]);
}

fn keySlotOf(tile: Located, row: u32, visit: u32) -> i32 {
  return i32((visit & 0x7fffffffu) * shape.unitSize + tile.firstSlot + row - tile.unit * shape.unitSize);
}

fn isMarked(visit: u32) -> bool { return (visit >> 31u) == 1u; }

struct Located {
  batch: u32,
  keyHead: u32,
  head: u32,
  list: u32,       // of the plan's lists
  unit: u32,
  firstSlot: u32,
  endSlot: u32,
  queryRow: u32,   // row 0 of this head in query
  keyRow: u32,     // row 0 of this head in key and value
}

fn locate(workgroup: u32) -> Located {
  let tilesOfHead = shape.units * shape.unitTiles;
  let headIndex = workgroup / tilesOfHead;
  let tileIndex = workgroup % tilesOfHead;
  var tile: Located;
  tile.batch = headIndex / shape.keyHeads;
  tile.keyHead = headIndex % shape.keyHeads;
  tile.unit = tileIndex / shape.unitTiles;
  tile.firstSlot = tile.unit * shape.unitSize + (tileIndex % shape.unitTiles) * KEY_TILE;
  tile.endSlot = min((tile.unit + 1u) * shape.unitSize, shape.unitSlots);
  tile.keyRow = headIndex * shape.keyStride;
  return tile;
}

fn withHead(tile: Located, member: u32) -> Located {
  var next = tile;
  next.head = tile.keyHead * (shape.heads / shape.keyHeads) + member;
  next.list = select(tile.batch, 0u, shape.listBatches == 1u) * shape.listHeads
    + next.head / (shape.heads / shape.listHeads);
  next.queryRow = (tile.batch * shape.heads + next.head) * shape.queryTokens;
  return next;
}

fn resolveKeys(tile: Located, lane: u32) {
  for (var i = lane; i < KEY_TILE; i += THREADS) {
    keyTokens[i] = ABSENT;
    if (tile.firstSlot + i < tile.endSlot) { keyTokens[i] = keyInUnit(tile.firstSlot + i); }
  }
}

fn resolveQueries(tile: Located, start: u32, count: u32, lane: u32) {
  for (var i = lane; i < QUERY_TILE; i += THREADS) {
    queryTokens[i] = ABSENT;
    sums[i] = UNSEEN;
    means[i] = 0.0;
    if (start + i < count) {
      let visit = visitAt(tile, (start + i) / shape.queryBlock);
      let slot = visit.x * shape.queryBlock + (start + i) % shape.queryBlock;
      visits[i] = visit.y;
      if (slot < shape.querySlots) {
        let token = queryInOrder(slot);
        queryTokens[i] = token;
        if (token >= 0) {
          let row = rowStats[tile.queryRow + u32(token)];
          sums[i] = row.x;
          means[i] = row.y;
        }
      }
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


fn keyAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = keyTokens[min(i / CHUNK, KEY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < 16u) { return keyVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn queryAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = queryTokens[min(i / CHUNK, QUERY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < 16u) { return queryVector(tile.queryRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn loadKey(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let numbers0 = keyAt(tile, chunk, i0);
    putRow(i0, numbers0);
  }
}

fn loadQuery(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let numbers0 = queryAt(tile, chunk, i0);
    putColumn(i0, numbers0);
  }
}


fn valueAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = keyTokens[min(i / CHUNK, KEY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < 16u) { return valueVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn outputGradientAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = queryTokens[min(i / CHUNK, QUERY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < 16u) { return outputGradientVector(tile.queryRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn loadValue(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let numbers0 = valueAt(tile, chunk, i0);
    putRow(i0, numbers0);
  }
}

fn loadOutputGradient(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 1u + 0u) * THREADS + lane;
    let numbers0 = outputGradientAt(tile, chunk, i0);
    putColumn(i0, numbers0);
  }
}

// The columns of a thread are COLUMN_LANES apart; rows lie in the order in which the weights name them.
fn queryStaged(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let k = min(i / 16u, 31u);
  let token = queryTokens[chunk * 8u + k / 4u + (k % 4u) * COLUMN_LANES];
  let d = i % 16u;
  if (token >= 0 && d < 16u) { return queryVector(tile.queryRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn stageQuery(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 2u + 0u) * THREADS + lane;
    let numbers0 = queryStaged(tile, chunk, i0);
    let i1 = (n * 2u + 1u) * THREADS + lane;
    let numbers1 = queryStaged(tile, chunk, i1);
    putStaged(i0, numbers0);
    putStaged(i1, numbers1);
  }
}

// The columns of a thread are COLUMN_LANES apart; rows lie in the order in which the weights name them.
fn outputGradientStaged(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let k = min(i / 16u, 31u);
  let token = queryTokens[chunk * 8u + k / 4u + (k % 4u) * COLUMN_LANES];
  let d = i % 16u;
  if (token >= 0 && d < 16u) { return outputGradientVector(tile.queryRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn stageOutputGradient(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < 1u; n++) {
    let i0 = (n * 2u + 0u) * THREADS + lane;
    let numbers0 = outputGradientStaged(tile, chunk, i0);
    let i1 = (n * 2u + 1u) * THREADS + lane;
    let numbers1 = outputGradientStaged(tile, chunk, i1);
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
  let sum = vec4<f32>(sums[columnLane + 0u * COLUMN_LANES], sums[columnLane + 1u * COLUMN_LANES], sums[columnLane + 2u * COLUMN_LANES], sums[columnLane + 3u * COLUMN_LANES]);
  let last = vec4<i32>(queryTokens[columnLane + 0u * COLUMN_LANES], queryTokens[columnLane + 1u * COLUMN_LANES], queryTokens[columnLane + 2u * COLUMN_LANES], queryTokens[columnLane + 3u * COLUMN_LANES]) + vec4<i32>(shape.causalOffset);
  s0 = select(weightsOf(s0 * (shape.scale * LOG2_E) - sum), vec4<f32>(), vec4<bool>());
  s1 = select(weightsOf(s1 * (shape.scale * LOG2_E) - sum), vec4<f32>(), vec4<bool>());
  s2 = select(weightsOf(s2 * (shape.scale * LOG2_E) - sum), vec4<f32>(), vec4<bool>());
  s3 = select(weightsOf(s3 * (shape.scale * LOG2_E) - sum), vec4<f32>(), vec4<bool>());
}

fn weightsOf(x: vec4<f32>) -> vec4<f32> { return select(exp2(x), vec4<f32>(), x < vec4<f32>(HIDDEN)); }

fn scoreGradients(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let mean = vec4<f32>(means[columnLane + 0u * COLUMN_LANES], means[columnLane + 1u * COLUMN_LANES], means[columnLane + 2u * COLUMN_LANES], means[columnLane + 3u * COLUMN_LANES]);
  d0 = select(s0 * (d0 - mean), vec4<f32>(), s0 == vec4<f32>());
  d1 = select(s1 * (d1 - mean), vec4<f32>(), s1 == vec4<f32>());
  d2 = select(s2 * (d2 - mean), vec4<f32>(), s2 == vec4<f32>());
  d3 = select(s3 * (d3 - mean), vec4<f32>(), s3 == vec4<f32>());
}

fn putScoreGradients(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  weights[(rowLane + 0u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d0;
  weights[(rowLane + 1u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d1;
  weights[(rowLane + 2u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d2;
  weights[(rowLane + 3u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d3;
}

fn putWeights(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  weights[(rowLane + 0u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s0;
  weights[(rowLane + 1u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s1;
  weights[(rowLane + 2u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s2;
  weights[(rowLane + 3u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s3;
}

fn accumulateGradients(chunk: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  for (var k = 0u; k < 8u; k++) {
    let at = chunk * 8u + k;
    let p0 = weights[(rowLane + 0u * ROW_LANES) * (COLUMN_LANES + 1u) + at];
    let p1 = weights[(rowLane + 1u * ROW_LANES) * (COLUMN_LANES + 1u) + at];
    let p2 = weights[(rowLane + 2u * ROW_LANES) * (COLUMN_LANES + 1u) + at];
    let p3 = weights[(rowLane + 3u * ROW_LANES) * (COLUMN_LANES + 1u) + at];
    let v0_0 = operands[(4u * k + 0u) * 16u + 0u * COLUMN_LANES + columnLane];
    b0_0 += p0[0] * v0_0;
    b1_0 += p1[0] * v0_0;
    b2_0 += p2[0] * v0_0;
    b3_0 += p3[0] * v0_0;
    let v1_0 = operands[(4u * k + 1u) * 16u + 0u * COLUMN_LANES + columnLane];
    b0_0 += p0[1] * v1_0;
    b1_0 += p1[1] * v1_0;
    b2_0 += p2[1] * v1_0;
    b3_0 += p3[1] * v1_0;
    let v2_0 = operands[(4u * k + 2u) * 16u + 0u * COLUMN_LANES + columnLane];
    b0_0 += p0[2] * v2_0;
    b1_0 += p1[2] * v2_0;
    b2_0 += p2[2] * v2_0;
    b3_0 += p3[2] * v2_0;
    let v3_0 = operands[(4u * k + 3u) * 16u + 0u * COLUMN_LANES + columnLane];
    b0_0 += p0[3] * v3_0;
    b1_0 += p1[3] * v3_0;
    b2_0 += p2[3] * v3_0;
    b3_0 += p3[3] * v3_0;
  }
}

fn accumulateQueries(chunk: u32, lane: u32) {
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
  let firstRow = (tile.batch * shape.keyHeads + tile.keyHead) * shape.keyRows;
  {
    let token = keyTokens[rowLane + 0u * ROW_LANES];
    if (token >= 0) {
      let row = firstRow + select(u32(token), tile.firstSlot + rowLane + 0u * ROW_LANES, BY_SLOT == 1u);
      if (columnLane + 0u * COLUMN_LANES < 16u) { keyGradientStore(row, columnLane + 0u * COLUMN_LANES, shape.scale * a0_0); }
      if (columnLane + 0u * COLUMN_LANES < 16u) { valueGradientStore(row, columnLane + 0u * COLUMN_LANES, b0_0); }
    }
  }
  {
    let token = keyTokens[rowLane + 1u * ROW_LANES];
    if (token >= 0) {
      let row = firstRow + select(u32(token), tile.firstSlot + rowLane + 1u * ROW_LANES, BY_SLOT == 1u);
      if (columnLane + 0u * COLUMN_LANES < 16u) { keyGradientStore(row, columnLane + 0u * COLUMN_LANES, shape.scale * a1_0); }
      if (columnLane + 0u * COLUMN_LANES < 16u) { valueGradientStore(row, columnLane + 0u * COLUMN_LANES, b1_0); }
    }
  }
  {
    let token = keyTokens[rowLane + 2u * ROW_LANES];
    if (token >= 0) {
      let row = firstRow + select(u32(token), tile.firstSlot + rowLane + 2u * ROW_LANES, BY_SLOT == 1u);
      if (columnLane + 0u * COLUMN_LANES < 16u) { keyGradientStore(row, columnLane + 0u * COLUMN_LANES, shape.scale * a2_0); }
      if (columnLane + 0u * COLUMN_LANES < 16u) { valueGradientStore(row, columnLane + 0u * COLUMN_LANES, b2_0); }
    }
  }
  {
    let token = keyTokens[rowLane + 3u * ROW_LANES];
    if (token >= 0) {
      let row = firstRow + select(u32(token), tile.firstSlot + rowLane + 3u * ROW_LANES, BY_SLOT == 1u);
      if (columnLane + 0u * COLUMN_LANES < 16u) { keyGradientStore(row, columnLane + 0u * COLUMN_LANES, shape.scale * a3_0); }
      if (columnLane + 0u * COLUMN_LANES < 16u) { valueGradientStore(row, columnLane + 0u * COLUMN_LANES, b3_0); }
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
  var tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  resolveKeys(tile, lane);
  for (var member = 0u; member < shape.heads / shape.keyHeads; member++) {
    tile = withHead(tile, member);
    let count = queryCount(tile);
    for (var start = firstQuery(tile); start < count; start += QUERY_TILE) {
    resolveQueries(tile, start, count, lane);
    startTile();
    workgroupBarrier();

    for (var chunk = 0u; chunk < 4u; chunk++) {
      loadKey(tile, chunk, lane);
      loadQuery(tile, chunk, lane);
      workgroupBarrier();
      scores(lane);
      workgroupBarrier();
    }
    weigh(tile, start, lane);

    for (var chunk = 0u; chunk < 4u; chunk++) {
      loadValue(tile, chunk, lane);
      loadOutputGradient(tile, chunk, lane);
      workgroupBarrier();
      weightProducts(lane);
      workgroupBarrier();
    }
    scoreGradients(lane);
    putWeights(lane);

    for (var chunk = 0u; chunk < 2u; chunk++) {
      stageOutputGradient(tile, chunk, lane);
      workgroupBarrier();
      accumulateGradients(chunk, lane);
      workgroupBarrier();
    }
    putScoreGradients(lane);

    for (var chunk = 0u; chunk < 2u; chunk++) {
      stageQuery(tile, chunk, lane);
      workgroupBarrier();
      accumulateQueries(chunk, lane);
      workgroupBarrier();
    }
    }
  }
  store(tile, lane);
}
