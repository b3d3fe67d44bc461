import { expect, test } from 'vitest';
import { create } from 'webgpu';
import { type BackwardOptionsOfSide, plainBackward } from './backward-options.ts';
import { gradientScales, largestNumber, scaledHalves } from './gradient-scales.ts';
import { matrixBackward } from './matrix-backward.ts';
import { chooseMatrixBackward, matrixBackwardFits } from './matrix-backward-tile.ts';

// Dawn's null adapter has every feature and compiles WGSL, but runs nothing.
const instance = create([
  'backend=null',
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
]);
const adapter = await instance.requestAdapter();
const device = await adapter?.requestDevice({
  requiredFeatures: ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix' as GPUFeatureName],
});
Object.assign(globalThis, { keptByMatrixBackwardTest: [instance, adapter, device] });

const hopper = { memoryBytes: 49152, threads: 1024 };
const keep =
  'fn keep(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> bool { return key <= query; }';
const change =
  'fn change(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> f32 { return score + 1.0; }';

const call = (options: Partial<BackwardOptionsOfSide>) => ({
  ...plainBackward,
  headDim: 64,
  valueDim: 64,
  storage: 'f16' as const,
  gradientStorage: 'f16' as const,
  memoryLimit: 49152,
  side: 'queries' as const,
  ...options,
});
const slotsOf = (block: number) => ({ keys: { slots: 1024, block }, queryBlock: block });

const variants: Record<string, Partial<BackwardOptionsOfSide>> = {
  dense: {},
  'dense of 128 channels': { headDim: 128, valueDim: 128 },
  'odd channels': { headDim: 33, valueDim: 20 },
  causal: { causalTiles: true, onlyCausal: true },
  'causal and a mask': { causalTiles: true, keep },
  'a changed score': { change },
  blocks: { keys: 'blocks' },
  'blocks, marked': { keys: 'blocks', keep, honourFullBlocks: true },
  'blocks on the device': { keys: 'blocks', lists: 'tensors' },
  'blocks in orders': { keys: 'blocks', queryOrder: true, keyOrder: true, bySlot: true },
  gathered: { keys: 'gathered' },
  ranges: { keys: 'ranges', lists: 'tensors' },
  intervals: { keys: 'intervals', keep, honourFullBlocks: true },
  band: { keys: 'band' },
  boxes: { keys: 'boxes', outside: 'zero' },
};
const kernels = (['queries', 'keys'] as const).flatMap((side) =>
  Object.entries(variants).flatMap(([name, options]) =>
    [64, 16].map((block) => {
      const given = call({ ...options, side });
      const shape = chooseMatrixBackward(given, block, slotsOf(block), hopper);
      if (!shape) throw new Error(`no tile for ${name}`);
      return [
        `${side}, ${name}, ${shape.rowTile} rows`,
        matrixBackward([{ ...given, side }, shape]).code,
      ] as const;
    }),
  ),
);
const scales = [gradientScales, largestNumber('f16'), largestNumber('f32'), scaledHalves].map(
  ({ name, code }) => [name, code] as const,
);

test.each([...kernels, ...scales])('%s compiles', async (_name, code) => {
  const messages = await device?.createShaderModule({ code }).getCompilationInfo();
  expect(
    messages?.messages.filter(({ type }) => type === 'error').map((m) => `${m.lineNum}: ${m.message}`),
  ).toEqual([]);
});

test('tiles are full and fit, and there is none where the portable kernels are better', () => {
  const rowsOf = (rows: number, options: Partial<BackwardOptionsOfSide> = {}) => {
    const shape = chooseMatrixBackward(call({ side: 'keys', ...options }), rows, slotsOf(64), hopper);
    if (shape) expect(matrixBackwardFits(shape, hopper)).toBe(true);
    return shape?.rowTile;
  };
  expect([4096, 64, 49, 32, 16, 9, 8].map((rows) => rowsOf(rows))).toEqual([
    128,
    64,
    64,
    32,
    16,
    16,
    undefined,
  ]);
  expect(rowsOf(4096, { headDim: 128, valueDim: 128 })).toBe(64);
  expect(rowsOf(4096, { headDim: 512, valueDim: 512 })).toBeUndefined();
  expect(rowsOf(4096, { storage: 'f32' })).toBeUndefined();
  expect(rowsOf(4096, { slope: 'fn slope() {}' })).toBeUndefined();
});
