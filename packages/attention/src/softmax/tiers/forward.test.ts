import { describe, expect, test } from 'vitest';
import { DeviceError } from '../../errors.ts';
import { chooseForward, loadMatrixTier } from './forward.ts';
import { type ForwardOptions, plainForward } from './forward-options.ts';
import { chooseSubgroupTile, sharedBytes } from './subgroup-tile.ts';

const options: ForwardOptions = { ...plainForward, headDim: 64, valueDim: 64, memoryLimit: 32768 };
const machine = { software: false, memoryBytes: 32768, threads: 256, subgroupMin: 32 };
const cut = { queryBlock: 64, keys: { slots: 4096, block: 1 } };
const wide = { ...options, headDim: 1024, valueDim: 1024 };

describe('subgroup tiles', () => {
  test.each([16384, 32768, 49152])(
    'fit into %i bytes for all channels and blocks, where there are any',
    (bytes) => {
      let found = 0;
      for (const storage of ['f32', 'f16'] as const)
        for (const headDim of [1, 33, 64, 128, 256])
          for (const valueDim of [1, 33, 64, 128, 256])
            for (const block of [1, 4, 16, 49, 64, 4096])
              for (const subgroupMin of [4, 8, 32]) {
                const tile = chooseSubgroupTile({ storage, headDim, valueDim }, block, {
                  memoryBytes: bytes,
                  threads: 256,
                  software: false,
                  subgroupMin,
                });
                if (!tile) continue;
                found++;
                const text = `${storage} ${headDim} ${valueDim} ${block} ${subgroupMin}`;
                expect(sharedBytes(tile), text).toBeLessThanOrEqual(bytes);
                expect(tile.threads, text).toBeLessThanOrEqual(256);
                if (tile.reductions === 'lanes')
                  expect(tile.keyLanes * tile.abreast, text).toBeLessThanOrEqual(subgroupMin);
                const covered = tile.columns * tile.together * tile.keyLanes * 4;
                expect(covered, text).toBeGreaterThanOrEqual(valueDim);
              }
      expect(found).toBeGreaterThan(100);
    },
  );
});

describe('the kernel of a call', () => {
  test('is of the tier of the device', async () => {
    await loadMatrixTier();
    expect(chooseForward(options, cut, machine, 'subgroup', undefined).tier).toBe('subgroup');
    expect(chooseForward(options, cut, machine, 'portable', undefined).tier).toBe('portable');
    const halves = { ...options, storage: 'f16', outputStorage: 'f16' } as const;
    expect(chooseForward(halves, cut, machine, 'matrix', undefined).tier).toBe('matrix');
  });

  test('is of a lower tier where that of the device has no tile', () => {
    expect(chooseForward(wide, cut, machine, 'subgroup', undefined).tier).toBe('portable');
    expect(chooseForward(options, cut, machine, 'matrix', undefined).tier).toBe('subgroup');
  });

  test('is refused where the tier that must run has no tile, with what it would need', () => {
    expect(() => chooseForward(wide, cut, machine, 'subgroup', 'subgroup')).toThrow(DeviceError);
    expect(() => chooseForward(wide, cut, machine, 'subgroup', 'subgroup')).toThrow(
      /a tile for f32 with headDim 1024 and valueDim 1024; this machine: 32768 bytes/,
    );
  });
});
