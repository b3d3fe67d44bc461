import { expect, test } from 'vitest';
import { create } from 'webgpu';
import { exampleKernels } from './examples.ts';
import { chooseMatrixTile, matrixShape } from './matrix-tile.ts';

// No adapter in software has subgroup matrices. Dawn's null adapter has every feature and compiles WGSL, but runs nothing.
const instance = create([
  'backend=null',
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
]);
const adapter = await instance.requestAdapter();
const device = await adapter?.requestDevice({
  requiredFeatures: ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix' as GPUFeatureName],
});
Object.assign(globalThis, { keptByMatrixTest: [instance, adapter, device] });

const matrixKernels = [...exampleKernels()].filter(([name]) => name.includes('forward-matrix'));

test('there are examples of the matrix tier', () => {
  expect(matrixKernels.length).toBeGreaterThan(5);
});

test.each(matrixKernels)('%s compiles', async (_name, code) => {
  const messages = await device?.createShaderModule({ code }).getCompilationInfo();
  expect(
    messages?.messages.filter(({ type }) => type === 'error').map((m) => `${m.lineNum}: ${m.message}`),
  ).toEqual([]);
});

const call = {
  storage: 'f16',
  headDim: 64,
  valueDim: 64,
  keys: 'all',
  queryOrder: false,
  keyOrder: false,
  keep: undefined,
  change: undefined,
  honourFullBlocks: true,
  maskIsCausal: false,
  maskIsBand: false,
} as const;
const hopper = { memoryBytes: 49152, threads: 1024 };

test('tiles fill the query blocks that they are given', () => {
  const rows = (queryBlock: number) =>
    chooseMatrixTile({ ...call } as never, queryBlock, { slots: 4096, block: 1 }, hopper)?.queryTile;
  expect([4096, 128, 64, 49, 16].map(rows)).toEqual([256, 128, 64, 64, 16]);
});

test('there is none for f32, nor for more channels than the registers hold', () => {
  const keys = { slots: 4096, block: 1 };
  expect(chooseMatrixTile({ ...call, storage: 'f32' } as never, 4096, keys, hopper)).toBeUndefined();
  expect(
    chooseMatrixTile({ ...call, headDim: 512, valueDim: 512 } as never, 4096, keys, hopper),
  ).toBeUndefined();
});

test('keys are neighbours where no order or short block parts them', () => {
  const tile = { fragments: 1, rows: 4, columns: 1, keyTile: 32 } as const;
  const contiguous = (change: object, slots: number, block: number) =>
    matrixShape(tile, { ...call, ...change }, { slots, block }).contiguous;
  expect(contiguous({}, 100, 1)).toBe(true);
  expect(contiguous({ keys: 'blocks' }, 128, 64)).toBe(true);
  expect(contiguous({ keys: 'blocks' }, 100, 64)).toBe(false);
  expect(contiguous({ keys: 'blocks' }, 128, 16)).toBe(false);
  expect(contiguous({ keys: 'gathered' }, 128, 1)).toBe(false);
  expect(contiguous({ keys: 'band' }, 128, 1)).toBe(false);
  expect(contiguous({ keyOrder: true }, 128, 1)).toBe(false);
});

test('blocks of an order are marked where it fills every slot and their tiles are not cut', () => {
  const tile = { fragments: 1, rows: 4, columns: 1, keyTile: 32 } as const;
  const ordered = { keys: 'blocks', keyOrder: true, queryOrder: true, keep: 'fn keep() {}' } as const;
  const shape = (change: object, block: number, filled: boolean) =>
    matrixShape(tile, { ...call, ...ordered, ...change }, { slots: 128, block, filled });
  expect(shape({}, 64, true)).toMatchObject({ marked: true, complete: true, contiguous: false });
  expect(shape({}, 64, false)).toMatchObject({ marked: false, complete: false });
  expect(shape({}, 16, true).marked).toBe(false);
  expect(shape({ honourFullBlocks: false }, 64, true).marked).toBe(false);
  expect(shape({ keep: undefined }, 64, true)).toMatchObject({ marked: false, complete: true });
});
