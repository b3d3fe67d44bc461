import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { type Bindings, read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import { readVector, readWide, rowBinding } from './access.ts';
import type { DecodeTile, RowLanes } from './decode-tile.ts';
import {
  type ForwardOptions,
  forwardConstants,
  forwardNumbers,
  hasExpressions,
  shapeFields,
} from './forward-options.ts';
import { keyConstants, keyStages } from './keys.ts';
import { pairStages } from './pairs.ts';
import { queryInOrder } from './rows.ts';
import { each } from './text.ts';
import { weights } from './weights.ts';

export interface DecodeOptions extends ForwardOptions {
  tile: DecodeTile;
}

/** Numbers of a launch beside those of every forward kernel. */
export const decodeFields = {
  ...shapeFields,
  sharedHeads: 'u32', // query heads with one key head and one key list
  headTiles: 'u32', // workgroups that they take
  splits: 'u32',
} as const;

function bindingsOf({ storage, headDim, valueDim, lists, tableBindings }: DecodeOptions): Bindings {
  return {
    query: rowBinding(storage, headDim), // [batch, heads, queryTokens, headDim]
    key: rowBinding(storage, headDim, true), // [batch, keyHeads, keyStride, headDim]
    value: rowBinding(storage, valueDim, true), // [batch, keyHeads, keyStride, valueDim]
    partialOutput: write('vec4<f32>'), // [batch, heads, querySlots, splits, valueDim]: Σ P V
    partialSums: write('vec2<f32>'), // [batch, heads, querySlots, splits]: m, l
    shape: uniform(decodeFields),
    plan: read('u32'), // query order, key order, lists
    ...(lists === 'tensors' && { rows: read('u32'), blocks: read('u32') }),
    ...tableBindings,
  };
}

const shares = ({ rows, value }: DecodeTile) =>
  each(rows, (r) =>
    each(value.chunks, (c) => each(value.vectors, (w) => `var<private> o${r}_${c}_${w}: vec4<f32>;`)),
  );

/** Query rows share a workgroup where they share its keys; workgroups that share keys run side by side, for the cache. */
const locate = wgsl`
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
fn rowOf(tile: Located, token: i32) -> u32 { return tile.keyRow + select(0u, u32(token & TOKEN_BITS), token >= 0); }`;

/** Number of a thread's read, as WGSL. */
const unitOf = ({ lanes }: RowLanes, chunk: number) => `unit + ${chunk * lanes}u`;

/** Four rows' reads of one thread, all under way together: raw<row>_<chunk>. Lanes beyond a row's end read its last part. */
const reads = (name: 'key' | 'value', lanes: RowLanes) =>
  each(4, (j) =>
    each(lanes.chunks, (c) => {
      const beyond = lanes.chunks * lanes.lanes > lanes.reads;
      const unit = beyond ? `min(${unitOf(lanes, c)}, ${lanes.reads - 1}u)` : unitOf(lanes, c);
      return `    let raw${j}_${c} = ${name}Raw(rowOf(tile, token${j}), ${unit});`;
    }),
  );

/** q·k of a thread's channels, for four keys of each row at once. */
const products = ({ key }: DecodeTile) => {
  const beyond = key.chunks * key.lanes > key.reads;
  const part = (j: number, c: number, w: number) =>
    beyond
      ? `select(vec4<f32>(), keyPart${w}(raw${j}_${c}), ${unitOf(key, c)} < ${key.reads}u)`
      : `keyPart${w}(raw${j}_${c})`;
  const terms = (line: (c: number, w: number) => string) =>
    each(key.chunks, (c) => each(key.vectors, (w) => line(c, w)));
  return wgsl`
fn products(tile: Located, start: u32, lane: u32) {
  let unit = lane % KEY_LANES;
  let keyLane = lane / KEY_LANES;
  for (var sweep = 0u; sweep < KEY_TILE / SWEEP; sweep++) {
${each(4, (j) => `    let token${j} = keyTokens[start + sweep * SWEEP + ${j}u * KEYS_AT_ONCE + keyLane];`)}
${reads('key', key)}
${terms((c, w) => each(4, (j) => `    let k${j}_${c}_${w} = ${part(j, c, w)};`))}
    for (var row = 0u; row < ROWS; row++) {
      var s = vec4<f32>();
${terms(
  (c, w) => `      let q${c}_${w} = queries[row * QUERY_STRIDE + (${unitOf(key, c)}) * KEY_VECTORS + ${w}u];
      s += vec4<f32>(dot(q${c}_${w}, k0_${c}_${w}), dot(q${c}_${w}, k1_${c}_${w}), dot(q${c}_${w}, k2_${c}_${w}), dot(q${c}_${w}, k3_${c}_${w}));`,
)}
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
}`;
};

const finished = {
  plain: wgsl`
fn finished(tile: Located, row: u32, place: u32, sum: f32) -> f32 {
  return select(sum * (shape.scale * LOG2_E), HIDDEN, keyTokens[place] == ABSENT);
}`,
  changed: wgsl`
fn finished(tile: Located, row: u32, place: u32, sum: f32) -> f32 {
  var own = tile;
  own.head = headOf(tile, row);
  let querySlot = i32(slotOf(tile, row) - tile.block * shape.queryBlock);
  return finishPair(own, queryOf(tile, row), querySlot, keyTokens[place], tile.split * SPLIT + place, sum);
}`,
};

/** S of a key tile, from the partial products of the threads that share a key. */
const finishScores = wgsl`
fn finishScores(tile: Located, start: u32, lane: u32) {
  for (var i = lane; i < ROWS * KEY_TILE; i += THREADS) {
    let row = i / KEY_TILE;
    let place = start + i % KEY_TILE;
    let sum = select(0.0, product(row, i % KEY_TILE), keyTokens[place] >= 0);
    weights[row * (SPLIT / 4u) + place / 4u][place % 4u] = finished(tile, row, place, sum);
  }
}`;

/** m = max S, P = 2^(S − m), l = Σ P of every row, over the \`used\` keys of the split. */
const softmax = wgsl`
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
}`;

/** O = P V over a thread's channels and its share of the keys. Hidden pairs are left out: 0 times NaN is NaN. */
const accumulate = (tile: DecodeTile, hides: boolean) => {
  const { rows, value } = tile;
  const terms = (line: (c: number, w: number) => string) =>
    each(value.chunks, (c) => each(value.vectors, (w) => line(c, w)));
  const add = (r: number, j: number, c: number, w: number) => {
    const term = `p${r}[${j}] * v${j}_${c}_${w}`;
    return `    o${r}_${c}_${w} += ${hides ? `select(vec4<f32>(), ${term}, p${r}[${j}] != 0.0)` : term};`;
  };
  return wgsl`
fn accumulate(tile: Located, used: u32, lane: u32) {
  let unit = lane % VALUE_LANES;
  for (var v = lane / VALUE_LANES; v < used / 4u; v += VALUES_AT_ONCE) {
${each(4, (j) => `    let token${j} = keyTokens[4u * v + ${j}u];`)}
${reads('value', value)}
${terms((c, w) => each(4, (j) => `    let v${j}_${c}_${w} = select(vec4<f32>(), valuePart${w}(raw${j}_${c}), token${j} >= 0);`))}
${each(rows, (r) => `    let p${r} = weights[${r}u * (SPLIT / 4u) + v];`)}
${terms((c, w) => each(4, (j) => each(rows, (r) => add(r, j, c, w))))}
  }
}`;
};

/** A row's output of the split: the sum of what its threads have, one row after another through \`exchange\`. */
const store = ({ rows, value }: DecodeTile) => wgsl`
${each(
  rows,
  (r) => `fn tellRow${r}(lane: u32) {
${each(value.chunks, (c) => each(value.vectors, (w) => `  exchange[${c * value.vectors + w}u * THREADS + lane] = o${r}_${c}_${w};`))}
}`,
)}

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
}`;

/**
 * The first half of decoding: softmax attention of a few query rows over one split of their keys, m, l = Σ 2^(S − m)
 * and Σ 2^(S − m) V (Flash-Decoding, Dao et al. 2023). Keys and values go from storage to registers, 16 bytes a thread and
 * read, neighbours side by side along a row: what bounds it is the memory. decodeMerge joins the splits.
 */
export const decodeSplit = kept((options: DecodeOptions): Kernel => {
  const { tile, storage, headDim, valueDim } = options;
  const changed = hasExpressions(options);
  return assemble({
    name: 'softmax-decode-split',
    bindings: bindingsOf(options),
    constants: {
      QUERY_TILE: tile.queries,
      HEADS: tile.heads,
      ROWS: tile.rows,
      SPLIT: tile.split,
      KEY_TILE: tile.keyTile,
      SWEEP: 4 * tile.key.rowsAtOnce,
      KEY_LANES: tile.key.lanes,
      KEYS_AT_ONCE: tile.key.rowsAtOnce,
      KEY_VECTORS: tile.key.vectors,
      HEAD_VECTORS: Math.ceil(headDim / 4),
      QUERY_STRIDE: tile.key.lanes * tile.key.chunks * tile.key.vectors,
      VALUE_LANES: tile.value.lanes,
      VALUES_AT_ONCE: tile.value.rowsAtOnce,
      VALUE_PARTS: tile.value.vectors,
      VALUE_VECTORS: Math.ceil(valueDim / 4),
      ROW_THREADS: tile.rowThreads,
      THREADS: tile.threads,
      ...forwardConstants,
    },
    memory: tile.memory,
    registers: `${shares(tile)}
${forwardNumbers}`,
    stages: [
      keyConstants,
      readVector('query', storage, headDim),
      readWide('key', storage, headDim),
      readWide('value', storage, valueDim),
      queryInOrder(options),
      locate,
      ...keyStages(options),
      products(tile),
      ...options.tableStages,
      ...(changed ? pairStages(options) : []),
      finished[changed ? 'changed' : 'plain'],
      finishScores,
      weights({ negative: false }),
      softmax,
      accumulate(tile, changed),
      store(tile),
    ],
    threads: tile.threads,
    memoryLimit: options.memoryLimit,
    main: wgsl`
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
${each(
  tile.rows,
  (r) => `  tellRow${r}(lane);
  workgroupBarrier();
  storeRow(tile, ${r}u, lane);
  workgroupBarrier();`,
)}`,
  });
});
