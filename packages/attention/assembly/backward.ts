import { derive, modify } from './env';
import { CONSTANT_BYTES, expFour, useConstants } from './numbers';
import * as P from './params';
import { place, real, usePlace, word } from './params';
import { addRows, addValues, scoreTile } from './products';
import { gather, hideLater, packRows, resolveRows } from './tiles';
import * as Walk from './walk';

let queries: usize = 0; // [group][headDim][8], scaled
let gradients: usize = 0; // of outputs: [group][valueDim][8]
let queryGradients: usize = 0; // [group][headDim][8]
let queryRows: usize = 0; // [row][headDim up to whole vectors], scaled
let gradientRows: usize = 0; // [row][valueDim up to whole vectors]
let rowSums: usize = 0; // [group][8]
let rowMeans: usize = 0; // [group][8]
let rowTokens: usize = 0; // [group][8], -1: no query
let rowSlots: usize = 0; // [group][8]
let products: usize = 0; // [TILE][8]
let weights: usize = 0; // [TILE][8]: scores, then P
let scoreGradients: usize = 0; // [TILE][8]: dP, then dS
let derived: usize = 0; // [TILE][8]
let partials: usize = 0; // [TILE][8]
let keyTile: usize = 0; // [TILE][headDim]
let valueTile: usize = 0; // [TILE][valueDim]
let keyGradients: usize = 0; // [TILE][headDim up to whole vectors]
let valueGradients: usize = 0; // [TILE][valueDim up to whole vectors]
let sums: usize = 0; // f64: of tables and blocks, this task's

function whole(channels: i32): i32 {
  return (channels + 3) & ~3;
}

/** Bytes of scratch that one thread needs. */
export function backwardScratchBytes(headDim: i32, valueDim: i32): i32 {
  const ofRows = 2 * headDim + valueDim + whole(headDim) + whole(valueDim) + 4;
  const ofKeys = 40 + headDim + valueDim + whole(headDim) + whole(valueDim) + 3;
  return 4 * (P.ROWS_A_TASK * ofRows + P.TILE * ofKeys) + CONSTANT_BYTES + 64;
}

/** Runs tasks until the shared counter reaches the end, at most `most`; whether any may be left. */
export function attendBackward(params: usize, scratch: usize, most: i32): bool {
  usePlace(params);
  const headDim = word(P.HEAD_DIM);
  const valueDim = word(P.VALUE_DIM);
  const rows: usize = 4 * P.ROWS_A_TASK;
  const keys: usize = 4 * P.TILE;
  queries = scratch;
  gradients = queries + rows * headDim;
  queryGradients = gradients + rows * valueDim;
  queryRows = queryGradients + rows * headDim;
  gradientRows = queryRows + rows * whole(headDim);
  rowSums = gradientRows + rows * whole(valueDim);
  rowMeans = rowSums + rows;
  rowTokens = rowMeans + rows;
  rowSlots = rowTokens + rows;
  products = rowSlots + rows;
  weights = products + keys * 8;
  scoreGradients = weights + keys * 8;
  derived = scoreGradients + keys * 8;
  partials = derived + keys * 8;
  keyTile = partials + keys * 8;
  valueTile = keyTile + keys * headDim;
  keyGradients = valueTile + keys * valueDim;
  valueGradients = keyGradients + keys * whole(headDim);
  const lists = valueGradients + keys * whole(valueDim);
  Walk.useLists(lists);
  useConstants(lists + keys * 3);
  const tasks = word(P.TASKS);
  for (let done = 0; done < most; done++) {
    let task: i32;
    if (ASC_FEATURE_THREADS) task = atomic.add<i32>(params, 1);
    else {
      task = load<i32>(params);
      store<i32>(params, task + 1);
    }
    if (task >= tasks) return false;
    runTask(task);
  }
  return true;
}

