import type { GpuTier } from '../../device/device.ts';
import {
  type Blocks,
  chooseForward,
  type ForcedTile,
  type ForwardKernel,
  forcedForward,
  type Machine,
} from './forward.ts';
import type { ForwardOptions } from './forward-options.ts';
import { FRAGMENT, matrixShape, matrixTileFits } from './matrix-tile.ts';
import { portableTileFits, shapeOf } from './portable-tile.ts';
import { subgroupShape, subgroupTileFits } from './subgroup-tile.ts';
import { inSoftware, onHardware } from './tile-lists.ts';

/** A kernel that a search may time. */
export interface Candidate extends ForwardKernel {
  /** undefined: the tile that the tier's rule chooses. */
  tile: ForcedTile | undefined;
}

/** More would take longer to compile than they can win. */
export const MOST_CANDIDATES = 10;

const queryTileOf = (forced: ForcedTile) =>
  forced.tier === 'matrix' ? forced.tile.fragments * forced.tile.rows * FRAGMENT : forced.tile.queryTile;

/** Whether a tile's memory, threads and registers are there for a call, and a query block fills more than half of it. */
export function tileFits(
  forced: ForcedTile,
  options: ForwardOptions,
  { queryBlock, keys }: Blocks,
  machine: Machine,
): boolean {
  const list = (machine.software ? inSoftware : onHardware)[forced.tier];
  const smallest = Math.min(...list.map(queryTileOf));
  if (queryTileOf(forced) > smallest && queryBlock <= queryTileOf(forced) / 2) return false;
  switch (forced.tier) {
    case 'portable':
      return portableTileFits(shapeOf(forced.tile, options.headDim, options.valueDim), machine);
    case 'subgroup':
      return subgroupTileFits(subgroupShape(forced.tile, options, machine.subgroupMin), machine);
    case 'matrix':
      return options.storage === 'f16' && matrixTileFits(matrixShape(forced.tile, options, keys), machine);
  }
}

/**
 * The kernels of a tier that a search for a call may time, each text once: the rule's own choice, then those of the list
 * that fit.
 */
export function candidatesOf(
  options: ForwardOptions,
  blocks: Blocks,
  machine: Machine,
  tier: GpuTier,
): Candidate[] {
  const found: Candidate[] = [{ ...chooseForward(options, blocks, machine, tier, tier), tile: undefined }];
  for (const tile of (machine.software ? inSoftware : onHardware)[tier]) {
    if (found.length === MOST_CANDIDATES) break;
    if (!tileFits(tile, options, blocks, machine)) continue;
    const kernel = forcedForward(options, blocks, machine, tile);
    if (!found.some((other) => other.kernel.code === kernel.kernel.code)) found.push({ ...kernel, tile });
  }
  return found;
}

/** A tile in one line. */
export function describeTile(forced: ForcedTile): string {
  switch (forced.tier) {
    case 'portable': {
      const { queryTile, keyTile, rowsPerThread, prefetch, abreast } = forced.tile;
      return `${queryTile}x${keyTile} rows ${rowsPerThread}${prefetch ? ' prefetch' : ''}${abreast > 1 ? ` abreast ${abreast}` : ''}`;
    }
    case 'subgroup': {
      const { queryTile, keyTile, rowsPerThread, keysPerThread, shared, abreast, weightsAs } = forced.tile;
      return `${queryTile}x${keyTile} micro ${rowsPerThread}x${keysPerThread} weights ${weightsAs}${shared ? ' shared' : ''}${abreast > 1 ? ` abreast ${abreast}` : ''}`;
    }
    case 'matrix': {
      const { fragments, rows, columns, keyTile } = forced.tile;
      return `${fragments}x${rows}x${columns} keys ${keyTile}`;
    }
  }
}
