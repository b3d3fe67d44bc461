import { expect, test } from 'vitest';
import { blockListPlan, FULL_BLOCK, type KeyRule } from './plan.ts';

test('full blocks come first in each list, in the order given', () => {
  const plan = blockListPlan({
    name: 'two lists',
    queryTokens: 2,
    keyTokens: 10,
    queries: { slots: 2, block: 1 },
    keys: { slots: 10, block: 1 },
    lists: [
      [{ block: 7 }, { block: 2, full: true }, { block: 1, full: true }],
      [{ block: 4, full: true }, { block: 9 }],
    ],
  });
  const { rows, blocks } = plan.keys as Extract<KeyRule, { kind: 'blocks' }>;
  const full = (block: number) => (block | FULL_BLOCK) >>> 0;
  expect(rows).toEqual(Uint32Array.of(0, 3, 3, 2));
  expect(blocks).toEqual(Uint32Array.of(full(2), full(1), 7, full(4), 9));
});
