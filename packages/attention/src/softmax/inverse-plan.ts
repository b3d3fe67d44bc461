import { bandSpan } from '../host-plan.ts';
import { type BlockLayout, NO_TOKEN, type Plan, queryBlocks } from '../plan.ts';

/** Key slots of a unit where the plan has no key blocks of its own. */
const UNIT = 64;

/**
 * How the keys of a plan are cut into units, for walking it from the keys' side. A unit is a run of `size` key slots;
 * slot s holds token order[s], or s itself.
 */
export interface KeyUnits {
  slots: number;
  size: number;
  count: number;
  order: Uint32Array | undefined;
  /** Which tokens the slots hold: each once; some not at all; or some more than once. */
  holds: 'each' | 'some' | 'repeated';
  /** Lists that differ: 1 where all batches and heads share one. */
  lists: number;
}

/** The units of a plan: its key blocks, runs of 64 slots, or all keys as one. */
export function keyUnits(plan: Plan): KeyUnits {
  const { keys, keyTokens, queries } = plan;
  const lists = plan.listBatches * plan.listHeads;
  const cut = (layout: Pick<BlockLayout, 'slots' | 'order'>, size: number, listCount: number): KeyUnits => ({
    slots: layout.slots,
    size,
    count: Math.ceil(layout.slots / size),
    order: layout.order,
    holds: heldBy(layout, keyTokens),
    lists: listCount,
  });
  switch (keys.kind) {
    case 'all':
      return cut({ slots: keyTokens }, Math.max(keyTokens, 1), 1);
    case 'blocks':
      return cut(keys.layout, keys.layout.block, lists);
    case 'ranges':
    case 'intervals':
      return cut(keys.layout, UNIT, lists);
    case 'band':
      return cut({ slots: keyTokens }, UNIT, 1);
    case 'boxes': {
      // queries laid out in tiles of the grid: keys in the same tiles are seen by few query blocks
      const tiled = queries.order && plan.queryTokens === keyTokens && heldBy(queries, keyTokens) === 'each';
      return cut(tiled ? queries : { slots: keyTokens }, UNIT, 1);
    }
  }
}

/**
 * Which query blocks visit each unit, for lists on the host: words [lists, units, 2] of first entry and number of
 * entries, then entries of two words: query block; entry of its own list with its FULL_BLOCK mark (0 where lists hold no blocks).
 * A counting sort by unit: entries keep the order of the query blocks.
 */
export function invertPlan(plan: Plan, units: KeyUnits): Uint32Array {
  const blockCount = queryBlocks(plan);
  const counts = new Uint32Array(units.lists * units.count);
  const eachVisit = (visit: (cell: number, block: number, entry: number) => void) => {
    for (let list = 0; list < units.lists; list++)
      for (let block = 0; block < blockCount; block++)
        visitedUnits(plan, units, list * blockCount + block, (unit, entry) =>
          visit(list * units.count + unit, block, entry),
        );
  };
  eachVisit((cell) => counts[cell]++);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const words = new Uint32Array(2 * counts.length + 2 * total);
  let first = 0;
  counts.forEach((count, cell) => {
    words.set([first, count], 2 * cell);
    counts[cell] = first;
    first += count;
  });
  eachVisit((cell, block, entry) => {
    words.set([block, entry], 2 * units.lists * units.count + 2 * counts[cell]++);
  });
  return words;
}

