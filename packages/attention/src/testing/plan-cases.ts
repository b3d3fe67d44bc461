import { blockListPlan, densePlan, NO_TOKEN, type Plan } from '../plan.ts';
import { bandPlan, gatheredKeysPlan, intervalPlan, prefixPlan } from '../plans.ts';
import type { AttendCase } from './cases.ts';
import { randomArray } from './close.ts';
import { boxPlan, orderedPlan, rangePlan, shuffled, stridedBlocks, window } from './plans.ts';

/** Runs of several lengths, some empty, some rows without any, some marked, for each of two heads. */
function someIntervals(tokens: number, block: number, order?: Uint32Array) {
  const slots = order?.length ?? tokens;
  const queries = { slots: tokens, block };
  const intervals = Array.from({ length: 2 * Math.ceil(tokens / block) }, (_, row) =>
    row % 4 === 3
      ? []
      : [
          { start: row % 7, count: 5, full: true },
          { start: 13 + row, count: 0 },
          { start: 20 + (row % 3), count: 1 },
          { start: 30, count: 41, full: row % 2 === 0 },
          { start: slots - 2, count: 2 },
        ],
  );
  return intervalPlan({
    name: 'intervals',
    queryTokens: tokens,
    keyTokens: tokens,
    queries,
    keys: { slots, block: 1, order },
    intervals,
    listHeads: 2,
    keep: window,
  });
}

/** Every third token asks, in another order than the tokens'. */
function someQueries(tokens: number): Plan {
  const order = shuffled(tokens).filter((token) => token % 3 === 0);
  const queries = { slots: order.length, block: 5, order };
  return { ...densePlan(tokens, tokens), name: 'some queries', queries };
}

/** Positions a step apart, another first one for each query block; the last block has none. */
function somePositions(queryTokens: number, keyTokens: number, block: number) {
  const rowCount = Math.ceil(queryTokens / block);
  const rows: number[] = [];
  const blocks: number[] = [];
  for (let row = 0; row < rowCount; row++) {
    const first = blocks.length;
    if (row < rowCount - 1) for (let key = (row * 5) % 11; key < keyTokens; key += 3) blocks.push(key);
    rows.push(first, blocks.length - first);
  }
  return gatheredKeysPlan({
    name: 'gathered keys',
    queryTokens,
    keyTokens,
    queries: { slots: queryTokens, block },
    positions: { rows: Uint32Array.from(rows), blocks: Uint32Array.from(blocks) },
  });
}

/** Blocks of shuffled tokens, no slot empty: rows of full blocks, of cut ones, of both in either order, and one of none. */
function fullBlocksOfOrders(queryTokens: number, keyTokens: number): Plan {
  const [full, cut] = [true, false];
  return blockListPlan({
    name: 'full blocks of orders',
    queryTokens,
    keyTokens,
    queries: { slots: queryTokens, block: 64, order: shuffled(queryTokens) },
    keys: { slots: keyTokens, block: 32, order: shuffled(keyTokens) },
    lists: [
      [3, 0].map((block) => ({ block, full })),
      [1, 4].map((block) => ({ block, full: cut })),
      [2, 1, 0, 4].map((block, i) => ({ block, full: i < 2 })),
      [],
      [4, 2, 1].map((block, i) => ({ block, full: i === 1 })),
    ],
    keep: ({ query, key }) => query.add(key).mod(3).ne(0),
  });
}

