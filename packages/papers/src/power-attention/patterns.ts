import type { Options, PatternName } from './paper.ts';

/** What decides which blocks a block sees. */
export type PatternOptions = Pick<Options, 'pattern' | 'windowBlocks' | 'sinkBlocks' | 'period'>;

/**
 * Key blocks that query block `row` sees, ascending, each once.
 * The method: {row − Wb + 1 … row} ∪ {row − 2ᵉ ≥ 0} ∪ {0 … Sb − 1}, in O(Wb + Sb + log row) steps.
 */
export function rowBlocks(row: number, options: PatternOptions): number[] {
  const { pattern, windowBlocks, sinkBlocks, period } = options;
  const blocks = new Set<number>();
  for (let block = 0; block < Math.min(sinkBlocks, row + 1); block++) blocks.add(block);
  const nearest = () => {
    for (let block = Math.max(0, row - windowBlocks + 1); block <= row; block++) blocks.add(block);
  };
  switch (pattern) {
    case 'power':
      nearest();
      for (let distance = 1; distance <= row; distance *= 2) blocks.add(row - distance);
      break;
    case 'window':
      nearest();
      break;
    case 'slash':
      nearest();
      for (let block = row; block >= 0; block -= period) blocks.add(block);
      break;
    case 'dilated':
      for (let distance = 0; distance < 2 * windowBlocks && distance <= row; distance += 2)
        blocks.add(row - distance);
      break;
    case 'longnet':
      for (let rate = 1; ; rate *= 2) {
        const segment = windowBlocks * rate;
        const start = Math.floor(row / segment) * segment;
        for (let block = row; block >= start; block -= rate) blocks.add(block);
        if (segment > row) break;
      }
      break;
    case 'full':
      for (let block = 0; block <= row; block++) blocks.add(block);
  }
  return [...blocks].sort((a, b) => a - b);
}

/** Key blocks of each of `blocks` query blocks. */
export function blockLists(blocks: number, options: PatternOptions): number[][] {
  return Array.from({ length: blocks }, (_, row) => rowBlocks(row, options));
}

export interface BlockCounts {
  /** Block pairs that are seen. */
  kept: number;
  /** Block pairs on and below the diagonal: what dense causal attention sees. */
  causal: number;
  /** causal / kept: no kernel that works block by block can be more times faster than dense. */
  bound: number;
  lastRow: number;
}

/** How many block pairs a pattern keeps. */
export function countBlocks(blocks: number, options: PatternOptions): BlockCounts {
  let kept = 0;
  let lastRow = 0;
  for (let row = 0; row < blocks; row++) kept += lastRow = rowBlocks(row, options).length;
  const causal = (blocks * (blocks + 1)) / 2;
  return { kept, causal, bound: causal / kept, lastRow };
}

/**
 * Another pattern at the same budget: as many blocks in the last row as the method has there, or as near below as
 * its parameter allows. Of slash the period is chosen, of the others the window.
 */
export function equalBudget(pattern: PatternName, blocks: number, options: PatternOptions): PatternOptions {
  const power: PatternOptions = { ...options, pattern: 'power' };
  if (pattern === 'power') return power;
  if (pattern === 'full') return { ...options, pattern };
  const budget = rowBlocks(blocks - 1, power).length;
  const size = (candidate: PatternOptions) => rowBlocks(blocks - 1, candidate).length;
  if (pattern === 'slash') {
    // the longest period whose row still has the whole budget, so that slashes reach as far back as they can
    for (let period = blocks; period >= 1; period--) {
      const candidate = { ...options, pattern, period };
      if (size(candidate) >= budget) return candidate;
    }
    return { ...options, pattern, period: 1 };
  }
  let best: PatternOptions = { ...options, pattern, windowBlocks: 1 };
  for (let windowBlocks = 1; windowBlocks <= blocks; windowBlocks++) {
    const candidate = { ...options, pattern, windowBlocks };
    const blocksInRow = size(candidate);
    // longnet's rows do not grow evenly with its window: take the fullest that fits
    if (blocksInRow <= budget && blocksInRow > size(best)) best = candidate;
  }
  return best;
}
