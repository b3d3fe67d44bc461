import { ArgumentError } from './errors.ts';
import type { MaskFunction } from './mods/expression.ts';
import { type BlockLayout, bandMask, FULL_BLOCK, type Indices, type Plan, queryBlocks } from './plan.ts';

/** What every maker of a plan is told. */
export interface PlanSpec {
  /** For people: shown in labs and errors. */
  name: string;
  queryTokens: number;
  keyTokens: number;
  queries: BlockLayout;
  /** Fine mask on original positions. */
  keep?: MaskFunction;
  /** 1 (default), or the batch size: lists of their own for each batch. */
  listBatches?: number;
  /** 1 (default), or a divisor of the query heads: neighbouring heads share a list. */
  listHeads?: number;
}

/** A run of key slots. `full`: every pair of it is kept, so the fine mask is skipped. */
export interface Interval {
  start: number;
  count: number;
  full?: boolean;
}

/**
 * A plan in which each query block visits several runs of key slots.
 * @param spec.intervals intervals[list · queryBlocks + queryBlock], in the order they are visited; runs may be empty and
 *   must not overlap (a key that is visited twice weighs double)
 * @throws ArgumentError if a run leaves the slots, or the number of lists is wrong
 */
export function intervalPlan(
  spec: PlanSpec & { keys: BlockLayout; intervals: readonly (readonly Interval[])[] },
): Plan {
  const { keys, intervals, ...rest } = spec;
  const plan = { listBatches: 1, listHeads: 1, ...rest };
  const rowCount = queryBlocks(plan) * plan.listBatches * plan.listHeads;
  if (intervals.length !== rowCount) {
    throw new ArgumentError(
      'intervalPlan',
      'intervals',
      `${intervals.length} lists`,
      `${rowCount}, one per list and query block`,
    );
  }
  const rows = new Uint32Array(rowCount * 2);
  const runs = new Uint32Array(Math.max(2 * intervals.reduce((sum, row) => sum + row.length, 0), 2));
  let cursor = 0;
  intervals.forEach((row, at) => {
    rows.set([cursor, row.length], 2 * at);
    let end = 0;
    for (const { start, count, full } of row) {
      if (
        !Number.isInteger(start) ||
        !Number.isInteger(count) ||
        start < 0 ||
        count < 0 ||
        start + count > keys.slots
      ) {
        throw new ArgumentError(
          'intervalPlan',
          `intervals[${at}]`,
          `a run of ${count} slots from ${start}`,
          `runs within the ${keys.slots} key slots`,
        );
      }
      end += count;
      runs.set([(full ? start | FULL_BLOCK : start) >>> 0, end], 2 * cursor++);
    }
  });
  return { ...plan, keys: { kind: 'intervals', layout: keys, rows, runs } };
}

/**
 * Each query sees the first `sink` keys and a window round its own position, computed in the kernel: no list, whatever
 * the length. Query i sees key j if j ≤ p + after, and j < sink or j ≥ p − before, with p = i + keyTokens − queryTokens (the
 * last query at the last key). `after: 0` is causal; do not ask attend() for causal as well: the inner keys would lose
 * the mark that lets them skip the mask.
 * @param spec.before keys before the own position, at least 0; the own key comes on top
 * @param spec.block queries that share their visits; default 64
 * @throws ArgumentError if a number is not an integer of at least 0
 */
export function bandPlan(spec: {
  name?: string;
  queryTokens: number;
  keyTokens: number;
  before: number;
  after?: number;
  sink?: number;
  block?: number;
}): Plan {
  const { queryTokens, keyTokens, before, after = 0, sink = 0, block = 64 } = spec;
  for (const [name, value] of Object.entries({ before, after, sink }))
    if (!Number.isInteger(value) || value < 0 || value > 0x3fffffff)
      throw new ArgumentError('bandPlan', name, value, 'an integer from 0 to 2^30 - 1');
  if (!Number.isInteger(block) || block < 1)
    throw new ArgumentError('bandPlan', 'block', block, 'an integer of at least 1');
  const keys = { kind: 'band', sink, before, after } as const;
  const plan: Plan = {
    name: spec.name ?? 'band',
    queryTokens,
    keyTokens,
    queries: { slots: queryTokens, block },
    keys,
    listBatches: 1,
    listHeads: 1,
  };
  return { ...plan, keep: bandMask(plan, keys) };
}

/**
 * Each query block sees a prefix of one sorted list of keys.
 * @param spec.order the keys, best first, u32 [slots]
 * @param spec.counts how many of them, u32, one per list and query block
 * @throws ArgumentError if a count exceeds the list, or the number of counts is wrong
 */
export function prefixPlan(spec: PlanSpec & { order: Uint32Array; counts: ArrayLike<number> }): Plan {
  const { order, counts, ...rest } = spec;
  const plan = { listBatches: 1, listHeads: 1, ...rest };
  const rowCount = queryBlocks(plan) * plan.listBatches * plan.listHeads;
  if (counts.length !== rowCount)
    throw new ArgumentError(
      'prefixPlan',
      'counts',
      `${counts.length} numbers`,
      `${rowCount}, one per list and query block`,
    );
  const ranges = new Uint32Array(2 * rowCount);
  for (let row = 0; row < rowCount; row++) {
    if (!Number.isInteger(counts[row]) || counts[row] < 0 || counts[row] > order.length)
      throw new ArgumentError('prefixPlan', `counts[${row}]`, counts[row], `0 to the ${order.length} keys`);
    ranges[2 * row + 1] = counts[row];
  }
  return { ...plan, keys: { kind: 'ranges', layout: { slots: order.length, block: 1, order }, ranges } };
}

/**
 * Each query block sees keys of its own choice, one by one: lists of positions, from the host or from a selection over
 * tokens (topK of token scores).
 * @param spec.positions rows [listBatches, listHeads, queryBlocks, 2] (first entry, count) and entries, key tokens
 */
export function gatheredKeysPlan(
  spec: PlanSpec & {
    positions: { rows: Indices; blocks: Indices; listBatches?: number; listHeads?: number };
  },
): Plan {
  const { positions, ...rest } = spec;
  const { rows, blocks, listBatches = 1, listHeads = 1 } = positions;
  return {
    listBatches,
    listHeads,
    ...rest,
    keys: { kind: 'blocks', layout: { slots: spec.keyTokens, block: 1 }, rows, blocks },
  };
}
