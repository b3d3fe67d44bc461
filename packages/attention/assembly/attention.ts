import { modify, log as naturalLog } from './env';
import { CONSTANT_BYTES, expFour, halfAt, storeHalf, useConstants } from './numbers';
import * as P from './params';
import { place, real, usePlace, word } from './params';
import { addSeenValues, addValues, anyNonFinite, scoreTile } from './products';
import { addRow, scoreRow, weighRow } from './row';
import { gather, hideLater, packRows, resolveRows } from './tiles';
import * as Walk from './walk';

/** A row's maximum is only moved when a tile exceeds it by this (e^5.5 = 2^8), so most tiles rescale nothing. */
const SLACK: f32 = 5.545177444479562;

let queries: usize = 0; // [group][headDim][8]
let outputs: usize = 0; // [group][valueDim][8]
let maxima: usize = 0; // [group][8]
let sums: usize = 0; // [group][8]
let rowTokens: usize = 0; // [group][8], -1: no query
let rowSlots: usize = 0; // [group][8]
let scores: usize = 0; // [TILE][8]
let factors: usize = 0; // [2][8]: what a tile's new maxima shrink earlier sums by, twice
let keyTile: usize = 0; // [TILE][headDim]
let valueTile: usize = 0; // [TILE][valueDim]

/** Bytes of scratch that one thread needs. */
export function scratchBytes(headDim: i32, valueDim: i32): i32 {
  return (
    4 * (P.ROWS_A_TASK * (headDim + valueDim + 4) + P.TILE * (8 + headDim + valueDim + 3)) +
    CONSTANT_BYTES +
    128
  );
}