/** A key head and a share of the queries that read it: nobody else adds to this task's gradients. */
function runTask(task: i32): void {
  const splits = word(P.SPLITS);
  const keyHead = task / splits;
  const split = task % splits;
  sums = place(P.TABLE_SUMS) + ((<usize>(task * word(P.TABLE_SUMS_A_TASK))) << 3);
  const group = word(P.HEADS) / word(P.KEY_HEADS);
  const batch = keyHead / word(P.KEY_HEADS);
  const chunksOfHead = word(P.QUERY_BLOCKS) * word(P.CHUNKS);
  const first = <i32>((<i64>chunksOfHead * split) / splits);
  const end = <i32>((<i64>chunksOfHead * (split + 1)) / splits);
  for (let member = 0; member < group; member++) {
    const head = (keyHead % word(P.KEY_HEADS)) * group + member;
    for (let chunk = first; chunk < end; chunk++) runChunk(batch, head, keyHead, split, chunk);
  }
}

function runChunk(batch: i32, head: i32, keyHead: i32, split: i32, chunk: i32): void {
  const chunks = word(P.CHUNKS);
  const block = chunk / chunks;
  const blockSize = word(P.QUERY_BLOCK);
  const inBlock = (chunk % chunks) * P.ROWS_A_TASK;
  const first = block * blockSize + inBlock;
  const rows = min(min(blockSize - inBlock, P.ROWS_A_TASK), word(P.QUERY_SLOTS) - first);
  if (rows <= 0) return;
  const groups = (rows + 7) >> 3;
  const batchHead = batch * word(P.HEADS) + head;
  resolveRows(first, inBlock, rows, groups, rowTokens, rowSlots);
  let lowest = i32.MAX_VALUE;
  let highest = -1;
  for (let i = 0; i < rows; i++) {
    const token = load<i32>(rowTokens + ((<usize>i) << 2));
    if (token < 0) continue;
    lowest = min(lowest, token);
    highest = max(highest, token);
  }
  if (highest < 0) return;
  loadRows(batchHead, groups);
  const causal = word(P.CAUSAL);
  const offset = word(P.CAUSAL_OFFSET);
  const lists = word(P.LIST_HEADS);
  const list = (word(P.LIST_BATCHES) === 1 ? 0 : batch) * lists + head / (word(P.HEADS) / lists);
  Walk.start(list, block, causal ? highest + offset : i32.MAX_VALUE);
  for (let count = Walk.next(); count > 0; count = Walk.next()) {
    const masksCausally = causal !== 0 && Walk.highest > lowest + offset;
    runTile(batch, head, keyHead, split, list, block, count, groups, masksCausally);
  }
  storeQueryGradients(batchHead, rows);
}

/** Queries and output gradients of the chunk in both layouts, and what is known of each row. */
function loadRows(batchHead: i32, groups: i32): void {
  const headDim = word(P.HEAD_DIM);
  const valueDim = word(P.VALUE_DIM);
  const half = word(P.HALF_INPUTS);
  packRows(place(P.QUERY), half, real(P.SCALE), batchHead, headDim, groups, rowTokens, queries);
  const halfGradient = word(P.HALF_OUTPUT_GRADIENT);
  packRows(place(P.OUTPUT_GRADIENT), halfGradient, 1, batchHead, valueDim, groups, rowTokens, gradients);
  unpack(queries, headDim, groups, queryRows);
  unpack(gradients, valueDim, groups, gradientRows);
  memory.fill(queryGradients, 0, (<usize>(groups * headDim)) << 5);
  for (let i = 0; i < groups << 3; i++) {
    const at = (<usize>i) << 2;
    const token = load<i32>(rowTokens + at);
    const row = (<usize>(batchHead * word(P.QUERY_TOKENS) + token)) << 2;
    store<f32>(rowSums + at, token < 0 ? <f32>1e30 : load<f32>(place(P.ROW_SUMS) + row));
    store<f32>(rowMeans + at, token < 0 ? 0 : load<f32>(place(P.ROW_MEANS) + row));
  }
}

/** [group][channels][8] row by row, rows padded to whole vectors. */
function unpack(packed: usize, channels: i32, groups: i32, rows: usize): void {
  const stride = (<usize>whole(channels)) << 2;
  memory.fill(rows, 0, <usize>(groups << 3) * stride);
  for (let i = 0; i < groups << 3; i++) {
    const from = packed + ((<usize>((i >> 3) * channels)) << 5) + ((<usize>(i & 7)) << 2);
    const to = rows + <usize>i * stride;
    for (let d = 0; d < channels; d++)
      store<f32>(to + ((<usize>d) << 2), load<f32>(from + ((<usize>d) << 5)));
  }
}

