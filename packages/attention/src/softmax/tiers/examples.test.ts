import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exampleKernels } from './examples.ts';
import { chooseTile, memoryBytes } from './portable-tile.ts';

const folder = resolve(import.meta.dirname, '../../../kernels');
const kernels = exampleKernels();

describe('generated kernels', () => {
  test('the folder holds these and no others', () => {
    expect(
      readdirSync(folder)
        .filter((name) => name.endsWith('.wgsl'))
        .sort(),
    ).toEqual([...kernels.keys()].sort());
  });

  test.each([...kernels])('%s is what the generator writes (npm run kernels)', (name, code) => {
    expect(readFileSync(join(folder, name), 'utf8')).toBe(code);
  });
});

describe('tiles', () => {
  test.each([16384, 32768, 49152])('fit into %i bytes for all channels and blocks', (bytes) => {
    for (const headDim of [1, 33, 64, 128, 256])
      for (const valueDim of [1, 33, 64, 128, 256])
        for (const block of [1, 4, 16, 49, 64, 4096]) {
          const tile = chooseTile(block, headDim, valueDim, {
            memoryBytes: bytes,
            threads: 256,
            software: false,
          });
          expect(memoryBytes(tile), `${block} ${headDim} ${valueDim}`).toBeLessThanOrEqual(bytes);
          expect(tile.threads).toBeLessThanOrEqual(256);
          expect(tile.keyTile % tile.valueChunk).toBe(0);
        }
  });

  test('are small for small blocks', () => {
    const limits = { memoryBytes: 49152, threads: 256, software: false };
    expect([1, 8, 16, 49, 64].map((block) => chooseTile(block, 64, 64, limits).queryTile)).toEqual([
      4, 8, 16, 64, 64,
    ]);
  });
});
