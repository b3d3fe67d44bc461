import type { Positions } from '../mods/expression.ts';
import { blockListPlan, NO_TOKEN, type Plan } from '../plan.ts';

/** A fixed shuffle of 0 to count - 1. */
export function shuffled(count: number, step = 7): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = (i * step + 3) % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Lists of every `step`-th key block, shifted by the row; some empty; every third entry marked full. */
export function stridedBlocks(spec: {
  queryTokens: number;
  keyTokens: number;
  queryBlock: number;
  keyBlock: number;
  keep?: Plan['keep'];
}): Plan {
  const { queryTokens, keyTokens, queryBlock, keyBlock, keep } = spec;
  const columns = Math.ceil(keyTokens / keyBlock);
  const lists = Array.from({ length: Math.ceil(queryTokens / queryBlock) }, (_, row) =>
    row % 5 === 3
      ? []
      : Array.from({ length: columns }, (_, block) => ({ block, full: block % 3 === 0 })).filter(
          ({ block }) => (block + row) % 2 === 0,
        ),
  );
  return blockListPlan({
    name: 'strided blocks',
    queryTokens,
    keyTokens,
    queries: { slots: queryTokens, block: queryBlock },
    keys: { slots: keyTokens, block: keyBlock },
    lists,
    keep,
  });
}

/** Queries and keys in shuffled order with padding slots; lists per batch and per two heads. */
export function orderedPlan(queryTokens: number, keyTokens: number): Plan {
  const padded = (tokens: number, step: number) => {
    const order = new Uint32Array(tokens + Math.ceil(tokens / 8)).fill(NO_TOKEN);
    shuffled(tokens, step).forEach((token, i) => {
      order[i + Math.floor(i / 8)] = token;
    });
    return order;
  };
  const [queryOrder, keyOrder] = [padded(queryTokens, 5), padded(keyTokens, 11)];
  const queries = { slots: queryOrder.length, block: 9, order: queryOrder };
  const layout = { slots: keyOrder.length, block: 6, order: keyOrder };
  const [rowCount, columns] = [Math.ceil(queries.slots / 9), Math.ceil(layout.slots / 6)];
  const rows: number[] = [];
  const blocks: number[] = [];
  for (let list = 0; list < 4; list++) {
    for (let row = 0; row < rowCount; row++) {
      const chosen = Array.from({ length: columns }, (_, block) => block).filter(
        (block) => (block * 3 + row + list) % 4 < 2,
      );
      rows.push(blocks.length, chosen.length);
      blocks.push(...chosen);
    }
  }
  return {
    name: 'shuffled',
    queryTokens,
    keyTokens,
    queries,
    keys: { kind: 'blocks', layout, rows: Uint32Array.from(rows), blocks: Uint32Array.from(blocks) },
    keep: ({ query, key }) => query.add(key).mod(3).ne(0),
    listBatches: 2,
    listHeads: 2,
  };
}

/** A neighbourhood of a grid: each query tile of `tile` sees a box around it that may stick out of the grid. */
export function boxPlan(grid: readonly [number, number, number], outside: 'skip' | 'zero', step = 1): Plan {
  const tokens = grid[0] * grid[1] * grid[2];
  const block = 4;
  const count = Math.ceil(tokens / block);
  const boxes = new Int32Array(count * 6);
  for (let tile = 0; tile < count; tile++) {
    const first = tile * block;
    const x2 = first % grid[2];
    const x1 = Math.floor(first / grid[2]) % grid[1];
    const x0 = Math.floor(first / (grid[2] * grid[1]));
    boxes.set([grid[0] > 1 ? x0 - 1 : 0, x1 - step, x2 - 2 * step, grid[0] > 1 ? 3 : 1, 3, 5], tile * 6);
  }
  return {
    name: `boxes, ${outside}`,
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block },
    keys: { kind: 'boxes', grid, step: [1, step, step], boxes, outside },
    listBatches: 1,
    listHeads: 1,
  };
}

export function rangePlan(tokens: number, block: number, order?: Uint32Array): Plan {
  const count = Math.ceil(tokens / block);
  const ranges = new Uint32Array(count * 2);
  for (let row = 0; row < count; row++) {
    const first = Math.max(0, row * block - 20);
    ranges.set(row === 1 ? [0, 0] : [first, Math.min(tokens - first, 45)], row * 2);
  }
  return {
    name: 'ranges',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block, order },
    keys: { kind: 'ranges', layout: { slots: tokens, block: 1, order }, ranges },
    listBatches: 1,
    listHeads: 1,
  };
}

/** A window of 9 tokens to both sides. */
export const window = ({ query, key }: Positions) => query.sub(key).abs().le(9);