function runTile(
  batch: i32,
  head: i32,
  keyHead: i32,
  split: i32,
  list: i32,
  block: i32,
  count: i32,
  groups: i32,
  masksCausally: bool,
): void {
  const headDim = word(P.HEAD_DIM);
  const valueDim = word(P.VALUE_DIM);
  const headStride = (<usize>whole(headDim)) << 2;
  const valueStride = (<usize>whole(valueDim)) << 2;
  const keys = gather(place(P.KEY), keyTile, keyHead, count, headDim);
  const values = gather(place(P.VALUE), valueTile, keyHead, count, valueDim);
  const hasSlope = word(P.HAS_SLOPE);
  const reads = word(P.READS);
  memory.fill(keyGradients, 0, <usize>count * headStride);
  memory.fill(valueGradients, 0, <usize>count * valueStride);
  for (let group = 0; group < groups; group++) {
    const eight = (<usize>group) << 5;
    scoreTile(keys, count, headDim, queries + <usize>headDim * eight, products);
    memory.copy(weights, products, (<usize>count) << 5);
    if (word(P.MODIFIES)) {
      modify(
        weights,
        count,
        Walk.tokens,
        Walk.slots,
        Walk.full,
        rowTokens + eight,
        rowSlots + eight,
        place(P.TABLES),
        batch,
        head,
      );
    }
    if (masksCausally) hideLater(weights, count, rowTokens + eight);
    scoreTile(values, count, valueDim, gradients + <usize>valueDim * eight, scoreGradients);
    weigh(count, eight);
    addRows(weights, count, gradientRows + <usize>(group << 3) * valueStride, valueStride, valueGradients);
    for (let read = 0; read < reads; read++) addToTable(read, count, eight, batch, head);
    if (word(P.BLOCK_SUMS)) addToBlocks(count, batch * word(P.HEADS) + head, list, block);
    if (hasSlope) {
      evaluate(0, derived, count, eight, batch, head);
      times(derived, count);
    }
    addValues(keys, count, headDim, scoreGradients, queryGradients + <usize>headDim * eight);
    addRows(scoreGradients, count, queryRows + <usize>(group << 3) * headStride, headStride, keyGradients);
  }
  const first = <usize>(split * word(P.KEY_HEADS_IN_ALL) + keyHead) * <usize>word(P.KEY_STRIDE);
  addToTokens(place(P.KEY_GRADIENT), first, count, headDim, keyGradients);
  addToTokens(place(P.VALUE_GRADIENT), first, count, valueDim, valueGradients);
}

/** P = e^(S − L) and dS = P (dP − mean), 0 where P is. */
function weigh(count: i32, eight: usize): void {
  const sum0 = v128.load(rowSums + eight);
  const sum1 = v128.load(rowSums + eight, 16);
  const mean0 = v128.load(rowMeans + eight);
  const mean1 = v128.load(rowMeans + eight, 16);
  const zero = f32x4.splat(0);
  const end = (<usize>count) << 5;
  if (count & 1) {
    // a tile of an odd number of keys has room for one more, that no row sees
    v128.store(weights + end, f32x4.splat(-Infinity));
    v128.store(weights + end, f32x4.splat(-Infinity), 16);
  }
  for (let at: usize = 0; at < end; at += 64) expFour(weights + at, sum0, sum1);
  for (let at: usize = 0; at < end; at += 32) {
    const p0 = v128.load(weights + at);
    const p1 = v128.load(weights + at, 16);
    const d0 = f32x4.mul(p0, f32x4.sub(v128.load(scoreGradients + at), mean0));
    const d1 = f32x4.mul(p1, f32x4.sub(v128.load(scoreGradients + at, 16), mean1));
    v128.store(scoreGradients + at, v128.and(d0, f32x4.ne(p0, zero)));
    v128.store(scoreGradients + at, v128.and(d1, f32x4.ne(p1, zero)), 16);
  }
}

/** Expression `which` of the tile's pairs. */
function evaluate(which: i32, to: usize, count: i32, eight: usize, batch: i32, head: i32): void {
  memory.copy(to, products, (<usize>count) << 5);
  derive(
    which,
    to,
    count,
    Walk.tokens,
    Walk.slots,
    Walk.full,
    rowTokens + eight,
    rowSlots + eight,
    place(P.SCORE_TABLES),
    batch,
    head,
  );
}

