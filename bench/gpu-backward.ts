// Times attendBackward() on WebGPU, candidate tiles of each side beside each other:
// node bench/gpu-backward.ts [--only text] [--quick] [--json file] [--suite] [--dawn toggles]
// Every candidate first agrees with the reference on a small odd shape; then median of 10, finish() after each.
// TFLOP/s count five products, 10 headDim a pair that is kept; seven are computed.
import { writeFileSync } from 'node:fs';
import type { Device } from '../packages/attention/src/device/device.ts';
import { openDevice } from '../packages/attention/src/device/open.ts';
import { openWebGPU } from '../packages/attention/src/device/webgpu.ts';
import { blockListPlan, type Plan } from '../packages/attention/src/plan.ts';
import { attend } from '../packages/attention/src/softmax/attend.ts';
import { type BackwardOptions, checkBackward } from '../packages/attention/src/softmax/backward.ts';
import {
  type BackwardTile,
  backwardBytes,
  backwardShape,
  type Side,
} from '../packages/attention/src/softmax/tiers/portable-backward-tile.ts';
import { attendBackwardOnGpu } from '../packages/attention/src/softmax/webgpu-backward.ts';
import { backwardCases } from '../packages/attention/src/testing/backward-suite.ts';
import { expectClose, randomArray, tolerances } from '../packages/attention/src/testing/close.ts';

const argument = (name: string) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const quick = process.argv.includes('--quick');
const only = argument('--only') ?? '';
const device = await openWebGPU({ dawnFeatures: argument('--dawn')?.split(',') });
const reference = await openDevice('reference');
const samplesWanted = quick ? 2 : 10;
console.log(`${device.description} ${JSON.stringify(device.capabilities)}`);

if (process.argv.includes('--suite')) {
  let wrong = 0;
  for (const item of backwardCases) {
    try {
      await item.run(device);
    } catch (error) {
      wrong++;
      console.log(`differs: ${item.name}: ${(error as Error).message}`);
    }
  }
  console.log(
    `suite: ${backwardCases.length - wrong} of ${backwardCases.length} cases agree with the reference`,
  );
  if (wrong > 0) process.exitCode = 1;
}

const tiles: BackwardTile[] = [
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

/** Each query block sees `kept` of the key blocks, its own among them. */
function blockPlan(tokens: number, block: number, kept: number): Plan {
  const count = tokens / block;
  const each = Math.max(1, Math.round(count * kept));
  return blockListPlan({
    name: 'block lists',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block },
    keys: { slots: tokens, block },
    lists: Array.from({ length: count }, (_, row) =>
      Array.from({ length: each }, (_, i) => ({
        block: (row + i * Math.floor(count / each)) % count,
        full: true,
      })),
    ),
  });
}

interface Case {
  name: string;
  heads: number;
  tokens: number;
  headDim: number;
  dtype?: 'f32' | 'f16';
  options?: BackwardOptions;
  /** Share of the dense pairs that are kept. */
  share?: number;
  /** All candidates of both sides, or the tiles that attendBackward() would choose. */
  all?: boolean;
}

const long = quick ? 1024 : 32768;
const middle = quick ? 256 : 4096;
const cases: Case[] = [
  { name: 'dense', heads: 16, tokens: middle, headDim: 64, all: true },
  { name: 'dense', heads: 16, tokens: middle, headDim: 128, all: true },
  { name: 'dense f16', heads: 16, tokens: middle, headDim: 128, dtype: 'f16' },
  { name: 'causal', heads: 16, tokens: middle, headDim: 128, options: { causal: true }, share: 0.5 },
  {
    name: '10 % of blocks of 64',
    heads: 1,
    tokens: long,
    headDim: 64,
    options: { plan: blockPlan(long, 64, 0.1) },
    share: 0.1,
  },
];

type Tiles = Partial<Record<Side, BackwardTile>>;

async function inputsOn(
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

async function agrees(forced: Tiles, headDim: number, causal: boolean): Promise<void> {
  const run = async (on: Device) => {
    const { request, tensors } = await inputsOn(on, [1, 2, 131, headDim], 'f32', { causal });
    const { query, key, value } = await (on === device
      ? attendBackwardOnGpu(device.gpu, request, forced)
      : on.kernels.attendBackward(request));
    const numbers = await Promise.all([query, key, value].map((tensor) => tensor.read()));
    for (const tensor of [...tensors, query, key, value]) tensor.dispose();
    return numbers;
  };
  const [actual, expected] = [await run(device), await run(reference)];
  actual.forEach((numbers, i) => {
    expectClose(numbers, expected[i], tolerances.f32, ['query', 'key', 'value'][i]);
  });
}

const describeTile = ({ rowTile, columnTile, rowsPerThread, chunk }: BackwardTile) =>
  `${rowTile}x${columnTile} rows ${rowsPerThread} chunk ${chunk}`;

/** Whether this device can run a tile; says why where it cannot. */
function fits(tile: BackwardTile, side: Side, headDim: number): boolean {
  const shape = backwardShape(tile, side, headDim, headDim);
  const { maxComputeWorkgroupStorageSize: bytes, maxComputeInvocationsPerWorkgroup: threads } =
    device.gpu.limits;
  if (backwardBytes(shape) <= bytes && shape.threads <= threads) return true;
  console.log(`${side} ${describeTile(tile)}: needs ${backwardBytes(shape)} bytes, ${shape.threads} threads`);
  return false;
}

const results: Record<string, unknown>[] = [];
for (const item of cases) {
  const { name, heads, tokens, headDim, dtype = 'f32', options = {}, share = 1, all } = item;
  const shape = [1, heads, tokens, headDim];
  if (!`${name} ${shape.join('x')}`.includes(only)) continue;
  const { request, tensors } = await inputsOn(device, shape, dtype, options);
  const candidates: Tiles[] = [{}];
  if (all)
    for (const side of ['queries', 'keys'] as const)
      for (const tile of tiles) if (fits(tile, side, headDim)) candidates.push({ [side]: tile });
  for (const forced of candidates) {
    const [side] = Object.keys(forced) as Side[];
    const tile = side && forced[side];
    const text = tile ? `${side} ${describeTile(tile)}` : 'chosen tiles';
    try {
      await agrees(forced, headDim, options.causal ?? false);
      const samples: number[] = [];
      // an idle GPU clocks down: a second of work brings it up again
      const warm = performance.now() + (quick ? 0 : 1000);
      while (performance.now() < warm || samples.length < samplesWanted) {
        const start = performance.now();
        const { query, key, value } = await attendBackwardOnGpu(device.gpu, request, forced);
        await device.finish();
        if (start >= warm) samples.push(performance.now() - start);
        for (const tensor of [query, key, value]) tensor.dispose();
      }
      const sorted = [...samples].sort((a, b) => a - b);
      const medianMs = sorted[Math.floor(sorted.length / 2)];
      const tflops = (10 * heads * tokens * tokens * headDim * share) / medianMs / 1e9;
      console.log(
        `${name} ${shape.join('x')} ${text}: ${medianMs.toFixed(2)} ms, ${tflops.toFixed(2)} TFLOP/s`,
      );
      results.push({ name, shape, dtype, tile: text, medianMs, tflops, samples });
    } catch (error) {
      console.log(`${name} ${shape.join('x')} ${text}: ${(error as Error).message}`);
    }
  }
  for (const tensor of tensors) tensor.dispose();
}
const file = argument('--json');
if (file) writeFileSync(file, JSON.stringify({ device: device.description, results }, null, 2));
else console.log(JSON.stringify(results.map(({ samples: _, ...rest }) => rest)));
await device.close();
process.exit();
