// Times attend() on WebGPU, candidate tiles beside each other: node bench/gpu-attend.ts [--quick] [--json file] [--suite]
// Every candidate first agrees with the reference on a small odd shape; then median of 10, finish() after each.
import { writeFileSync } from 'node:fs';
import { openDevice } from '../packages/attention/src/device/open.ts';
import { openWebGPU } from '../packages/attention/src/device/webgpu.ts';
import { blockListPlan, type Plan } from '../packages/attention/src/plan.ts';
import type { AttendOptions } from '../packages/attention/src/softmax/attend.ts';
import { checkAttend } from '../packages/attention/src/softmax/attend.ts';
import {
  chooseTile,
  memoryBytes,
  shapeOf,
  type Tile,
} from '../packages/attention/src/softmax/tiers/portable-tile.ts';
import { attendOnGpu } from '../packages/attention/src/softmax/webgpu.ts';
import { expectClose, randomArray, tolerances } from '../packages/attention/src/testing/close.ts';
import { deviceCases } from '../packages/attention/src/testing/suite.ts';

const argument = (name: string) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const quick = process.argv.includes('--quick');
const device = await openWebGPU({ dawnFeatures: argument('--dawn')?.split(',') });
const reference = await openDevice('reference');
const samplesWanted = quick ? 2 : 10;
console.log(`${device.description} ${JSON.stringify(device.capabilities)}`);

if (process.argv.includes('--suite')) {
  let wrong = 0;
  for (const item of deviceCases) {
    try {
      await item.run(device);
    } catch (error) {
      wrong++;
      console.log(`differs: ${item.name}: ${(error as Error).message}`);
    }
  }
  console.log(`suite: ${deviceCases.length - wrong} of ${deviceCases.length} cases agree with the reference`);
  if (wrong > 0) process.exitCode = 1;
}

const tiles: Tile[] = [
  { queryTile: 64, keyTile: 64, rowsPerThread: 8, chunk: 8 },
  { queryTile: 64, keyTile: 64, rowsPerThread: 4, chunk: 8 },
  { queryTile: 64, keyTile: 32, rowsPerThread: 4, chunk: 8 },
  { queryTile: 64, keyTile: 32, rowsPerThread: 4, chunk: 16 },
  { queryTile: 64, keyTile: 32, rowsPerThread: 8, chunk: 16 },
  { queryTile: 128, keyTile: 32, rowsPerThread: 8, chunk: 8 },
  { queryTile: 128, keyTile: 32, rowsPerThread: 4, chunk: 8 },
  { queryTile: 64, keyTile: 64, rowsPerThread: 2, chunk: 8 },
  { queryTile: 32, keyTile: 64, rowsPerThread: 4, chunk: 8 },
];

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
  options?: AttendOptions;
  /** Share of the dense multiply-adds that the call needs. */
  share?: number;
  /** All candidates, or the tile that attend() would choose. */
  all?: boolean;
}

const long = quick ? 2048 : 32768;
const middle = quick ? 512 : 4096;
const cases: Case[] = [
  { name: 'dense', heads: 16, tokens: middle, headDim: 128, all: true },
  { name: 'dense', heads: 16, tokens: middle, headDim: 64, all: true },
  { name: 'dense f16', heads: 16, tokens: middle, headDim: 128, dtype: 'f16' },
  { name: 'causal', heads: 16, tokens: middle, headDim: 128, options: { causal: true }, share: 0.5 },
  {
    name: 'window',
    heads: 16,
    tokens: middle,
    headDim: 128,
    options: { mask: ({ query, key }) => query.sub(key).abs().le(512) },
  },
  { name: 'dense', heads: 1, tokens: long, headDim: 64 },
  {
    name: '10 % of blocks of 64',
    heads: 1,
    tokens: long,
    headDim: 64,
    options: { plan: blockPlan(long, 64, 0.1) },
    share: 0.1,
  },
];

async function agrees(tile: Tile | undefined, headDim: number, dtype: 'f32' | 'f16', causal: boolean) {
  const shape = [1, 2, 131, headDim];
  const run = async (on: typeof device | typeof reference) => {
    const [query, key, value] = [1, 2, 3].map((seed) => on.tensor(randomArray(seed, shape), shape, dtype));
    const request = checkAttend(query, key, value, { causal, outputDType: 'f32' });
    const { output } = await (on === device
      ? attendOnGpu(device.gpu, request, tile)
      : on.kernels.attend(request));
    return output.read();
  };
  expectClose(await run(device), await run(reference), tolerances[dtype]);
}

const results: Record<string, unknown>[] = [];
for (const item of cases) {
  const { name, heads, tokens, headDim, dtype = 'f32', options = {}, share = 1, all } = item;
  const shape = [1, heads, tokens, headDim];
  const [query, key, value] = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape, dtype));
  const request = checkAttend(query, key, value, options);
  const limits = {
    memoryBytes: device.gpu.limits.maxComputeWorkgroupStorageSize,
    threads: device.gpu.limits.maxComputeInvocationsPerWorkgroup,
    software: device.gpu.software,
  };
  for (const tile of all ? [undefined, ...tiles] : [undefined]) {
    const used = tile
      ? shapeOf(tile, headDim, headDim)
      : chooseTile(request.plan.queries.block, headDim, headDim, limits);
    const text = `${tile ? '' : 'chosen '}${used.queryTile}x${used.keyTile} rows ${used.rowsPerThread} chunk ${used.chunk} threads ${used.threads}`;
    if (memoryBytes(used) > limits.memoryBytes || used.threads > limits.threads) {
      console.log(`${name} ${shape.join('x')} ${text}: needs ${memoryBytes(used)} bytes of workgroup memory`);
      continue;
    }
    try {
      await agrees(tile, headDim, dtype, options.causal ?? false);
      const samples: number[] = [];
      // an idle GPU clocks down: a second of work brings it up again
      const warm = performance.now() + (quick ? 0 : 1000);
      while (performance.now() < warm || samples.length < samplesWanted) {
        const start = performance.now();
        const { output, logSumExp } = await attendOnGpu(device.gpu, request, tile);
        await device.finish();
        if (start >= warm) samples.push(performance.now() - start);
        output.dispose();
        logSumExp.dispose();
      }
      const sorted = [...samples].sort((a, b) => a - b);
      const median = sorted[Math.floor(sorted.length / 2)];
      const tflops = (4 * heads * tokens * tokens * headDim * share) / median / 1e9;
      console.log(
        `${name} ${shape.join('x')} ${text}: ${median.toFixed(2)} ms, ${tflops.toFixed(2)} TFLOP/s`,
      );
      results.push({ name, shape, dtype, tile: text, medianMs: median, tflops, samples });
    } catch (error) {
      console.log(`${name} ${shape.join('x')} ${text}: ${(error as Error).message}`);
    }
  }
  for (const tensor of [query, key, value]) tensor.dispose();
}
const file = argument('--json');
if (file) writeFileSync(file, JSON.stringify({ device: device.description, results }, null, 2));
else console.log(JSON.stringify(results.map(({ samples: _, ...rest }) => rest)));
await device.close();
process.exit();
