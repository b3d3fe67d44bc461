import { ArgumentError } from './errors.ts';
import type { BoolExpression, MaskFunction } from './mods/expression.ts';
import type { Tensor } from './tensor.ts';

/** Stands in an order where a slot holds no token (padding). */
export const NO_TOKEN = 0xffffffff;
/** Bit of a block-list entry: every pair of this block is kept, so the fine mask is skipped. */
export const FULL_BLOCK = 0x80000000;

/** Static data from the host, or the result of a selection that never left the device. */
export type Indices = Uint32Array | Tensor;

/**
 * How tokens are laid out in blocks. Slot s belongs to block floor(s / block) and holds token order[s]
 * (or s itself without an order). NO_TOKEN marks padding slots. The last block may be short.
 */
export interface BlockLayout {
  slots: number;
  block: number;
  order?: Uint32Array; // [slots]
}

export type KeyRule =
  /** Every key, in token order. */
  | { kind: 'all' }
  /** A run of key slots per query block. */
  | {
      kind: 'ranges';
      layout: BlockLayout; // only slots and order are read
      ranges: Indices; // u32 [lists, queryBlocks, 2]: first slot, number of slots
    }
  /** A list of key blocks per query block; blocks are layout.block slots each. */
  | {
      kind: 'blocks';
      layout: BlockLayout;
      rows: Indices; // u32 [lists, queryBlocks, 2]: first entry in `blocks`, number of entries
      blocks: Indices; // u32: block index, or'ed with FULL_BLOCK where no pair is masked
    }
  /** Several runs of key slots per query block. */
  | {
      kind: 'intervals';
      layout: BlockLayout; // only slots and order are read
      rows: Indices; // u32 [lists, queryBlocks, 2]: first run, number of runs
      runs: Indices; // u32 [runs, 2]: first slot, or'ed with FULL_BLOCK as an entry of blocks; key slots up to the run's end
    }
  /**
   * A band along the diagonal, and the first keys; queries in token order. Nothing is listed: with offset = keyTokens −
   * queryTokens, a query block of tokens first to last visits the keys below `sink`, and those from first + offset −
   * before to last + offset + after. Keys that the band gives to every query of the block count as full.
   */
  | { kind: 'band'; sink: number; before: number; after: number }
  /**
   * A box of a 1-D, 2-D or 3-D grid per query block: keys at origin + step * t, t row-major in the extent.
   * Coordinates outside the grid are skipped, or are zero keys with zero values that still take part (`zero`).
   */
  | {
      kind: 'boxes';
      grid: readonly [number, number, number]; // leading axes 1 where the grid has fewer
      step: readonly [number, number, number];
      boxes: Int32Array; // [queryBlocks, 6]: origin of three axes, extent of three axes
      outside: 'skip' | 'zero';
    };

/**
 * From which side a call walks its pairs, with the same result. `query-major`: each query block goes through its keys.
 * `key-major`: each key block goes through the queries that list it, and their partial results are merged by log-sum-exp.
 */
export type Order = 'query-major' | 'key-major';

/**
 * Which keys each group of queries sees: queryRow, keyRow and keyCount as data, keep as an expression.
 * The same lists serve all batches and heads unless `listBatches`, `listHeads` say otherwise.
 */
export interface Plan {
  /** For people: shown in labs and errors. */
  name: string;
  queryTokens: number;
  keyTokens: number;
  queries: BlockLayout;
  keys: KeyRule;
  /** Fine mask on original positions; skipped for blocks marked FULL_BLOCK. */
  keep?: MaskFunction;
  /** 1, or the batch size. */
  listBatches: number;
  /** 1, or a divisor of the number of query heads: neighbouring heads share a list. */
  listHeads: number;
  /** Of calls that do not say; default: query-major. */
  order?: Order;
}

export function queryBlocks(plan: Pick<Plan, 'queries'>): number {
  return Math.ceil(plan.queries.slots / plan.queries.block);
}

/** The numbers of a band as kernels read them: sink, before, after, and the offset of the diagonal (two's complement). */
export function bandWords(plan: Plan, band: Extract<KeyRule, { kind: 'band' }>): Uint32Array {
  return Uint32Array.of(band.sink, band.before, band.after, plan.keyTokens - plan.queryTokens);
}

/** Masks of bands that bandPlan() made, with the numbers that they were made from. */
const bandMasks = new WeakMap<MaskFunction, string>();

/**
 * The pairs that a band gives each query by itself: key ≤ p + after, and key < sink or key ≥ p − before, with
 * p = query + keyTokens − queryTokens.
 */
export function bandMask(plan: Plan, band: Extract<KeyRule, { kind: 'band' }>): MaskFunction {
  const { sink, before, after } = band;
  const offset = plan.keyTokens - plan.queryTokens;
  const mask: MaskFunction = ({ query, key }) => {
    const distance = key.sub(query).sub(offset);
    const inWindow = distance.ge(-before);
    return distance.le(after).and(sink > 0 ? inWindow.or(key.lt(sink)) : inWindow);
  };
  bandMasks.set(mask, bandWords(plan, band).join());
  return mask;
}

