import type { GpuTier } from '../../device/device.ts';
import { DeviceError } from '../../errors.ts';
import type { Kernel } from '../../wgsl/assemble.ts';
import { kept } from '../../wgsl/kept.ts';
import type { ForwardOptions } from './forward-options.ts';
import {
  chooseMatrixTile,
  type KeySlots,
  type MatrixShape,
  type MatrixTile,
  matrixShape,
} from './matrix-tile.ts';
import { portableForward } from './portable.ts';
import { chooseTile, shapeOf, type Tile, type TileShape } from './portable-tile.ts';
import { subgroupForward } from './subgroup.ts';
import { chooseSubgroupTile, type SubgroupShape, type SubgroupTile, subgroupShape } from './subgroup-tile.ts';

const matrix: { forward?: typeof import('./matrix.ts').matrixForward } = {};

/** Loads the generator of the matrix tier, which browsers have no use for yet: before its first kernel is made. */
export async function loadMatrixTier(): Promise<void> {
  matrix.forward ??= (await import('./matrix.ts')).matrixForward;
}

/** What a tier's choice of a tile depends on. */
export interface Machine {
  software: boolean;
  memoryBytes: number;
  threads: number;
  /** Lanes of the smallest subgroup; 0 where kernels may not use subgroups. */
  subgroupMin: number;
}

/** A kernel for a call, with the number of query slots that a workgroup of it takes. */
export interface ForwardKernel {
  tier: GpuTier;
  kernel: Kernel;
  queryTile: number;
}

/** A tile that a measurement forces instead of the tier's own choice. */
export type ForcedTile =
  | { tier: 'portable'; tile: Tile }
  | { tier: 'subgroup'; tile: SubgroupTile }
  | { tier: 'matrix'; tile: MatrixTile };

/** Slots of a query block, and of the keys and their blocks: what a tile is cut from. */
export interface Blocks {
  queryBlock: number;
  keys: KeySlots;
}

/** A tier's kernel for a call; undefined where it has none, or another tier's is better. */
type Choose = (options: ForwardOptions, blocks: Blocks, machine: Machine) => ForwardKernel | undefined;

const portable: Choose = (options, { queryBlock }, machine) =>
  portableKernel(options, chooseTile(queryBlock, options.headDim, options.valueDim, machine));

const subgroup: Choose = (options, { queryBlock }, machine) => {
  const tile = chooseSubgroupTile(options, queryBlock, machine);
  return tile && subgroupKernel(options, tile);
};

const matrixUnits: Choose = (options, { queryBlock, keys }, machine) => {
  const tile = chooseMatrixTile(options, queryBlock, keys, machine);
  return tile && matrixKernel(options, tile);
};

/** From the tier that runs everywhere to the one that needs most. */
const tiers: readonly (readonly [GpuTier, Choose])[] = [
  ['portable', portable],
  ['subgroup', subgroup],
  ['matrix', matrixUnits],
];

/**
 * The kernel for a call: of the device's tier, or of the next lower one that has one.
 * @param only the tier that must run
 * @throws DeviceError if that has no kernel for the call
 */
export const chooseForward = kept(
  (
    options: ForwardOptions,
    blocks: Blocks,
    machine: Machine,
    device: GpuTier,
    only: GpuTier | undefined,
  ): ForwardKernel => {
    const highest = tiers.findIndex(([tier]) => tier === (only ?? device));
    for (const [tier, choose] of tiers.slice(0, highest + 1).reverse()) {
      if (only !== undefined && tier !== only) break;
      const found = choose(options, blocks, machine);
      if (found) return found;
    }
    throw new DeviceError(`the tier '${only}' has no kernel for this call`, {
      needs: `a tile for ${options.storage} with headDim ${options.headDim} and valueDim ${options.valueDim}`,
      has: `${machine.memoryBytes} bytes of workgroup memory and ${machine.threads} threads a workgroup`,
    });
  },
);

/** The kernel of a given tile. */
export function forcedForward(
  options: ForwardOptions,
  { keys }: Blocks,
  machine: Machine,
  forced: ForcedTile,
): ForwardKernel {
  switch (forced.tier) {
    case 'portable':
      return portableKernel(options, shapeOf(forced.tile, options.headDim, options.valueDim));
    case 'subgroup':
      return subgroupKernel(options, subgroupShape(forced.tile, options, machine.subgroupMin));
    case 'matrix':
      return matrixKernel(options, matrixShape(forced.tile, options, keys));
  }
}

/** The kernel of a given tile; without one, of the tier's own choice. */
export function forwardOf(
  options: ForwardOptions,
  blocks: Blocks,
  machine: Machine,
  tier: GpuTier,
  tile: ForcedTile | undefined,
): ForwardKernel {
  return tile
    ? forcedForward(options, blocks, machine, tile)
    : chooseForward(options, blocks, machine, tier, tier);
}

/** Kernels of a tier by their options and tile. */
function kernels<Shape extends { queryTile: number }>(
  tier: GpuTier,
  make: (options: ForwardOptions, tile: Shape) => Kernel,
): (options: ForwardOptions, tile: Shape) => ForwardKernel {
  return kept((options, tile) => ({ tier, kernel: make(options, tile), queryTile: tile.queryTile }));
}

const portableKernel = kernels('portable', (options, tile: TileShape) =>
  portableForward({ ...options, tile }),
);
const subgroupKernel = kernels('subgroup', (options, tile: SubgroupShape) => subgroupForward(options, tile));
const matrixKernel = kernels('matrix', (options, tile: MatrixShape) => {
  if (!matrix.forward) throw new Error('loadMatrixTier() comes before a kernel of the tier');
  return matrix.forward(options, tile);
});