export const planCases: AttendCase[] = [
  ...[1, 4, 49, 64, 273].map((block) => ({
    name: `blocks of ${block}`,
    heads: 2,
    queryTokens: block > 64 ? 300 : 130,
    keyTokens: block > 64 ? 600 : 131,
    headDim: 16,
    options: () => ({
      plan: stridedBlocks({
        queryTokens: block > 64 ? 300 : 130,
        keyTokens: block > 64 ? 600 : 131,
        queryBlock: block,
        keyBlock: block,
      }),
    }),
  })),
  {
    name: 'blocks of 64 that are whole, of 128 channels',
    queryTokens: 130,
    keyTokens: 192,
    headDim: 128,
    options: () => ({
      plan: stridedBlocks({ queryTokens: 130, keyTokens: 192, queryBlock: 64, keyBlock: 64 }),
    }),
  },
  {
    name: 'blocks with full marks and a fine mask',
    queryTokens: 70,
    headDim: 16,
    options: () => ({
      plan: stridedBlocks({ queryTokens: 70, keyTokens: 70, queryBlock: 16, keyBlock: 8, keep: window }),
    }),
  },
  {
    name: 'full marks do not hide a causal mask',
    queryTokens: 70,
    headDim: 16,
    options: () => ({
      causal: true,
      plan: stridedBlocks({ queryTokens: 70, keyTokens: 70, queryBlock: 16, keyBlock: 8, keep: window }),
    }),
  },
  {
    name: 'orders with padding, lists per batch and head',
    batch: 2,
    heads: 4,
    keyHeads: 2,
    queryTokens: 50,
    keyTokens: 61,
    headDim: 20,
    options: () => ({ plan: orderedPlan(50, 61) }),
  },
  {
    name: 'queries that stand in no slot',
    heads: 2,
    queryTokens: 40,
    headDim: 16,
    options: () => ({ plan: someQueries(40) }),
  },
  {
    name: 'queries that stand in no slot, under an epilogue',
    queryTokens: 40,
    headDim: 6,
    dtype: 'f16',
    options: (device, shape) => ({
      plan: someQueries(40),
      epilogue: { scale: 2, add: device.tensor(randomArray(4, shape), shape, 'f16') },
    }),
  },
  { name: 'ranges', heads: 2, queryTokens: 100, headDim: 16, options: () => ({ plan: rangePlan(100, 16) }) },
  {
    name: 'ranges in an order, causal',
    queryTokens: 100,
    headDim: 16,
    options: () => ({ causal: true, plan: rangePlan(100, 7, shuffled(100)) }),
  },
  {
    name: 'boxes in a plane, outside skipped',
    heads: 2,
    queryTokens: 63,
    headDim: 8,
    options: () => ({ plan: boxPlan([1, 7, 9], 'skip') }),
  },
  {
    name: 'boxes in a plane, zeros outside',
    queryTokens: 63,
    headDim: 8,
    options: () => ({ plan: boxPlan([1, 7, 9], 'zero') }),
  },
  {
    name: 'dilated boxes in space',
    queryTokens: 120,
    headDim: 8,
    options: () => ({ plan: boxPlan([4, 5, 6], 'skip', 2) }),
  },
  {
    name: 'zero keys under a mask and a score',
    queryTokens: 63,
    headDim: 8,
    options: () => ({
      plan: boxPlan([1, 7, 9], 'zero'),
      mask: ({ keySlot }) => keySlot.mod(4).ne(1),
      score: ({ score, key }) => key.lt(0).select(score.sub(1), score),
    }),
  },
  {
    name: 'full blocks of orders that fill every slot',
    heads: 2,
    queryTokens: 300,
    keyTokens: 160,
    headDim: 16,
    options: () => ({ plan: fullBlocksOfOrders(300, 160) }),
  },
  {
    name: 'every key in an order of the queries',
    queryTokens: 40,
    headDim: 8,
    options: () => ({
      causal: true,
      plan: {
        name: 'shuffled queries',
        queryTokens: 40,
        keyTokens: 40,
        queries: { slots: 40, block: 8, order: shuffled(40) },
        keys: { kind: 'all' },
        listBatches: 1,
        listHeads: 1,
      },
    }),
  },
  {
    name: 'intervals, marked and masked',
    heads: 4,
    queryTokens: 90,
    headDim: 8,
    options: () => ({ plan: someIntervals(90, 16) }),
  },
  {
    name: 'intervals of an order with padding, causal',
    heads: 2,
    queryTokens: 90,
    headDim: 8,
    options: () => {
      const order = new Uint32Array(100).fill(NO_TOKEN);
      shuffled(90).forEach((token, i) => {
        order[i + Math.floor(i / 10)] = token;
      });
      return { causal: true, plan: someIntervals(90, 16, order) };
    },
  },
  {
    name: 'a causal band with a sink',
    heads: 2,
    queryTokens: 129,
    headDim: 16,
    options: () => ({
      plan: bandPlan({ queryTokens: 129, keyTokens: 129, before: 40, sink: 3, block: 16 }),
      score: ({ score, keySlot }) => score.add(keySlot.toFloat().mul(0.01)),
    }),
  },
  {
    name: 'a band to both sides, more keys than queries',
    queryTokens: 50,
    keyTokens: 110,
    headDim: 8,
    options: () => ({
      plan: bandPlan({ queryTokens: 50, keyTokens: 110, before: 20, after: 11, sink: 70 }),
    }),
  },
  ...[0, 5].map((sink) => ({
    name: `a band in large query blocks, ${sink} sinks`,
    heads: 2,
    queryTokens: 420,
    headDim: 16,
    options: () => ({
      plan: bandPlan({ queryTokens: 420, keyTokens: 420, before: 190, after: 30, sink, block: 128 }),
    }),
  })),
  {
    name: 'a causal band so wide that tiles are larger than its query blocks',
    queryTokens: 1200,
    headDim: 8,
    options: () => ({ plan: bandPlan({ queryTokens: 1200, keyTokens: 1200, before: 1023, block: 16 }) }),
  },
  {
    name: 'a band under a score that reads the place in a query block',
    queryTokens: 129,
    headDim: 16,
    options: () => ({
      plan: bandPlan({ queryTokens: 129, keyTokens: 129, before: 1023, block: 16 }),
      score: ({ score, querySlot }) => score.add(querySlot.toFloat().mul(0.01)),
    }),
  },
  {
    name: 'a band with a mask of its maker',
    queryTokens: 129,
    headDim: 16,
    options: () => ({
      plan: {
        ...bandPlan({ queryTokens: 129, keyTokens: 129, before: 40, block: 64 }),
        keep: ({ query, key }) => query.add(key).mod(3).ne(0),
      },
    }),
  },
  {
    name: 'a band over fewer keys than queries, under a causal mask',
    queryTokens: 70,
    keyTokens: 40,
    headDim: 8,
    options: () => ({
      causal: true,
      plan: bandPlan({ queryTokens: 70, keyTokens: 40, before: 9, after: 2, sink: 1, block: 8 }),
    }),
  },
  {
    name: 'prefixes of one sorted list',
    queryTokens: 60,
    headDim: 8,
    options: () => ({
      plan: prefixPlan({
        name: 'prefixes',
        queryTokens: 60,
        keyTokens: 60,
        queries: { slots: 60, block: 8 },
        order: shuffled(60).slice(0, 50),
        counts: [50, 0, 1, 17, 33, 40, 9, 25],
      }),
    }),
  },
  {
    name: 'gathered keys',
    heads: 2,
    queryTokens: 70,
    keyTokens: 130,
    headDim: 16,
    options: () => ({ plan: somePositions(70, 130, 16) }),
  },
];