/** Runs tasks until the shared counter reaches the end, at most `most`; whether any may be left. */
export function attend(params: usize, scratch: usize, most: i32): bool {
  usePlace(params);
  const headDim = word(P.HEAD_DIM);
  const valueDim = word(P.VALUE_DIM);
  queries = scratch;
  outputs = queries + 4 * P.ROWS_A_TASK * headDim;
  maxima = outputs + 4 * P.ROWS_A_TASK * valueDim;
  sums = maxima + 4 * P.ROWS_A_TASK;
  rowTokens = sums + 4 * P.ROWS_A_TASK;
  rowSlots = rowTokens + 4 * P.ROWS_A_TASK;
  scores = rowSlots + 4 * P.ROWS_A_TASK;
  keyTile = scores + 32 * P.TILE;
  valueTile = keyTile + 4 * P.TILE * headDim;
  Walk.useLists(valueTile + 4 * P.TILE * valueDim);
  factors = valueTile + 4 * P.TILE * (valueDim + 3);
  useConstants(factors + 64);
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

function runTask(task: i32): void {
  const chunks = word(P.CHUNKS);
  const queryBlocks = word(P.QUERY_BLOCKS);
  const heads = word(P.HEADS);
  const chunk = task % chunks;
  const rest = task / chunks;
  const block = rest % queryBlocks;
  const batchHead = rest / queryBlocks;
  const batch = batchHead / heads;
  const head = batchHead % heads;
  const blockSize = word(P.QUERY_BLOCK);
  const inBlock = chunk * P.ROWS_A_TASK;
  const first = block * blockSize + inBlock;
  const rows = min(min(blockSize - inBlock, P.ROWS_A_TASK), word(P.QUERY_SLOTS) - first);
  if (rows <= 0) return;
  const groups = (rows + 7) >> 3;
  packQueries(batchHead, first, inBlock, rows, groups);

  const causal = word(P.CAUSAL);
  const offset = word(P.CAUSAL_OFFSET);
  let lowest = i32.MAX_VALUE;
  let highest = -1;
  for (let i = 0; i < rows; i++) {
    const token = load<i32>(rowTokens + ((<usize>i) << 2));
    if (token < 0) continue;
    lowest = min(lowest, token);
    highest = max(highest, token);
  }
  if (highest < 0) return;
  const lists = word(P.LIST_HEADS);
  const list = (word(P.LIST_BATCHES) === 1 ? 0 : batch) * lists + head / (heads / lists);
  Walk.start(list, block, causal ? highest + offset : i32.MAX_VALUE);
  const keyHead = batch * word(P.KEY_HEADS) + head / (heads / word(P.KEY_HEADS));
  if (rows === 1 && !word(P.MODIFIES)) {
    runRow(keyHead);
    storeRows(batchHead, rows);
    return;
  }
  for (let count = Walk.next(); count > 0; count = Walk.next()) {
    const masksCausally = causal !== 0 && Walk.highest > lowest + offset;
    runTile(keyHead, count, groups, masksCausally, batch, head);
  }
  storeRows(batchHead, rows);
}

/** Scaled queries of up to 64 slots, 8 rows side by side; padding rows are zero. Clears the sums. */
function packQueries(batchHead: i32, first: i32, inBlock: i32, rows: i32, groups: i32): void {
  memory.fill(outputs, 0, (<usize>(groups * word(P.VALUE_DIM))) << 5);
  memory.fill(sums, 0, (<usize>groups) << 5);
  for (let i = 0; i < groups << 3; i++) store<f32>(maxima + ((<usize>i) << 2), -Infinity);
  resolveRows(first, inBlock, rows, groups, rowTokens, rowSlots);
  packRows(
    place(P.QUERY),
    word(P.HALF_INPUTS),
    real(P.SCALE),
    batchHead,
    word(P.HEAD_DIM),
    groups,
    rowTokens,
    queries,
  );
}

/**
 * A task of one row and no expression: nothing that the walk visits is masked. The row's numbers lie side by side meanwhile,
 * at the start of where those of eight rows do.
 */
function runRow(keyHead: i32): void {
  const headDim = word(P.HEAD_DIM);
  const valueDim = word(P.VALUE_DIM);
  for (let d = 1; d < headDim; d++)
    store<f32>(queries + ((<usize>d) << 2), load<f32>(queries + ((<usize>d) << 5)));
  for (let count = Walk.next(); count > 0; count = Walk.next()) {
    scoreRow(gather(place(P.KEY), keyTile, keyHead, count, headDim), count, headDim, queries, scores);
    weighRow(scores, count, maxima, sums, factors, outputs, valueDim);
    addRow(gather(place(P.VALUE), valueTile, keyHead, count, valueDim), count, valueDim, scores, outputs);
  }
  for (let d = valueDim - 1; d > 0; d--)
    store<f32>(outputs + ((<usize>d) << 5), load<f32>(outputs + ((<usize>d) << 2)));
}

function runTile(keyHead: i32, count: i32, groups: i32, masksCausally: bool, batch: i32, head: i32): void {
  const headDim = word(P.HEAD_DIM);
  const valueDim = word(P.VALUE_DIM);
  const modifies = word(P.MODIFIES);
  const keys = gather(place(P.KEY), keyTile, keyHead, count, headDim);
  const values = gather(place(P.VALUE), valueTile, keyHead, count, valueDim);
  const hides = modifies !== 0 || masksCausally;
  const careful = hides && anyNonFinite(values, count * valueDim);
  for (let group = 0; group < groups; group++) {
    const eight = (<usize>group) << 5;
    const output = outputs + <usize>valueDim * eight;
    scoreTile(keys, count, headDim, queries + <usize>headDim * eight, scores);
    if (modifies) {
      modify(
        scores,
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
    if (masksCausally) hideLater(scores, count, rowTokens + eight);
    if (!weigh(count, group, output, valueDim)) continue;
    if (careful) addSeenValues(values, count, valueDim, scores, output);
    else addValues(values, count, valueDim, scores, output);
  }
}

/** Whether any of the scores from `at` to `end` is NaN. */
function anyNaN(at: usize, end: usize): bool {
  let found = f32x4.splat(0);
  for (; at < end; at += 16) {
    const s = v128.load(at);
    found = v128.or(found, f32x4.ne(s, s));
  }
  return v128.any_true(found);
}

function finiteBase(maximum: v128): v128 {
  return v128.andnot(maximum, f32x4.eq(maximum, f32x4.splat(-Infinity)));
}

/**
 * Online softmax of a tile, eight rows at once: scores become weights. False if no row sees any key of it.
 * pmax keeps its first operand when the second is NaN: maxima stay numbers and the weights carry the NaN.
 */
function weigh(count: i32, group: i32, output: usize, valueDim: i32): bool {
  const lowest = f32x4.splat(-Infinity);
  const end = scores + ((<usize>count) << 5);
  let top0 = lowest;
  let top1 = lowest;
  for (let at = scores; at < end; at += 32) {
    top0 = f32x4.pmax(top0, v128.load(at));
    top1 = f32x4.pmax(top1, v128.load(at, 16));
  }
  const nothing = i32x4.all_true(v128.and(f32x4.eq(top0, lowest), f32x4.eq(top1, lowest)));
  if (nothing && !anyNaN(scores, end)) return false;
  const eight = (<usize>group) << 5;
  let max0 = v128.load(maxima + eight);
  let max1 = v128.load(maxima + eight, 16);
  let sum0 = v128.load(sums + eight);
  let sum1 = v128.load(sums + eight, 16);
  const slack = f32x4.splat(SLACK);
  if (
    v128.any_true(v128.or(f32x4.gt(top0, f32x4.add(max0, slack)), f32x4.gt(top1, f32x4.add(max1, slack))))
  ) {
    const new0 = f32x4.pmax(max0, top0);
    const new1 = f32x4.pmax(max1, top1);
    v128.store(factors, max0);
    v128.store(factors, max1, 16);
    expFour(factors, finiteBase(new0), finiteBase(new1));
    const factor0 = v128.load(factors);
    const factor1 = v128.load(factors, 16);
    max0 = new0;
    max1 = new1;
    sum0 = f32x4.mul(sum0, factor0);
    sum1 = f32x4.mul(sum1, factor1);
    v128.store(maxima + eight, max0);
    v128.store(maxima + eight, max1, 16);
    const last = output + ((<usize>valueDim) << 5);
    for (let at = output; at < last; at += 32) {
      v128.store(at, f32x4.mul(v128.load(at), factor0));
      v128.store(at, f32x4.mul(v128.load(at, 16), factor1), 16);
    }
  }
  const base0 = finiteBase(max0);
  const base1 = finiteBase(max1);
  if (count & 1) {
    // a tile of an odd number of keys has room for one more, that no row sees
    v128.store(end, lowest);
    v128.store(end, lowest, 16);
  }
  for (let at = scores; at < end; at += 64) {
    expFour(at, base0, base1);
    sum0 = f32x4.add(sum0, f32x4.add(v128.load(at), v128.load(at, 32)));
    sum1 = f32x4.add(sum1, f32x4.add(v128.load(at, 16), v128.load(at, 48)));
  }
  v128.store(sums + eight, sum0);
  v128.store(sums + eight, sum1, 16);
  return true;
}

/** Divides by the sums, applies the epilogue, writes rows and their log-sum-exp. */
function storeRows(batchHead: i32, rows: i32): void {
  const valueDim = word(P.VALUE_DIM);
  const half = word(P.HALF_OUTPUT);
  const epilogue = word(P.EPILOGUE);
  const scaleTensor = place(P.EPILOGUE_SCALES);
  const add = place(P.EPILOGUE_ADD);
  const addHalf = word(P.EPILOGUE_ADD_HALF);
  const target = place(P.OUTPUT);
  for (let i = 0; i < rows; i++) {
    const at = (<usize>i) << 2;
    const token = load<i32>(rowTokens + at);
    if (token < 0) continue;
    const row = <usize>(batchHead * word(P.QUERY_TOKENS) + token);
    const sum = load<f32>(sums + at);
    const empty = sum === 0;
    store<f32>(
      place(P.LOG_SUM_EXP) + (row << 2),
      empty ? <f32>-Infinity : load<f32>(maxima + at) + <f32>naturalLog(<f64>sum),
    );
    const from = outputs + ((<usize>((i >> 3) * valueDim)) << 5) + ((<usize>(i & 7)) << 2);
    let factor: f32 = 1;
    if (epilogue) {
      factor = real(P.EPILOGUE_SCALE);
      if (scaleTensor) {
        factor = word(P.EPILOGUE_SCALES_HALF)
          ? halfAt(scaleTensor + (row << 1))
          : load<f32>(scaleTensor + (row << 2));
      }
    }
    const inverse: f32 = empty ? 0 : <f32>1 / sum;
    for (let d = 0; d < valueDim; d++) {
      const element = row * <usize>valueDim + <usize>d;
      let value = load<f32>(from + ((<usize>d) << 5)) * inverse;
      if (epilogue) {
        value *= factor;
        if (add) value += addHalf ? halfAt(add + (element << 1)) : load<f32>(add + (element << 2));
      }
      if (half) storeHalf(target + (element << 1), value);
      else store<f32>(target + (element << 2), value);
    }
  }
}