/** Whether a plan is a band with no other mask than its own: then kernels may compare tokens instead, and cut query blocks as they like. */
export function isOwnBand(plan: Plan): boolean {
  const { keep, keys } = plan;
  return keep !== undefined && keys.kind === 'band' && bandMasks.get(keep) === bandWords(plan, keys).join();
}

/** Whether every query stands in a slot. The rows of those that do not are zeros: nothing computes them. */
export function queriesEveryToken({ queries, queryTokens }: Plan): boolean {
  if (!queries.order) return queries.slots >= queryTokens;
  let every = queriedByOrder.get(queries.order);
  if (every === undefined) {
    const seen = new Uint8Array(queryTokens);
    for (const token of queries.order) if (token < queryTokens) seen[token] = 1;
    every = !seen.includes(0);
    queriedByOrder.set(queries.order, every);
  }
  return every;
}

/** Whether every slot of a layout holds a token. */
export function fillsEverySlot({ order }: Pick<BlockLayout, 'order'>): boolean {
  if (!order) return true;
  const fills = filledByOrder.get(order) ?? !order.includes(NO_TOKEN);
  filledByOrder.set(order, fills);
  return fills;
}

/** Orders are large and stay: each is looked through once. */
const queriedByOrder = new WeakMap<Uint32Array, boolean>();
const filledByOrder = new WeakMap<Uint32Array, boolean>();

/** Everything sees everything. */
export function densePlan(queryTokens: number, keyTokens: number): Plan {
  return {
    name: 'dense',
    queryTokens,
    keyTokens,
    queries: { slots: queryTokens, block: Math.max(queryTokens, 1) },
    keys: { kind: 'all' },
    listBatches: 1,
    listHeads: 1,
  };
}

/** Entry of a host-built block list. */
export interface ListedBlock {
  block: number;
  full?: boolean;
}

/**
 * A plan from one key-block list per query block, built on the host.
 * @param lists lists[queryBlock] = key blocks in the order they are visited, full ones before the others, so that a kernel
 *   leaves the mask out until the first block that needs it; no block twice
 * @throws ArgumentError if a list names a block out of range or twice, or the number of lists is wrong
 */
export function blockListPlan(spec: {
  name: string;
  queryTokens: number;
  keyTokens: number;
  queries: BlockLayout;
  keys: BlockLayout;
  lists: readonly (readonly ListedBlock[])[];
  keep?: MaskFunction;
}): Plan {
  const rowCount = Math.ceil(spec.queries.slots / spec.queries.block);
  const keyBlocks = Math.ceil(spec.keys.slots / spec.keys.block);
  if (spec.lists.length !== rowCount) {
    throw new ArgumentError(
      'blockListPlan',
      'lists',
      `${spec.lists.length} lists`,
      `${rowCount}, one per query block`,
    );
  }
  let entries = 0;
  for (const list of spec.lists) entries += list.length;
  const rows = new Uint32Array(rowCount * 2);
  const blocks = new Uint32Array(Math.max(entries, 1));
  const seen = new Int32Array(keyBlocks).fill(-1);
  let cursor = 0;
  spec.lists.forEach((list, row) => {
    rows[2 * row] = cursor;
    rows[2 * row + 1] = list.length;
    for (const { block, full } of [
      ...list.filter((entry) => entry.full),
      ...list.filter((entry) => !entry.full),
    ]) {
      if (!Number.isInteger(block) || block < 0 || block >= keyBlocks) {
        throw new ArgumentError('blockListPlan', `lists[${row}]`, `block ${block}`, `0 to ${keyBlocks - 1}`);
      }
      if (seen[block] === row)
        throw new ArgumentError('blockListPlan', `lists[${row}]`, `block ${block} twice`, 'each block once');
      seen[block] = row;
      blocks[cursor++] = full ? (block | FULL_BLOCK) >>> 0 : block;
    }
  });
  return {
    name: spec.name,
    queryTokens: spec.queryTokens,
    keyTokens: spec.keyTokens,
    queries: spec.queries,
    keys: { kind: 'blocks', layout: spec.keys, rows, blocks },
    keep: spec.keep,
    listBatches: 1,
    listHeads: 1,
  };
}

/** A plan whose block lists a selection made on the device (topK). */
export function selectedPlan(spec: {
  name: string;
  queryTokens: number;
  keyTokens: number;
  queries: BlockLayout;
  keys: BlockLayout;
  selected: { rows: Tensor; blocks: Tensor; listBatches: number; listHeads: number };
  keep?: MaskFunction;
}): Plan {
  const { rows, blocks, listBatches, listHeads } = spec.selected;
  return {
    name: spec.name,
    queryTokens: spec.queryTokens,
    keyTokens: spec.keyTokens,
    queries: spec.queries,
    keys: { kind: 'blocks', layout: spec.keys, rows, blocks },
    keep: spec.keep,
    listBatches,
    listHeads,
  };
}

export type { BoolExpression };
