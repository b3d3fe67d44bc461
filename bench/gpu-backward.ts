// Times attendBackward() on WebGPU, candidate tiles of each side beside each other:
// node bench/gpu-backward.ts [--only text] [--tiers portable,matrix] [--quick] [--json file] [--suite] [--dawn toggles]
// --suite first runs all cases in which a device must do as the reference does, in f32 and in f16.
// Every candidate first agrees with the reference on a small odd shape; then the median of seven samples of a device that is
// kept busy (tune/steady.ts). TFLOP/s count five products, 10 headDim a pair that is kept; seven are computed.
import { writeFileSync } from 'node:fs';
import type { Device, GpuTier } from '../packages/attention/src/device/device.ts';
import { openDevice } from '../packages/attention/src/device/open.ts';
import { openWebGPU } from '../packages/attention/src/device/webgpu.ts';
import { attend } from '../packages/attention/src/softmax/attend.ts';
import { type BackwardOptions, checkBackward } from '../packages/attention/src/softmax/backward.ts';
import type { BackwardRequest } from '../packages/attention/src/softmax/request.ts';
import { plainBackward } from '../packages/attention/src/softmax/tiers/backward-options.ts';
import {
  type MatrixBackwardTile,
  matrixBackwardFits,
  matrixBackwardShape,
  matrixBackwardTiles,
} from '../packages/attention/src/softmax/tiers/matrix-backward-tile.ts';
import {
  type BackwardTile,
  backwardBytes,
  backwardShape,
} from '../packages/attention/src/softmax/tiers/portable-backward-tile.ts';
import {
  attendBackwardOnGpu,
  type ForcedBackward,
} from '../packages/attention/src/softmax/webgpu-backward.ts';
import { backwardCases, halfBackwardCases } from '../packages/attention/src/testing/backward-suite.ts';
import { expectClose, randomArray, tolerances } from '../packages/attention/src/testing/close.ts';
import { median, sampleBusy, timeSteady } from '../packages/attention/src/tune/steady.ts';
import { keptPairs } from '../packages/site/src/shared/bench.ts';
import { attendOptions } from './masks.ts';

const argument = (name: string) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const quick = process.argv.includes('--quick');
const only = argument('--only') ?? '';
const tiers = (argument('--tiers')?.split(',') ?? ['portable', 'matrix']) as GpuTier[];
const device = await openWebGPU({ dawnFeatures: argument('--dawn')?.split(',') });
const reference = await openDevice('reference');
console.log(`${device.description}, tier ${device.tier} ${JSON.stringify(device.capabilities)}`);

if (process.argv.includes('--suite')) {
  // f32 storage passes the matrix units by
  const suites = { f32: backwardCases, f16: halfBackwardCases };
  for (const dtype of device.tier === 'matrix' ? (['f32', 'f16'] as const) : (['f32'] as const)) {
    if (dtype === 'f32' && !tiers.includes('portable')) continue;
    let wrong = 0;
    for (const item of suites[dtype]) {
      try {
        await item.run(device);
      } catch (error) {
        wrong++;
        console.log(`${dtype} differs: ${item.name}: ${(error as Error).message.slice(0, 300)}`);
      }
    }
    const count = suites[dtype].length;
    console.log(`${dtype}: ${count - wrong} of ${count} cases agree with the reference`);
    if (wrong > 0) process.exitCode = 1;
  }
}

const portableTiles: BackwardTile[] = [
  { rowTile: 64, columnTile: 64, rowsPerThread: 4, chunk: 8 },
  { rowTile: 64, columnTile: 64, rowsPerThread: 4, chunk: 4 },
  { rowTile: 64, columnTile: 64, rowsPerThread: 8, chunk: 8 },
  { rowTile: 64, columnTile: 64, rowsPerThread: 2, chunk: 8 },
  { rowTile: 64, columnTile: 32, rowsPerThread: 4, chunk: 8 },
  { rowTile: 64, columnTile: 32, rowsPerThread: 4, chunk: 16 },
  { rowTile: 64, columnTile: 32, rowsPerThread: 8, chunk: 16 },
  { rowTile: 128, columnTile: 32, rowsPerThread: 8, chunk: 8 },
  { rowTile: 32, columnTile: 64, rowsPerThread: 4, chunk: 8 },
  { rowTile: 32, columnTile: 64, rowsPerThread: 2, chunk: 8 },
];

/** Besides those that attendBackward() chooses from. */
const matrixTiles: MatrixBackwardTile[] = [...matrixBackwardTiles, { fragments: 2, rows: 1 }];

interface Case {
  name: string;
  heads: number;
  tokens: number;
  headDim: 64 | 128;
  dtype: 'f32' | 'f16';
  mask?: Parameters<typeof attendOptions>[0]['mask'];
  /** All candidates of both sides, or the tiles that attendBackward() would choose. */
  all?: boolean;
}

const middle = quick ? 256 : 4096;
const most = quick ? 256 : 8192;
const long = quick ? 2048 : 32768;
const heads = quick ? 2 : 16;

const halves: Case[] = ([64, 128] as const).flatMap((headDim) => {
  const shape = { heads, headDim, dtype: 'f16' } as const;
  return [
    { ...shape, name: 'dense f16', tokens: most, all: true },
    { ...shape, name: 'causal f16', tokens: most, mask: { kind: 'causal' } },
    { ...shape, name: 'window of 1024 f16', tokens: long, mask: { kind: 'window', size: 1024 } },
    {
      ...shape,
      name: '10 % of blocks of 64 f16',
      tokens: long,
      mask: { kind: 'blocks', block: 64, kept: Math.round(long / 640), seed: 1 },
    },
  ] satisfies Case[];
});
const cases: Case[] = [
  ...halves,
  { name: 'dense f32', heads, tokens: middle, headDim: 64, dtype: 'f32', all: true },
  { name: 'dense f32', heads, tokens: middle, headDim: 128, dtype: 'f32', all: true },
];

