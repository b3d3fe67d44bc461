import * as P from './params';
import { place, word } from './params';

/**
 * Walks the keys that a query block visits, a tile at a time, in the order of the plan: token (-1: a zero key),
 * place in the concatenated list, and -1 or 0 for blocks whose pairs are all kept.
 */
export let tokens: usize = 0;
export let slots: usize = 0;
export let full: usize = 0;
/** Of the last tile: all tokens follow each other; its highest token; whether all is marked full. */
export let contiguous: bool = false;
export let highest: i32 = 0;

let limit: i32 = 0; // tokens above are masked for every row of the task
let kind: i32 = 0;
let row: usize = 0; // this query block's range, list, runs or box
let entry: i32 = 0;
let inner: i32 = 0;
let t0: i32 = 0;
let t1: i32 = 0;
let t2: i32 = 0;
let count: i32 = 0;

export function useLists(at: usize): void {
  tokens = at;
  slots = at + 4 * P.TILE;
  full = at + 8 * P.TILE;
}

export function start(list: i32, block: i32, lastToken: i32): void {
  limit = lastToken;
  kind = word(P.KEY_KIND);
  entry = 0;
  inner = 0;
  t0 = 0;
  t1 = 0;
  t2 = 0;
  if (kind === 5) startBand(block);
  else if (kind === 3) row = place(P.ROWS) + <usize>block * 24;
  else row = place(P.ROWS) + ((<usize>(list * word(P.QUERY_BLOCKS) + block)) << 3);
}

function put(token: i32, slot: i32, isFull: i32): void {
  const at = (<usize>count) << 2;
  store<i32>(tokens + at, token);
  store<i32>(slots + at, slot);
  store<i32>(full + at, isFull);
  if (count > 0 && token !== load<i32>(tokens + at - 4) + 1) contiguous = false;
  if (token < 0) contiguous = false;
  highest = max(highest, token);
  count++;
}

function ordered(order: usize, slot: i32): i32 {
  return order ? load<i32>(order + ((<usize>slot) << 2)) : slot;
}

/** Fills the next tile; its number of keys, 0 at the end. */
export function next(): i32 {
  count = 0;
  contiguous = true;
  highest = -1;
  const keyTokens = word(P.KEY_TOKENS);
  if (kind === 0) {
    for (; count < P.TILE && entry < keyTokens && entry <= limit; entry++) put(entry, entry, 0);
  } else if (kind === 1) nextOfRange(keyTokens);
  else if (kind === 2) nextOfBlocks(keyTokens);
  else if (kind === 3) nextOfBox();
  else if (kind === 4) nextOfIntervals(keyTokens);
  else nextOfBand();
  return count;
}

function nextOfRange(keyTokens: i32): void {
  const first = load<i32>(row);
  const length = load<i32>(row, 4);
  const order = place(P.KEY_ORDER);
  const keySlots = word(P.KEY_SLOTS);
  for (; count < P.TILE && entry < length; entry++) {
    const slot = first + entry;
    if (slot >= keySlots) continue;
    const token = ordered(order, slot);
    if (<u32>token < <u32>keyTokens && token <= limit) put(token, entry, 0);
  }
}

function nextOfBlocks(keyTokens: i32): void {
  const first = load<i32>(row);
  const length = load<i32>(row, 4);
  const order = place(P.KEY_ORDER);
  const keySlots = word(P.KEY_SLOTS);
  const size = word(P.KEY_BLOCK);
  const honour = word(P.HONOUR_FULL);
  const list = place(P.BLOCKS) + ((<usize>first) << 2);
  while (count < P.TILE && entry < length) {
    const marked = load<u32>(list + ((<usize>entry) << 2));
    const isFull = honour && marked >>> 31 ? -1 : 0;
    const begin = <i32>(marked & 0x7fffffff) * size;
    const end = min(size, keySlots - begin);
    for (; count < P.TILE && inner < end; inner++) {
      const token = ordered(order, begin + inner);
      if (<u32>token < <u32>keyTokens && token <= limit) put(token, entry * size + inner, isFull);
    }
    if (inner >= end) {
      inner = 0;
      entry++;
    }
  }
}

