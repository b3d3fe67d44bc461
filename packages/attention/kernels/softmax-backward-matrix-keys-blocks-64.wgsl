// softmax-backward-matrix-keys: 28160 bytes of workgroup memory, 128 threads

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

diagnostic(off, chromium.subgroup_matrix_uniformity);
diagnostic(off, subgroup_uniformity);

@group(0) @binding(0) var<storage, read> query: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> key: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> value: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> outputGradient: array<vec4<u32>>;
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
@group(0) @binding(9) var<storage, read> scales: array<f32>;

const QUERY_TILE = 32u;
const KEY_TILE = 64u;
const THREADS = 128u;
const SUBGROUPS = 4u;
const SCORES_AT = 576u;
const SCORE_WORDS = 576u;
const NO_TOKEN = 4294967295u;
const BY_SLOT = 0u;
const OUTPUT = 0u;
const SCORE = 1u;
const OUTPUT_UNDONE = 2u;
const SCORE_UNDONE = 3u;

var<workgroup> tileMemory: array<vec4<u32>, 1728>;
var<workgroup> keyTokens: array<i32, 64>;
var<workgroup> columnStatistics: array<vec4<f32>, 16>;

const LOG2_E = 1.4426950408889634;
const WEIGHT_BITS = 14.0;
// A row that sees no key has this for a sum, so that its weights are 0; sums and scores from here on are never real.
const UNSEEN = 1e30;
const HIDDEN = -1e29;

const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;

fn keyOctet(row: u32, d: u32) -> vec4<u32> { return key[row * 8u + d]; }

fn keyWord(row: u32, d: u32) -> vec4<u32> {
  return keyOctet(row, d);
}

fn valueOctet(row: u32, d: u32) -> vec4<u32> { return value[row * 8u + d]; }

fn valueWord(row: u32, d: u32) -> vec4<u32> {
  return valueOctet(row, d);
}

fn queryOctet(row: u32, d: u32) -> vec4<u32> { return query[row * 8u + d]; }

fn queryWord(row: u32, d: u32) -> vec4<u32> {
  return queryOctet(row, d);
}

fn outputGradientOctet(row: u32, d: u32) -> vec4<u32> { return outputGradient[row * 8u + d]; }

fn outputGradientWord(row: u32, d: u32) -> vec4<u32> {
  return outputGradientOctet(row, d);
}

fn rowWord(second: bool, row: u32, d: u32) -> vec4<u32> {
  if (second) { return valueWord(row, d); }
  return keyWord(row, d);
}

