// softmax-backward-matrix-queries: 46592 bytes of workgroup memory, 256 threads

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
@group(0) @binding(6) var<storage, read_write> queryGradient: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> scales: array<f32>;

const QUERY_TILE = 128u;
const KEY_TILE = 32u;
const THREADS = 256u;
const SUBGROUPS = 8u;
const SCORES_AT = 576u;
const SCORE_WORDS = 1152u;
const NO_TOKEN = 4294967295u;
const BY_SLOT = 0u;
const OUTPUT = 0u;
const SCORE = 1u;
const OUTPUT_UNDONE = 2u;
const SCORE_UNDONE = 3u;

var<workgroup> tileMemory: array<vec4<u32>, 2880>;
var<workgroup> queryTokens: array<i32, 128>;

const LOG2_E = 1.4426950408889634;
const WEIGHT_BITS = 14.0;
// A row that sees no key has this for a sum, so that its weights are 0; sums and scores from here on are never real.
const UNSEEN = 1e30;
const HIDDEN = -1e29;

const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;

fn queryOctet(row: u32, d: u32) -> vec4<u32> { return query[row * 8u + d]; }

fn queryWord(row: u32, d: u32) -> vec4<u32> {
  return queryOctet(row, d);
}

fn outputGradientOctet(row: u32, d: u32) -> vec4<u32> { return outputGradient[row * 8u + d]; }

fn outputGradientWord(row: u32, d: u32) -> vec4<u32> {
  return outputGradientOctet(row, d);
}

fn keyOctet(row: u32, d: u32) -> vec4<u32> { return key[row * 8u + d]; }

fn keyWord(row: u32, d: u32) -> vec4<u32> {
  return keyOctet(row, d);
}

fn valueOctet(row: u32, d: u32) -> vec4<u32> { return value[row * 8u + d]; }

fn valueWord(row: u32, d: u32) -> vec4<u32> {
  return valueOctet(row, d);
}

fn rowWord(second: bool, row: u32, d: u32) -> vec4<u32> {
  if (second) { return outputGradientWord(row, d); }
  return queryWord(row, d);
}

