import { blockLists, type PatternOptions, rowBlocks } from './patterns.ts';

/** Stands in depths where no number of layers brings a block's information to the last block. */
export const UNREACHED = -1;

/**
 * Least number of layers after which block `target` depends on each block: breadth-first search along
 * "sees", one step a layer. 0 for the target itself, UNREACHED for holes.
 * @returns [target + 1]
 */
export function reachDepths(options: PatternOptions, target: number): Int32Array {
  const depths = new Int32Array(target + 1).fill(UNREACHED);
  depths[target] = 0;
  let front = [target];
  for (let depth = 1; front.length > 0; depth++) {
    const next: number[] = [];
    for (const row of front) {
      for (const block of rowBlocks(row, options)) {
        if (depths[block] !== UNREACHED) continue;
        depths[block] = depth;
        next.push(block);
      }
    }
    front = next;
  }
  return depths;
}

/** Blocks that a shortest relay from `source` to `target` visits, target first; empty where there is none. */
export function relayPath(options: PatternOptions, source: number, target: number): number[] {
  const depths = reachDepths(options, target);
  if (source > target || depths[source] === UNREACHED) return [];
  const lists = blockLists(target + 1, options);
  const path = [source];
  while (path[0] !== target) {
    const [reached] = path;
    // a block of one layer less that sees the block reached so far
    const next = lists.findIndex(
      (list, row) => depths[row] === depths[reached] - 1 && list.includes(reached),
    );
    path.unshift(next);
  }
  return path;
}

/** Number of ones in the binary form: layers that the bare method needs for a block distance. */
export function binaryOnes(distance: number): number {
  let ones = 0;
  for (let rest = distance; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones;
}

export interface Coverage {
  /** Blocks, the last one included, that the last block depends on after so many layers. */
  reached: number;
  /** The same, counted from the last block back to the first hole. */
  contiguous: number;
  /** Unreached blocks between reached ones. */
  holes: number;
}

/** What the last of `blocks` blocks depends on after `layers` layers. */
export function coverage(depths: Int32Array, layers: number): Coverage {
  const inReach = Array.from(depths, (depth) => depth !== UNREACHED && depth <= layers);
  const reached = inReach.filter(Boolean).length;
  let contiguous = 0;
  while (contiguous < depths.length && inReach[depths.length - 1 - contiguous]) contiguous++;
  const farthest = inReach.indexOf(true);
  return { reached, contiguous, holes: depths.length - farthest - reached };
}

/** Layers until every block is reached; UNREACHED where some never is. */
export function layersToReachAll(options: PatternOptions, blocks: number): number {
  const depths = reachDepths(options, blocks - 1);
  return depths.includes(UNREACHED) ? UNREACHED : Math.max(...depths);
}