async function requestOn(
  on: Device,
  shape: readonly number[],
  dtype: 'f32' | 'f16',
  options: BackwardOptions,
) {
  const tensors = [1, 2, 3, 4].map((seed) => on.tensor(randomArray(seed, shape), shape, dtype));
  const [query, key, value, outputGradient] = tensors;
  const result = await attend(query, key, value, { ...options, outputDType: 'f32' });
  return {
    request: checkBackward(query, key, value, result, outputGradient, options),
    tensors: [...tensors, result.output, result.logSumExp],
  };
}

async function agrees(forced: ForcedBackward, headDim: number, dtype: 'f32' | 'f16'): Promise<void> {
  const run = async (on: Device) => {
    const { request, tensors } = await requestOn(on, [1, 2, 131, headDim], dtype, { causal: true });
    const { query, key, value } = await (on === device
      ? attendBackwardOnGpu(device.gpu, request, forced)
      : on.kernels.attendBackward(request));
    const numbers = await Promise.all([query, key, value].map((tensor) => tensor.read()));
    for (const tensor of [...tensors, query, key, value]) tensor.dispose();
    return numbers;
  };
  const [actual, expected] = [await run(device), await run(reference)];
  actual.forEach((numbers, i) => {
    expectClose(numbers, expected[i], tolerances[dtype], ['query', 'key', 'value'][i]);
  });
}

const textOf = (tile: BackwardTile | MatrixBackwardTile) =>
  'fragments' in tile
    ? `matrix ${tile.fragments}x${tile.rows}`
    : `portable ${tile.rowTile}x${tile.columnTile} rows ${tile.rowsPerThread} chunk ${tile.chunk}`;

const noBlocks = { keys: { slots: 1, block: 1 }, queryBlock: 1 };

/** What forces each candidate of a side, by its text; '' is what attendBackward() chooses. */
function candidates({ headDim, dtype, all }: Case): [string, ForcedBackward][] {
  const found: [string, ForcedBackward][] = [['chosen tiles', {}]];
  const { maxComputeWorkgroupStorageSize: bytes, maxComputeInvocationsPerWorkgroup: threads } =
    device.gpu.limits;
  const onMatrix = dtype === 'f16' && device.tier === 'matrix';
  if (onMatrix && tiers.includes('portable')) {
    const tile = portableTiles[0];
    found.push(['portable', { queries: tile, keys: tile }]);
  }
  if (!all || !tiers.includes(onMatrix ? 'matrix' : 'portable')) return found;
  const fits = (side: 'queries' | 'keys', tile: BackwardTile | MatrixBackwardTile) => {
    if ('fragments' in tile)
      return matrixBackwardFits(
        matrixBackwardShape(tile, { ...plainBackward, side, headDim, valueDim: headDim }, noBlocks),
        {
          memoryBytes: bytes,
          threads,
        },
      );
    const shape = backwardShape(tile, side, headDim, headDim);
    return backwardBytes(shape) <= bytes && shape.threads <= threads;
  };
  const tiles = onMatrix ? matrixTiles : portableTiles;
  for (const side of ['queries', 'keys'] as const)
    for (const tile of tiles) if (fits(side, tile)) found.push([`${side} ${textOf(tile)}`, { [side]: tile }]);
  return found;
}

async function time(request: BackwardRequest, forced: ForcedBackward) {
  let tier: string | undefined;
  const timed = {
    work: async () => {
      const gradients = await attendBackwardOnGpu(device.gpu, request, forced);
      tier = gradients.tier;
      for (const tensor of [gradients.query, gradients.key, gradients.value]) tensor.dispose();
    },
    device,
  };
  if (!quick) return { ...(await timeSteady(timed)), tier };
  const samplesMs = await sampleBusy(timed, 1, 2);
  return { samplesMs, medianMs: median(samplesMs), tier };
}

const results: Record<string, unknown>[] = [];
for (const item of cases) {
  const { name, tokens, headDim, dtype, mask = { kind: 'none' } } = item;
  const shape = [1, item.heads, tokens, headDim];
  if (!`${name} ${shape.join('x')}`.includes(only)) continue;
  const masked = { mask, queryTokens: tokens, keyTokens: tokens };
  const options = attendOptions(masked);
  const { request, tensors } = await requestOn(device, shape, dtype, options);
  for (const [text, forced] of candidates(item)) {
    try {
      await agrees(forced, headDim, dtype);
      const { medianMs, samplesMs, tier } = await time(request, forced);
      const tflops = (10 * item.heads * keptPairs(masked) * headDim) / medianMs / 1e9;
      console.log(
        `${name} ${shape.join('x')} ${text} (tier ${tier}): ${medianMs.toFixed(2)} ms, ${tflops.toFixed(1)} TFLOP/s`,
      );
      results.push({ name, shape, dtype, text, forced, tier, medianMs, tflops, samplesMs });
    } catch (error) {
      console.log(`${name} ${shape.join('x')} ${text}: ${(error as Error).message.slice(0, 300)}`);
    }
  }
  for (const tensor of tensors) tensor.dispose();
}
const file = argument('--json');
if (file) writeFileSync(file, JSON.stringify({ device: device.description, results }, null, 2));
await device.close();
process.exit();