fn columnWord(second: bool, row: u32, d: u32) -> vec4<u32> {
  if (second) { return outputGradientWord(row, d); }
  return queryWord(row, d);
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

fn stageRows(tile: Located, lane: u32) {
  for (var i = lane; i < 1024u; i += 128u) {
    let row = (i / 8u) % 64u;
    let second = i >= 512u;
    let token = keyTokens[row];
    var numbers = vec4<u32>();
    if (token >= 0) { numbers = rowWord(second, tile.keyRow + u32(token), i % 8u); }
    tileMemory[select(0u, 576u, second) + row * 9u + i % 8u] = numbers;
  }
}

// (L, mean) of a row as exponents and gradients of scores take them.
fn statisticsOf(row: u32) -> vec2<f32> {
  let statistics = rowStats[row];
  return vec2<f32>(WEIGHT_BITS - statistics.x, -statistics.y * scales[OUTPUT] * scales[SCORE]);
}

fn slotAt(tile: Located, at: u32) -> u32 {
  return visitAt(tile, at / shape.queryBlock).x * shape.queryBlock + at % shape.queryBlock;
}

// Of the queries' side, the row's own: the sum as an exponent takes it, and what is added to dP.
var<private> rowSum = -UNSEEN;
var<private> rowMean = 0.0;

fn weigh(tile: Located, start: u32, count: u32, tokensAt: u32, plain: bool, row: u32, part: u32) {
  let at = 576u + row * 9u + part * 4u;
  let factor = vec4<f32>(shape.scale * LOG2_E);
  let gradientFactor = vec4<f32>(scales[SCORE]);
  let sum0 = columnStatistics[part * 4u + 0u];
  let mean0 = columnStatistics[8u + part * 4u + 0u];
  let sum1 = columnStatistics[part * 4u + 1u];
  let mean1 = columnStatistics[8u + part * 4u + 1u];
  let sum2 = columnStatistics[part * 4u + 2u];
  let mean2 = columnStatistics[8u + part * 4u + 2u];
  let sum3 = columnStatistics[part * 4u + 3u];
  let mean3 = columnStatistics[8u + part * 4u + 3u];
  let s0 = bitcast<vec4<f32>>(tileMemory[at + 0u]);
  let d0 = bitcast<vec4<f32>>(tileMemory[at + 576u]);
  var p0 = exp2(fma(s0, factor, sum0));
  let s1 = bitcast<vec4<f32>>(tileMemory[at + 1u]);
  let d1 = bitcast<vec4<f32>>(tileMemory[at + 577u]);
  var p1 = exp2(fma(s1, factor, sum1));
  let s2 = bitcast<vec4<f32>>(tileMemory[at + 2u]);
  let d2 = bitcast<vec4<f32>>(tileMemory[at + 578u]);
  var p2 = exp2(fma(s2, factor, sum2));
  let s3 = bitcast<vec4<f32>>(tileMemory[at + 3u]);
  let d3 = bitcast<vec4<f32>>(tileMemory[at + 579u]);
  var p3 = exp2(fma(s3, factor, sum3));

  let g0 = p0 * fma(d0, gradientFactor, mean0);
  let g1 = p1 * fma(d1, gradientFactor, mean1);
  let g2 = p2 * fma(d2, gradientFactor, mean2);
  let g3 = p3 * fma(d3, gradientFactor, mean3);
  let to = row * 9u + part * 4u;
  tileMemory[576u + to] = vec4<u32>(pack2x16float(p0.xy), pack2x16float(p0.zw), pack2x16float(p1.xy), pack2x16float(p1.zw));
  tileMemory[1152u + to] = vec4<u32>(pack2x16float(g0.xy), pack2x16float(g0.zw), pack2x16float(g1.xy), pack2x16float(g1.zw));
  tileMemory[577u + to] = vec4<u32>(pack2x16float(p2.xy), pack2x16float(p2.zw), pack2x16float(p3.xy), pack2x16float(p3.zw));
  tileMemory[1153u + to] = vec4<u32>(pack2x16float(g2.xy), pack2x16float(g2.zw), pack2x16float(g3.xy), pack2x16float(g3.zw));
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
  let isSecond = subgroupAt >= 2u;
  let ownRow = lane / 2u;
  let part = lane % 2u;
  let firstRow = subgroupAt % 2u * 32u;
  // what the subgroup reads and writes: operands of scores, scores, weights and operands of gradients
  let halfColumns = select(0u, 288u, isSecond);
  let halfScores = SCORES_AT + select(0u, SCORE_WORDS, isSecond) + firstRow * 9u;
  let halfWeights = select(1152u, 576u, isSecond) + firstRow * 9u;
  let halfChannels = select(0u, 288u, isSecond);
  var tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  resolveKeys(tile, lane);
  workgroupBarrier();
  stageRows(tile, lane);
  workgroupBarrier();
  let rowsAt = select(0u, 576u, isSecond) + firstRow * 9u;
  let a0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, rowsAt + 0u, 9u);
  let a0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, rowsAt + 2u, 9u);
  let a0_2 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, rowsAt + 4u, 9u);
  let a0_3 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, rowsAt + 6u, 9u);
  let a1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, rowsAt + 144u, 9u);
  let a1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, rowsAt + 146u, 9u);
  let a1_2 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, rowsAt + 148u, 9u);
  let a1_3 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, rowsAt + 150u, 9u);
  workgroupBarrier();
  var g0_0 = subgroup_matrix_result<f32, 16, 16>();
  var g0_1 = subgroup_matrix_result<f32, 16, 16>();
  var g0_2 = subgroup_matrix_result<f32, 16, 16>();
  var g0_3 = subgroup_matrix_result<f32, 16, 16>();
  var g1_0 = subgroup_matrix_result<f32, 16, 16>();
  var g1_1 = subgroup_matrix_result<f32, 16, 16>();
  var g1_2 = subgroup_matrix_result<f32, 16, 16>();
  var g1_3 = subgroup_matrix_result<f32, 16, 16>();
  var words0: vec4<u32>;
  var words1: vec4<u32>;
  var words2: vec4<u32>;
  var words3: vec4<u32>;
  var nextSums: vec4<f32>;
  var nextMeans: vec4<f32>;

  for (var member = 0u; member < shape.heads / shape.keyHeads; member++) {
    tile = withHead(tile, member);
    let count = queryCount(tile);
    let first = firstQuery(tile);

      {
      let firstSlot = slotAt(tile, min(first, max(count, 1u) - 1u));
      let present = min(count - min(first, count), shape.querySlots - min(firstSlot, shape.querySlots));
      let firstRow = tile.queryRow + firstSlot;
      words0 = vec4<u32>();
      if (true && ((lane + 0u) / 8u) % 32u < present) { words0 = columnWord(false, firstRow + ((lane + 0u) / 8u) % 32u, (lane + 0u) % 8u); }
      words1 = vec4<u32>();
      if (true && ((lane + 128u) / 8u) % 32u < present) { words1 = columnWord(false, firstRow + ((lane + 128u) / 8u) % 32u, (lane + 128u) % 8u); }
      words2 = vec4<u32>();
      if (true && ((lane + 256u) / 8u) % 32u < present) { words2 = columnWord(true, firstRow + ((lane + 256u) / 8u) % 32u, (lane + 256u) % 8u); }
      words3 = vec4<u32>();
      if (true && ((lane + 384u) / 8u) % 32u < present) { words3 = columnWord(true, firstRow + ((lane + 384u) / 8u) % 32u, (lane + 384u) % 8u); }
      if (lane < 8u) {
        if (4u * lane + 0u < present) {
          let row = statisticsOf(firstRow + 4u * lane + 0u);
          nextSums[0] = row.x;
          nextMeans[0] = row.y;
        } else {
          nextSums[0] = -UNSEEN;
          nextMeans[0] = 0.0;
        }
        if (4u * lane + 1u < present) {
          let row = statisticsOf(firstRow + 4u * lane + 1u);
          nextSums[1] = row.x;
          nextMeans[1] = row.y;
        } else {
          nextSums[1] = -UNSEEN;
          nextMeans[1] = 0.0;
        }
        if (4u * lane + 2u < present) {
          let row = statisticsOf(firstRow + 4u * lane + 2u);
          nextSums[2] = row.x;
          nextMeans[2] = row.y;
        } else {
          nextSums[2] = -UNSEEN;
          nextMeans[2] = 0.0;
        }
        if (4u * lane + 3u < present) {
          let row = statisticsOf(firstRow + 4u * lane + 3u);
          nextSums[3] = row.x;
          nextMeans[3] = row.y;
        } else {
          nextSums[3] = -UNSEEN;
          nextMeans[3] = 0.0;
        }
      }
      }
      tileMemory[((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = words0;
      tileMemory[((lane + 128u) / 8u) * 9u + (lane + 128u) % 8u] = words1;
      tileMemory[((lane + 256u) / 8u) * 9u + (lane + 256u) % 8u] = words2;
      tileMemory[((lane + 384u) / 8u) * 9u + (lane + 384u) % 8u] = words3;
      if (lane < 8u) {
        columnStatistics[lane] = nextSums;
        columnStatistics[8u + lane] = nextMeans;
      }
    workgroupBarrier();
    for (var start = first; start < count; ) {
      let next = start + 32u;
      let tokensAt = 0u;
      let plain = true;

      {
      let firstSlot = slotAt(tile, min(next, max(count, 1u) - 1u));
      let present = min(count - min(next, count), shape.querySlots - min(firstSlot, shape.querySlots));
      let firstRow = tile.queryRow + firstSlot;
      words0 = vec4<u32>();
      if (true && ((lane + 0u) / 8u) % 32u < present) { words0 = columnWord(false, firstRow + ((lane + 0u) / 8u) % 32u, (lane + 0u) % 8u); }
      words1 = vec4<u32>();
      if (true && ((lane + 128u) / 8u) % 32u < present) { words1 = columnWord(false, firstRow + ((lane + 128u) / 8u) % 32u, (lane + 128u) % 8u); }
      words2 = vec4<u32>();
      if (true && ((lane + 256u) / 8u) % 32u < present) { words2 = columnWord(true, firstRow + ((lane + 256u) / 8u) % 32u, (lane + 256u) % 8u); }
      words3 = vec4<u32>();
      if (true && ((lane + 384u) / 8u) % 32u < present) { words3 = columnWord(true, firstRow + ((lane + 384u) / 8u) % 32u, (lane + 384u) % 8u); }
      if (lane < 8u) {
        if (4u * lane + 0u < present) {
          let row = statisticsOf(firstRow + 4u * lane + 0u);
          nextSums[0] = row.x;
          nextMeans[0] = row.y;
        } else {
          nextSums[0] = -UNSEEN;
          nextMeans[0] = 0.0;
        }
        if (4u * lane + 1u < present) {
          let row = statisticsOf(firstRow + 4u * lane + 1u);
          nextSums[1] = row.x;
          nextMeans[1] = row.y;
        } else {
          nextSums[1] = -UNSEEN;
          nextMeans[1] = 0.0;
        }
        if (4u * lane + 2u < present) {
          let row = statisticsOf(firstRow + 4u * lane + 2u);
          nextSums[2] = row.x;
          nextMeans[2] = row.y;
        } else {
          nextSums[2] = -UNSEEN;
          nextMeans[2] = 0.0;
        }
        if (4u * lane + 3u < present) {
          let row = statisticsOf(firstRow + 4u * lane + 3u);
          nextSums[3] = row.x;
          nextMeans[3] = row.y;
        } else {
          nextSums[3] = -UNSEEN;
          nextMeans[3] = 0.0;
        }
      }
      }

      {
        var s0_0 = subgroup_matrix_result<f32, 16, 16>();
        var s0_1 = subgroup_matrix_result<f32, 16, 16>();
        var s1_0 = subgroup_matrix_result<f32, 16, 16>();
        var s1_1 = subgroup_matrix_result<f32, 16, 16>();
        let x0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, halfColumns + 0u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(a0_0, x0_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(a1_0, x0_0, s1_0);
        let x0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, halfColumns + 144u, 9u);
        s0_1 = subgroupMatrixMultiplyAccumulate(a0_0, x0_1, s0_1);
        s1_1 = subgroupMatrixMultiplyAccumulate(a1_0, x0_1, s1_1);
        let x1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, halfColumns + 2u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(a0_1, x1_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(a1_1, x1_0, s1_0);
        let x1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, halfColumns + 146u, 9u);
        s0_1 = subgroupMatrixMultiplyAccumulate(a0_1, x1_1, s0_1);
        s1_1 = subgroupMatrixMultiplyAccumulate(a1_1, x1_1, s1_1);
        let x2_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, halfColumns + 4u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(a0_2, x2_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(a1_2, x2_0, s1_0);
        let x2_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, halfColumns + 148u, 9u);
        s0_1 = subgroupMatrixMultiplyAccumulate(a0_2, x2_1, s0_1);
        s1_1 = subgroupMatrixMultiplyAccumulate(a1_2, x2_1, s1_1);
        let x3_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, halfColumns + 6u, 9u);
        s0_0 = subgroupMatrixMultiplyAccumulate(a0_3, x3_0, s0_0);
        s1_0 = subgroupMatrixMultiplyAccumulate(a1_3, x3_0, s1_0);
        let x3_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&tileMemory, halfColumns + 150u, 9u);
        s0_1 = subgroupMatrixMultiplyAccumulate(a0_3, x3_1, s0_1);
        s1_1 = subgroupMatrixMultiplyAccumulate(a1_3, x3_1, s1_1);
        subgroupMatrixStore<row_major>(&tileMemory, halfScores + 0u, s0_0, 9u);
        subgroupMatrixStore<row_major>(&tileMemory, halfScores + 4u, s0_1, 9u);
        subgroupMatrixStore<row_major>(&tileMemory, halfScores + 144u, s1_0, 9u);
        subgroupMatrixStore<row_major>(&tileMemory, halfScores + 148u, s1_1, 9u);
      }
      workgroupBarrier();
      weigh(tile, start, count, tokensAt, plain, ownRow, part);
      workgroupBarrier();
      {
        let p0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, halfWeights + 0u, 9u);
        let p1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, halfWeights + 144u, 9u);
        let y0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 0u, 9u);
        g0_0 = subgroupMatrixMultiplyAccumulate(p0_0, y0_0, g0_0);
        g1_0 = subgroupMatrixMultiplyAccumulate(p1_0, y0_0, g1_0);
        let y0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 2u, 9u);
        g0_1 = subgroupMatrixMultiplyAccumulate(p0_0, y0_1, g0_1);
        g1_1 = subgroupMatrixMultiplyAccumulate(p1_0, y0_1, g1_1);
        let y0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 4u, 9u);
        g0_2 = subgroupMatrixMultiplyAccumulate(p0_0, y0_2, g0_2);
        g1_2 = subgroupMatrixMultiplyAccumulate(p1_0, y0_2, g1_2);
        let y0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 6u, 9u);
        g0_3 = subgroupMatrixMultiplyAccumulate(p0_0, y0_3, g0_3);
        g1_3 = subgroupMatrixMultiplyAccumulate(p1_0, y0_3, g1_3);
        let p0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, halfWeights + 4u, 9u);
        let p1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, halfWeights + 148u, 9u);
        let y1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 144u, 9u);
        g0_0 = subgroupMatrixMultiplyAccumulate(p0_1, y1_0, g0_0);
        g1_0 = subgroupMatrixMultiplyAccumulate(p1_1, y1_0, g1_0);
        let y1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 146u, 9u);
        g0_1 = subgroupMatrixMultiplyAccumulate(p0_1, y1_1, g0_1);
        g1_1 = subgroupMatrixMultiplyAccumulate(p1_1, y1_1, g1_1);
        let y1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 148u, 9u);
        g0_2 = subgroupMatrixMultiplyAccumulate(p0_1, y1_2, g0_2);
        g1_2 = subgroupMatrixMultiplyAccumulate(p1_1, y1_2, g1_2);
        let y1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 150u, 9u);
        g0_3 = subgroupMatrixMultiplyAccumulate(p0_1, y1_3, g0_3);
        g1_3 = subgroupMatrixMultiplyAccumulate(p1_1, y1_3, g1_3);
      }
      workgroupBarrier();
      tileMemory[((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = words0;
      tileMemory[((lane + 128u) / 8u) * 9u + (lane + 128u) % 8u] = words1;
      tileMemory[((lane + 256u) / 8u) * 9u + (lane + 256u) % 8u] = words2;
      tileMemory[((lane + 384u) / 8u) * 9u + (lane + 384u) % 8u] = words3;
      if (lane < 8u) {
        columnStatistics[lane] = nextSums;
        columnStatistics[8u + lane] = nextMeans;
      }

      start = next;
      workgroupBarrier();
    }
  }
  let token = keyTokens[ownRow];
  let scoreScale = shape.scale * scales[SCORE_UNDONE] * scales[OUTPUT_UNDONE];
  let weightScale = 0.00006103515625 * scales[OUTPUT_UNDONE];
  let row = (tile.batch * shape.keyHeads + tile.keyHead) * shape.keyRows + select(u32(token), tile.firstSlot + ownRow, BY_SLOT == 1u);
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, halfScores + 0u, g0_0, 9u);
  subgroupMatrixStore<row_major>(&tileMemory, halfScores + 144u, g1_0, 9u);
  subgroupMatrixStore<row_major>(&tileMemory, halfScores + 4u, g0_1, 9u);
  subgroupMatrixStore<row_major>(&tileMemory, halfScores + 148u, g1_1, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 16u; i += 2u) {
      let second = i / 8u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + second * SCORE_WORDS + ownRow * 9u + i % 8u]);
      let d = 0u + i % 8u;
      if (second == 0u) {
        if (d < 16u) { keyGradientStore(row, d, scoreScale * numbers); }
      } else {
        if (d < 16u) { valueGradientStore(row, d, weightScale * numbers); }
      }
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tileMemory, halfScores + 0u, g0_2, 9u);
  subgroupMatrixStore<row_major>(&tileMemory, halfScores + 144u, g1_2, 9u);
  subgroupMatrixStore<row_major>(&tileMemory, halfScores + 4u, g0_3, 9u);
  subgroupMatrixStore<row_major>(&tileMemory, halfScores + 148u, g1_3, 9u);
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < 16u; i += 2u) {
      let second = i / 8u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + second * SCORE_WORDS + ownRow * 9u + i % 8u]);
      let d = 8u + i % 8u;
      if (second == 0u) {
        if (d < 16u) { keyGradientStore(row, d, scoreScale * numbers); }
      } else {
        if (d < 16u) { valueGradientStore(row, d, weightScale * numbers); }
      }
    }
  }
}
