import type { AttendCase } from './cases.ts';
import { boxPlan, orderedPlan, rangePlan, shuffled, stridedBlocks, window } from './plans.ts';

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
];