/** dS = dS ∘ factors, 0 where P is. */
function times(factors: usize, count: i32): void {
  const zero = f32x4.splat(0);
  const end = (<usize>count) << 5;
  for (let at: usize = 0; at < end; at += 16) {
    const product = f32x4.mul(v128.load(scoreGradients + at), v128.load(factors + at));
    const seen = f32x4.ne(v128.load(weights + at), zero);
    v128.store(scoreGradients + at, v128.and(product, seen));
  }
}

function addToTable(read: i32, count: i32, eight: usize, batch: i32, head: i32): void {
  const at = place(P.READS_AT) + ((<usize>read) << 4);
  const partial = load<i32>(at, 4);
  const first = sums + ((<usize>load<i32>(at, 8)) << 3);
  const last = load<i32>(at, 12);
  evaluate(load<i32>(at), derived, count, eight, batch, head);
  if (partial >= 0) evaluate(partial, partials, count, eight, batch, head);
  for (let i = 0; i < count << 3; i++) {
    const pair = (<usize>i) << 2;
    if (load<f32>(weights + pair) === 0) continue;
    let part = <f64>load<f32>(scoreGradients + pair);
    if (partial >= 0) part *= <f64>load<f32>(partials + pair);
    const to = first + ((<usize>min(max(load<i32>(derived + pair), 0), last)) << 3);
    store<f64>(to, load<f64>(to) + part);
  }
}

function addToBlocks(count: i32, batchHead: i32, list: i32, block: i32): void {
  const queryBlocks = word(P.QUERY_BLOCKS);
  const row = place(P.ROWS) + ((<usize>(list * queryBlocks + block)) << 3);
  const entries = place(P.BLOCKS) + ((<usize>load<i32>(row)) << 2);
  const cells = word(P.BLOCK_SUMS_AT) + (batchHead * queryBlocks + block) * word(P.PLAN_KEY_BLOCKS);
  for (let i = 0; i < count; i++) {
    const entry = load<i32>(Walk.slots + ((<usize>i) << 2)) / word(P.KEY_BLOCK);
    const keyBlock = load<i32>(entries + ((<usize>entry) << 2)) & 0x7fffffff;
    const to = sums + ((<usize>(cells + keyBlock)) << 3);
    let sum = load<f64>(to);
    for (let r = 0; r < 8; r++) sum += <f64>load<f32>(scoreGradients + ((<usize>((i << 3) + r)) << 2));
    store<f64>(to, sum);
  }
}

/** Adds the tile's rows to those of their tokens; zero keys have none. */
function addToTokens(target: usize, first: usize, count: i32, channels: i32, rows: usize): void {
  const stride = (<usize>whole(channels)) << 2;
  for (let i = 0; i < count; i++) {
    const token = load<i32>(Walk.tokens + ((<usize>i) << 2));
    if (token < 0) continue;
    const to = target + (((first + <usize>token) * <usize>channels) << 2);
    const from = rows + <usize>i * stride;
    let d: usize = 0;
    const end = (<usize>channels) << 2;
    for (; d + 16 <= end; d += 16) v128.store(to + d, f32x4.add(v128.load(to + d), v128.load(from + d)));
    for (; d < end; d += 4) store<f32>(to + d, load<f32>(to + d) + load<f32>(from + d));
  }
}

function storeQueryGradients(batchHead: i32, rows: i32): void {
  const headDim = word(P.HEAD_DIM);
  const scale = real(P.SCALE);
  for (let i = 0; i < rows; i++) {
    const token = load<i32>(rowTokens + ((<usize>i) << 2));
    if (token < 0) continue;
    const row = <usize>(batchHead * word(P.QUERY_TOKENS) + token) * <usize>headDim;
    const to = place(P.QUERY_GRADIENT) + (row << 2);
    const from = queryGradients + ((<usize>((i >> 3) * headDim)) << 5) + ((<usize>(i & 7)) << 2);
    for (let d = 0; d < headDim; d++)
      store<f32>(to + ((<usize>d) << 2), scale * load<f32>(from + ((<usize>d) << 5)));
  }
}
