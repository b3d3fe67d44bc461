import { bandPlan, blockListPlan, type Plan } from '../packages/attention/src/index.ts';
import { randomNumbers } from '../packages/attention/src/testing/close.ts';
import type { BenchCase } from '../packages/site/src/shared/bench.ts';

/** What a mask is made from. */
type Masked = Pick<BenchCase, 'mask' | 'queryTokens' | 'keyTokens'>;

type Blocks = Extract<BenchCase['mask'], { kind: 'blocks' }>;

/**
 * Key blocks of each query block, ascending: its own and `kept - 1` others, drawn without replacement. The same lists go
 * to every peer and every head.
 */
export function blockLists(item: Masked, { block, kept, seed }: Blocks): number[][] {
  const columns = item.keyTokens / block;
  const next = randomNumbers(seed);
  return Array.from({ length: item.queryTokens / block }, (_, row) => {
    const chosen = new Set([row % columns]);
    while (chosen.size < Math.min(kept, columns))
      chosen.add(Math.floor(((next() + 1) / 2) * columns) % columns);
    return [...chosen].sort((a, b) => a - b);
  });
}

/** The options of attend() for a case's mask. */
export function attendOptions(item: Masked): { causal?: boolean; plan?: Plan } {
  const { mask, queryTokens, keyTokens } = item;
  switch (mask.kind) {
    case 'none':
      return {};
    case 'causal':
      return { causal: true };
    case 'window':
      return { plan: bandPlan({ queryTokens, keyTokens, before: mask.size - 1 }) };
    case 'blocks': {
      const layout = { slots: keyTokens, block: mask.block };
      const lists = blockLists(item, mask).map((list) => list.map((block) => ({ block, full: true })));
      const name = `${mask.kept} of ${keyTokens / mask.block} blocks`;
      return {
        plan: blockListPlan({ name, queryTokens, keyTokens, queries: layout, keys: layout, lists }),
      };
    }
  }
}