fn columnWord(second: bool, row: u32, d: u32) -> vec4<u32> {
  if (second) { return valueWord(row, d); }
  return keyWord(row, d);
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

fn keyCount(tile: Located) -> u32 { return shape.keyTokens; }

fn keyToken(tile: Located, slot: u32) -> i32 { return i32(slot); }

fn stageRows(tile: Located, lane: u32) {
  for (var i = lane; i < 2048u; i += 256u) {
    let row = (i / 8u) % 128u;
    let second = i >= 1024u;
    let token = queryTokens[row];
    var numbers = vec4<u32>();
    if (token >= 0) { numbers = rowWord(second, tile.queryRow + u32(token), i % 8u); }
    tileMemory[select(0u, 1152u, second) + row * 9u + i % 8u] = numbers;
  }
}

// Of the queries' side, the row's own: the sum as an exponent takes it, and what is added to dP.
var<private> rowSum = -UNSEEN;
var<private> rowMean = 0.0;

fn weigh(tile: Located, start: u32, count: u32, tokensAt: u32, plain: bool, row: u32, part: u32) {
  let at = 576u + row * 9u + part * 4u;
  let factor = vec4<f32>(shape.scale * LOG2_E);
  let gradientFactor = vec4<f32>(scales[SCORE]);
  let sum0 = vec4<f32>(rowSum);
  let mean0 = vec4<f32>(rowMean);
  let sum1 = vec4<f32>(rowSum);
  let mean1 = vec4<f32>(rowMean);
  let sum2 = vec4<f32>(rowSum);
  let mean2 = vec4<f32>(rowMean);
  let sum3 = vec4<f32>(rowSum);
  let mean3 = vec4<f32>(rowMean);
  let s0 = bitcast<vec4<f32>>(tileMemory[at + 0u]);
  let d0 = bitcast<vec4<f32>>(tileMemory[at + 1152u]);
  var p0 = exp2(fma(s0, factor, sum0));
  let s1 = bitcast<vec4<f32>>(tileMemory[at + 1u]);
  let d1 = bitcast<vec4<f32>>(tileMemory[at + 1153u]);
  var p1 = exp2(fma(s1, factor, sum1));
  let s2 = bitcast<vec4<f32>>(tileMemory[at + 2u]);
  let d2 = bitcast<vec4<f32>>(tileMemory[at + 1154u]);
  var p2 = exp2(fma(s2, factor, sum2));
  let s3 = bitcast<vec4<f32>>(tileMemory[at + 3u]);
  let d3 = bitcast<vec4<f32>>(tileMemory[at + 1155u]);
  var p3 = exp2(fma(s3, factor, sum3));
  if (!plain) {
    p0 = select(vec4<f32>(), p0, ((vec4<u32>(part * 16u + 0u) + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(count - start)));
    p1 = select(vec4<f32>(), p1, ((vec4<u32>(part * 16u + 4u) + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(count - start)));
    p2 = select(vec4<f32>(), p2, ((vec4<u32>(part * 16u + 8u) + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(count - start)));
    p3 = select(vec4<f32>(), p3, ((vec4<u32>(part * 16u + 12u) + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(count - start)));
  }
  let g0 = p0 * fma(d0, gradientFactor, mean0);
  let g1 = p1 * fma(d1, gradientFactor, mean1);
  let g2 = p2 * fma(d2, gradientFactor, mean2);
  let g3 = p3 * fma(d3, gradientFactor, mean3);
  let to = row * 9u + part * 4u;
  tileMemory[576u + to] = vec4<u32>(pack2x16float(p0.xy), pack2x16float(p0.zw), pack2x16float(p1.xy), pack2x16float(p1.zw));
  tileMemory[1728u + to] = vec4<u32>(pack2x16float(g0.xy), pack2x16float(g0.zw), pack2x16float(g1.xy), pack2x16float(g1.zw));
  tileMemory[577u + to] = vec4<u32>(pack2x16float(p2.xy), pack2x16float(p2.zw), pack2x16float(p3.xy), pack2x16float(p3.zw));
  tileMemory[1729u + to] = vec4<u32>(pack2x16float(g2.xy), pack2x16float(g2.zw), pack2x16float(g3.xy), pack2x16float(g3.zw));
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
  let isSecond = subgroupAt >= 4u;
  let ownRow = lane / 2u;
  let part = lane % 2u;
  let firstRow = subgroupAt % 4u * 32u;
  // what the subgroup reads and writes: operands of scores, scores, weights and operands of gradients
  let halfColumns = select(0u, 288u, isSecond);
  let halfScores = SCORES_AT + select(0u, SCORE_WORDS, isSecond) + firstRow * 9u;
  let halfWeights = 1728u + firstRow * 9u;
  let halfChannels = select(0u, 4u, isSecond);
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  workgroupBarrier();
  stageRows(tile, lane);
  workgroupBarrier();
  let rowsAt = select(0u, 1152u, isSecond) + firstRow * 9u;
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
  var g1_0 = subgroup_matrix_result<f32, 16, 16>();
  var g1_1 = subgroup_matrix_result<f32, 16, 16>();
  var words0: vec4<u32>;
  var words1: vec4<u32>;


  if (queryTokens[ownRow] >= 0) {
    let statistics = rowStats[tile.queryRow + u32(queryTokens[ownRow])];
    rowSum = WEIGHT_BITS - statistics.x;
    rowMean = -statistics.y * scales[OUTPUT] * scales[SCORE];
  }
  {
    let first = 0u;

      {
      let firstRow = tile.keyRow + u32(keyToken(tile, min(first, max(count, 1u) - 1u)) & TOKEN_BITS);
      let present = count - min(first, count);
      words0 = vec4<u32>();
      if (true && ((lane + 0u) / 8u) % 32u < present) { words0 = columnWord(false, firstRow + ((lane + 0u) / 8u) % 32u, (lane + 0u) % 8u); }
      words1 = vec4<u32>();
      if (true && ((lane + 256u) / 8u) % 32u < present) { words1 = columnWord(true, firstRow + ((lane + 256u) / 8u) % 32u, (lane + 256u) % 8u); }

      }
      tileMemory[((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = words0;
      tileMemory[((lane + 256u) / 8u) * 9u + (lane + 256u) % 8u] = words1;

    workgroupBarrier();
    for (var start = first; start < count; ) {
      let next = start + 32u;
      let tokensAt = 0u;
      let plain = start + 32u <= count;

      {
      let firstRow = tile.keyRow + u32(keyToken(tile, min(next, max(count, 1u) - 1u)) & TOKEN_BITS);
      let present = count - min(next, count);
      words0 = vec4<u32>();
      if (true && ((lane + 0u) / 8u) % 32u < present) { words0 = columnWord(false, firstRow + ((lane + 0u) / 8u) % 32u, (lane + 0u) % 8u); }
      words1 = vec4<u32>();
      if (true && ((lane + 256u) / 8u) % 32u < present) { words1 = columnWord(true, firstRow + ((lane + 256u) / 8u) % 32u, (lane + 256u) % 8u); }

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
        let p0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, halfWeights + 4u, 9u);
        let p1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tileMemory, halfWeights + 148u, 9u);
        let y1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 144u, 9u);
        g0_0 = subgroupMatrixMultiplyAccumulate(p0_1, y1_0, g0_0);
        g1_0 = subgroupMatrixMultiplyAccumulate(p1_1, y1_0, g1_0);
        let y1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tileMemory, halfChannels + 146u, 9u);
        g0_1 = subgroupMatrixMultiplyAccumulate(p0_1, y1_1, g0_1);
        g1_1 = subgroupMatrixMultiplyAccumulate(p1_1, y1_1, g1_1);
      }
      workgroupBarrier();
      tileMemory[((lane + 0u) / 8u) * 9u + (lane + 0u) % 8u] = words0;
      tileMemory[((lane + 256u) / 8u) * 9u + (lane + 256u) % 8u] = words1;


      start = next;
      workgroupBarrier();
    }
  }
  let token = queryTokens[ownRow];
  let scoreScale = shape.scale * scales[SCORE_UNDONE] * scales[OUTPUT_UNDONE];

  let row = tile.queryRow + u32(token);
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
      let d = second * 8u + 0u + i % 8u;
      if (d < 16u) { queryGradientStore(row, d, scoreScale * numbers); }
    }
  }
}
