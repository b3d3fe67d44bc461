import { expect, test } from 'vitest';
import { familyName, familyOf, kernelHash } from './family.ts';
import { candidatesOf, MOST_CANDIDATES, tileFits } from './tiers/candidates.ts';
import { chooseForward, forwardOf, loadMatrixTier, type Machine } from './tiers/forward.ts';
import { type ForwardOptions, plainForward } from './tiers/forward-options.ts';
import { knownTile } from './tiers/tile-lists.ts';

await loadMatrixTier();

const options: ForwardOptions = {
  ...plainForward,
  headDim: 64,
  valueDim: 64,
  storage: 'f16',
  outputStorage: 'f16',
  honourFullBlocks: true,
  memoryLimit: 49152,
};
const keep =
  'fn keep(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> bool { return key <= query; }';
const whole = { queryBlock: 4096, keys: { slots: 4096, block: 1 } };
const blocks = { queryBlock: 64, keys: { slots: 4096, block: 64 } };
const size = { batch: 2, heads: 8, queryTokens: 4096, keyTokens: 4096 };
const machine: Machine = { software: false, memoryBytes: 49152, threads: 1024, subgroupMin: 32 };

test('calls that one tile serves have one name', () => {
  const name = (change: Partial<ForwardOptions>, cut = whole, sizes = {}) =>
    familyName(familyOf({ ...options, ...change }, cut, { ...size, ...sizes }, 'matrix'));
  expect(name({})).toBe('matrix, f16, headDim 64, dense, 4096-16383 tokens, 8-63 heads');
  expect(name({}, whole, { batch: 1, heads: 9, queryTokens: 5000, keyTokens: 16383 })).toBe(name({}));
  expect(name({ keep, stopEarly: true, maskIsCausal: true })).toContain('causal, 4096');
  expect(name({ keep, stopEarly: true })).toContain('dense with expressions, 4096');
  expect(name({ keep, change: 'fn', stopEarly: true, maskIsCausal: true })).toContain('dense with expr');
  expect(name({ keys: 'blocks' }, blocks)).toContain('blocks-64, by 64 queries, 4096');
  expect(name({ keys: 'gathered', keep }, { ...blocks, keys: whole.keys })).toContain('gathered with expr');
  expect(name({ valueDim: 32 }, whole, { queryTokens: 1000, keyTokens: 77 })).toBe(
    'matrix, f16, headDim 64 valueDim 32, dense, 256-1023 queries 64-255 keys, 8-63 heads',
  );
});

test('a family’s hash is of its tile’s text', () => {
  const family = familyOf(options, whole, size, 'matrix');
  const tile = knownTile({ tier: 'matrix', tile: { fragments: 1, rows: 4, columns: 1, keyTile: 16 } })!;
  const own = kernelHash(family, machine, undefined, forwardOf);
  expect(kernelHash({ ...family, queryTokens: 'other' }, machine, undefined, forwardOf)).toBe(own);
  const others = [
    kernelHash(family, machine, tile, forwardOf),
    kernelHash({ ...family, headDim: 80 }, machine, undefined, forwardOf),
    kernelHash({ ...family, mask: 'causal' }, machine, undefined, forwardOf),
    kernelHash({ ...family, mask: 'blocks-64' }, machine, undefined, forwardOf),
    kernelHash({ ...family, mask: 'gathered', expressions: true }, machine, undefined, forwardOf),
  ];
  expect(new Set([own, ...others]).size).toBe(6);
});

test('candidates fit the machine, are few, differ, and begin with the tier’s own choice', () => {
  for (const software of [false, true])
    for (const tier of ['portable', 'subgroup', 'matrix'] as const)
      for (const headDim of [33, 64, 128])
        for (const cut of [whole, blocks, { ...blocks, queryBlock: 8 }]) {
          if (software && tier === 'matrix') continue;
          const call = { ...options, headDim, valueDim: headDim };
          const limits = { ...machine, software };
          const found = candidatesOf(call, cut, limits, tier);
          const text = `${tier} ${headDim} ${cut.queryBlock} ${software}`;
          expect(found[0].kernel, text).toBe(chooseForward(call, cut, limits, tier, tier).kernel);
          if (cut.queryBlock > 8) expect(found.length, text).toBeGreaterThan(2);
          expect(found.length, text).toBeLessThanOrEqual(MOST_CANDIDATES);
          expect(new Set(found.map(({ kernel }) => kernel.code)).size, text).toBe(found.length);
          for (const { kernel, tile } of found.slice(1)) {
            expect(kernel.threads, text).toBeLessThanOrEqual(limits.threads);
            expect(kernel.memoryBytes, text).toBeLessThanOrEqual(limits.memoryBytes);
            expect(knownTile(JSON.parse(JSON.stringify(tile))), text).toBe(tile);
          }
        }
});

test('a tile that memory, threads or storage do not hold is no candidate', () => {
  const tile = knownTile({ tier: 'matrix', tile: { fragments: 2, rows: 8, columns: 2, keyTile: 32 } })!;
  expect(tileFits(tile, options, whole, machine)).toBe(true);
  expect(tileFits(tile, { ...options, storage: 'f32' }, whole, machine)).toBe(false);
  expect(tileFits(tile, options, whole, { ...machine, memoryBytes: 16384 })).toBe(false);
  expect(tileFits(tile, options, whole, { ...machine, threads: 256 })).toBe(false);
  expect(tileFits(tile, options, blocks, machine)).toBe(false);
});