function visitedUnits(
  plan: Plan,
  units: KeyUnits,
  row: number,
  visit: (unit: number, entry: number) => void,
): void {
  const { keys } = plan;
  switch (keys.kind) {
    case 'all':
      break;
    case 'blocks': {
      const [rows, blocks] = [keys.rows as Uint32Array, keys.blocks as Uint32Array];
      for (let entry = 0; entry < rows[2 * row + 1]; entry++) {
        const marked = blocks[rows[2 * row] + entry];
        visit(marked & 0x7fffffff, (entry | (marked & 0x80000000)) >>> 0);
      }
      break;
    }
    case 'ranges': {
      const ranges = keys.ranges as Uint32Array;
      for (const unit of unitsOf([[ranges[2 * row], ranges[2 * row + 1]]], units)) visit(unit, 0);
      break;
    }
    case 'intervals': {
      const [rows, runs] = [keys.rows as Uint32Array, keys.runs as Uint32Array];
      let before = 0;
      const spans = Array.from({ length: rows[2 * row + 1] }, (_, i): [number, number] => {
        const run = 2 * (rows[2 * row] + i);
        const length = runs[run + 1] - before;
        before = runs[run + 1];
        return [runs[run] & 0x7fffffff, length];
      });
      for (const unit of unitsOf(spans, units)) visit(unit, 0);
      break;
    }
    case 'band': {
      const { sink, start, end } = bandSpan(plan, keys, row);
      for (const unit of unitsOf(
        [
          [0, sink],
          [start, end - start],
        ],
        units,
      ))
        visit(unit, 0);
      break;
    }
    case 'boxes': {
      const { boxes, grid, step } = keys;
      const place = placesOf(units);
      const seen = new Set<number>();
      const axis = (a: number) =>
        Array.from({ length: boxes[6 * row + 3 + a] }, (_, t) => boxes[6 * row + a] + t * step[a]).filter(
          (x) => x >= 0 && x < grid[a],
        );
      const [inner, outer] = [axis(2), axis(1)];
      for (const x0 of axis(0))
        for (const x1 of outer)
          for (const x2 of inner) seen.add(Math.floor(place((x0 * grid[1] + x1) * grid[2] + x2) / UNIT));
      for (const unit of seen) visit(unit, 0);
    }
  }
}

/** Units that runs of slots (first, length) touch, each once. */
function unitsOf(
  spans: readonly (readonly [first: number, length: number])[],
  { slots }: KeyUnits,
): Set<number> {
  const touched = new Set<number>();
  for (const [first, length] of spans) {
    const end = Math.min(first + length, slots);
    if (first >= end) continue;
    for (let unit = Math.floor(first / UNIT); unit <= Math.floor((end - 1) / UNIT); unit++) touched.add(unit);
  }
  return touched;
}

/** Slot of a token in an order that holds each token once. */
function placesOf({ order }: KeyUnits): (token: number) => number {
  if (!order) return (token) => token;
  let slots = places.get(order);
  if (!slots) {
    slots = new Uint32Array(order.length);
    for (let slot = 0; slot < order.length; slot++) if (order[slot] !== NO_TOKEN) slots[order[slot]] = slot;
    places.set(order, slots);
  }
  const known = slots;
  return (token) => known[token];
}

const places = new WeakMap<Uint32Array, Uint32Array>();
const held = new WeakMap<Uint32Array, { tokens: number; holds: KeyUnits['holds'] }>();

/** Which of `tokens` tokens a layout's slots hold; cached by order. */
export function heldBy(
  { slots, order }: Pick<BlockLayout, 'slots' | 'order'>,
  tokens: number,
): KeyUnits['holds'] {
  if (!order) return slots >= tokens ? 'each' : 'some';
  const known = held.get(order);
  if (known?.tokens === tokens) return known.holds;
  const seen = new Uint8Array(tokens);
  let distinct = 0;
  let repeated = false;
  for (const token of order) {
    if (token === NO_TOKEN) continue;
    if (seen[token]) repeated = true;
    else distinct++;
    seen[token] = 1;
  }
  const holds = repeated ? 'repeated' : distinct === tokens ? 'each' : 'some';
  held.set(order, { tokens, holds });
  return holds;
}

const slotLists = new WeakMap<Uint32Array, { tokens: number; words: Uint32Array }>();

/** For an order that repeats tokens: words [tokens + 1] of starts, then the slots of each token in order. */
export function tokenSlots({ order = new Uint32Array() }: KeyUnits, tokens: number): Uint32Array {
  const known = slotLists.get(order);
  if (known?.tokens === tokens) return known.words;
  const starts = new Uint32Array(tokens + 2);
  for (const token of order) if (token < tokens) starts[token + 2]++;
  for (let token = 2; token < starts.length; token++) starts[token] += starts[token - 1];
  const words = new Uint32Array(tokens + 1 + starts[tokens + 1]);
  order.forEach((token, slot) => {
    if (token < tokens) words[tokens + 1 + starts[token + 1]++] = slot;
  });
  words.set(starts.subarray(0, tokens + 1));
  slotLists.set(order, { tokens, words });
  return words;
}