/** A run: its first slot and mark, then where it ends among the row's keys. */
function nextOfIntervals(keyTokens: i32): void {
  const first = load<i32>(row);
  const length = load<i32>(row, 4);
  const order = place(P.KEY_ORDER);
  const keySlots = word(P.KEY_SLOTS);
  const honour = word(P.HONOUR_FULL);
  const runs = place(P.BLOCKS);
  while (count < P.TILE && entry < length) {
    const run = runs + ((<usize>(first + entry)) << 3);
    const marked = load<u32>(run);
    const isFull = honour && marked >>> 31 ? -1 : 0;
    const before = entry > 0 ? load<i32>(run - 4) : 0;
    const end = load<i32>(run, 4) - before;
    for (; count < P.TILE && inner < end; inner++) {
      const slot = <i32>(marked & 0x7fffffff) + inner;
      if (slot >= keySlots) continue;
      const token = ordered(order, slot);
      if (<u32>token < <u32>keyTokens && token <= limit) put(token, before + inner, isFull);
    }
    if (inner >= end) {
      inner = 0;
      entry++;
    }
  }
}

// of a band: tokens of the query block on the diagonal, keys of the sink that it visits, and the span of its window
let bandFirst: i32 = 0;
let bandLast: i32 = 0;
let bandSink: i32 = 0;
let bandStart: i32 = 0;
let bandEnd: i32 = 0;

function startBand(block: i32): void {
  row = place(P.ROWS); // sink, before, after, offset
  const offset = load<i32>(row, 12);
  const size = word(P.QUERY_BLOCK);
  bandFirst = block * size + offset;
  bandLast = min((block + 1) * size, word(P.QUERY_SLOTS)) - 1 + offset;
  bandEnd = min(max(bandLast + load<i32>(row, 8) + 1, 0), word(P.KEY_TOKENS));
  bandStart = min(max(bandFirst - load<i32>(row, 4), 0), bandEnd);
  bandSink = min(load<i32>(row), bandStart);
}

function nextOfBand(): void {
  const honour = word(P.HONOUR_FULL);
  const sink = load<i32>(row);
  const allFrom = bandLast - load<i32>(row, 4);
  const allTo = bandFirst + load<i32>(row, 8);
  for (; count < P.TILE && entry < bandSink + bandEnd - bandStart; entry++) {
    const token = entry < bandSink ? entry : bandStart + entry - bandSink;
    const isFull = honour && (token < sink || token >= allFrom) && token <= allTo ? -1 : 0;
    if (token <= limit) put(token, entry, isFull);
  }
}

function nextOfBox(): void {
  const o0 = load<i32>(row);
  const o1 = load<i32>(row, 4);
  const o2 = load<i32>(row, 8);
  const e0 = load<i32>(row, 12);
  const e1 = load<i32>(row, 16);
  const e2 = load<i32>(row, 20);
  const g0 = word(P.GRID);
  const g1 = word(P.GRID + 1);
  const g2 = word(P.GRID + 2);
  const s0 = word(P.STEP);
  const s1 = word(P.STEP + 1);
  const s2 = word(P.STEP + 2);
  const zero = word(P.OUTSIDE_ZERO);
  if (e1 <= 0 || e2 <= 0) return;
  for (; t0 < e0 && count < P.TILE; ) {
    const x0 = o0 + t0 * s0;
    const x1 = o1 + t1 * s1;
    const x2 = o2 + t2 * s2;
    if (x0 >= 0 && x0 < g0 && x1 >= 0 && x1 < g1 && x2 >= 0 && x2 < g2) {
      const token = (x0 * g1 + x1) * g2 + x2;
      if (token <= limit) put(token, entry, 0);
    } else if (zero) put(-1, entry, 0);
    entry++;
    if (++t2 === e2) {
      t2 = 0;
      if (++t1 === e1) {
        t1 = 0;
        t0++;
      }
    }
  }
}
