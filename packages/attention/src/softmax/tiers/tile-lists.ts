import type { GpuTier } from '../../device/device.ts';
import type { ForcedTile } from './forward.ts';
import type { MatrixTile } from './matrix-tile.ts';
import type { Tile } from './portable-tile.ts';
import type { SubgroupTile } from './subgroup-tile.ts';

const portable = (
  queryTile: number,
  keyTile: number,
  rowsPerThread: number,
  prefetch: boolean,
  abreast: 1 | 2,
  chunk = 8,
): ForcedTile => {
  const tile: Tile = { queryTile, keyTile, rowsPerThread, chunk, prefetch, abreast };
  return { tier: 'portable', tile };
};

const subgroup = (
  queryTile: number,
  keyTile: number,
  rowsPerThread: number,
  rest: Partial<SubgroupTile> = {},
): ForcedTile => ({
  tier: 'subgroup',
  tile: {
    queryTile,
    keyTile,
    rowsPerThread,
    keysPerThread: 4,
    queriesAs: 'f16',
    keysAs: 'f16',
    weightsAs: 'f16',
    shared: false,
    prefetch: true,
    abreast: 2,
    ...rest,
  },
});

const matrix = (fragments: 1 | 2, rows: number, columns: 1 | 2, keyTile: 16 | 32): ForcedTile => {
  const tile: MatrixTile = { fragments, rows, columns, keyTile };
  return { tier: 'matrix', tile };
};

/** What is worth a try on hardware, the most promising first; small tiles are for small query blocks. */
export const onHardware: Record<GpuTier, readonly ForcedTile[]> = {
  portable: [
    portable(64, 64, 4, true, 2),
    portable(64, 64, 8, true, 2),
    portable(64, 64, 8, false, 1),
    portable(64, 32, 8, true, 2),
    portable(64, 32, 4, true, 2),
    portable(32, 64, 4, true, 2),
    portable(128, 32, 8, true, 2),
    portable(64, 64, 4, false, 1),
    portable(32, 64, 4, false, 1),
    portable(16, 64, 2, true, 2),
    portable(16, 32, 2, true, 2),
    portable(8, 64, 1, true, 2),
    portable(8, 32, 1, false, 1),
    portable(4, 64, 1, true, 1),
  ],
  subgroup: [
    subgroup(64, 64, 8),
    subgroup(64, 32, 8),
    subgroup(64, 64, 8, { shared: true }),
    subgroup(64, 64, 8, { keysPerThread: 8 }),
    subgroup(64, 64, 8, { abreast: 1 }),
    subgroup(64, 32, 4, { shared: true }),
    subgroup(32, 64, 4),
    subgroup(128, 32, 8),
    subgroup(64, 32, 8, { weightsAs: 'f32' }),
    subgroup(32, 32, 4, { shared: true }),
    subgroup(32, 32, 4),
    subgroup(16, 64, 4),
    subgroup(16, 32, 2, { shared: true }),
    subgroup(16, 64, 2),
    subgroup(8, 64, 2),
    subgroup(8, 32, 1, { shared: true }),
  ],
  matrix: [
    matrix(2, 8, 2, 32),
    matrix(2, 4, 2, 32),
    matrix(1, 8, 1, 32),
    matrix(1, 8, 2, 32),
    matrix(2, 2, 2, 32),
    matrix(1, 4, 2, 32),
    matrix(1, 4, 1, 32),
    matrix(1, 4, 1, 16),
    matrix(1, 2, 2, 32),
    matrix(1, 2, 1, 16),
    matrix(1, 1, 2, 32),
  ],
};

/** On the CPU threads cost time and unrolled rows and columns cost compile time. */
export const inSoftware: Record<GpuTier, readonly ForcedTile[]> = {
  portable: [
    portable(16, 16, 4, false, 1),
    portable(16, 32, 4, false, 1),
    portable(16, 64, 4, false, 1),
    portable(8, 32, 2, false, 1),
    portable(32, 32, 4, false, 1),
  ],
  subgroup: [
    subgroup(16, 16, 4, { abreast: 1 }),
    subgroup(16, 32, 4, { abreast: 1 }),
    subgroup(16, 64, 4, { abreast: 1 }),
    subgroup(8, 16, 2, { abreast: 1 }),
  ],
  matrix: [],
};

/** The tile of a list that `given` is, or undefined: what a file says is not trusted. */
export function knownTile(given: unknown): ForcedTile | undefined {
  const text = JSON.stringify(given);
  for (const list of [onHardware, inSoftware])
    for (const tiles of Object.values(list)) {
      const found = tiles.find((tile) => JSON.stringify(tile) === text);
      if (found) return found;
    }
  return undefined;
}
