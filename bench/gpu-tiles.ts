// Times candidate tiles of each WebGPU tier beside each other:
// node bench/gpu-tiles.ts [--only text] [--tiers portable,subgroup,matrix] [--quick] [--json file] [--dawn toggles] [--suite [pattern]] [--each]
// --suite first runs, on every tier, all cases (or those whose names match) in which a device must do as the reference does.
// Every candidate first agrees with the reference on a small odd shape, plain and causal; then the median of seven samples
// of a device that is kept busy (tune/steady.ts). The last lines name the best tile of each case, and then time what attend() chooses by itself.
import { writeFileSync } from 'node:fs';
import type { Device, GpuTier } from '../packages/attention/src/device/device.ts';
import { openDevice } from '../packages/attention/src/device/open.ts';
import { openWebGPU } from '../packages/attention/src/device/webgpu.ts';
import { blockListPlan, type Plan } from '../packages/attention/src/plan.ts';
import { bandPlan } from '../packages/attention/src/plans.ts';
import { type AttendOptions, checkAttend } from '../packages/attention/src/softmax/attend.ts';
import type { AttendRequest } from '../packages/attention/src/softmax/request.ts';
import { candidatesOf, describeTile } from '../packages/attention/src/softmax/tiers/candidates.ts';
import type { ForcedTile } from '../packages/attention/src/softmax/tiers/forward.ts';
import { matrixShape, registersOf } from '../packages/attention/src/softmax/tiers/matrix-tile.ts';
import { memoryBytes, shapeOf } from '../packages/attention/src/softmax/tiers/portable-tile.ts';
import {
  type SubgroupTile,
  sharedBytes,
  subgroupShape,
} from '../packages/attention/src/softmax/tiers/subgroup-tile.ts';
import { attendOnGpu, machineOf, tiledCall } from '../packages/attention/src/softmax/webgpu.ts';
import { runAttend } from '../packages/attention/src/testing/cases.ts';
import { expectClose, randomArray, tolerances } from '../packages/attention/src/testing/close.ts';
import { attendCases, deviceCases } from '../packages/attention/src/testing/suite.ts';
import { median, sampleBusy, timeSteady } from '../packages/attention/src/tune/steady.ts';
import { arrayBytes } from '../packages/attention/src/wgsl/assemble.ts';
import { repeatedRandom } from './gpu-random.ts';

const argument = (name: string) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const quick = process.argv.includes('--quick');
const each = process.argv.includes('--each');
const only = argument('--only') ?? '';
const tiers = (argument('--tiers')?.split(',') ?? ['portable', 'subgroup', 'matrix']) as GpuTier[];
const device = await openWebGPU({ dawnFeatures: argument('--dawn')?.split(','), tuned: false });
const reference = await openDevice('reference');
const machine = machineOf(device.gpu);
console.log(`${device.description}, tier ${device.tier} ${JSON.stringify(device.capabilities)}`);

if (process.argv.includes('--suite')) {
  for (const tier of tiers) {
    if (tier === 'matrix' && device.tier !== 'matrix') continue;
    const forced = await openWebGPU({ tier, tuned: false });
    // f32 storage passes the matrix tier by
    const cases =
      tier === 'matrix'
        ? attendCases.map((item) => ({
            name: `f16 ${item.name}`,
            run: (on: Device) => runAttend({ ...item, dtype: 'f16' }, on),
          }))
        : deviceCases;
    const pattern = argument('--suite') ?? '--';
    const chosenCases = pattern.startsWith('--')
      ? cases
      : cases.filter(({ name }) => new RegExp(pattern).test(name));
    let wrong = 0;
    for (const item of chosenCases) {
      try {
        await item.run(forced);
      } catch (error) {
        wrong++;
        console.log(`${tier} differs: ${item.name}: ${(error as Error).message.slice(0, 400)}`);
      }
    }
    console.log(
      `${tier}: ${chosenCases.length - wrong} of ${chosenCases.length} cases agree with the reference`,
    );
    if (wrong > 0) process.exitCode = 1;
    await forced.close();
  }
}

type DType = 'f32' | 'f16';

const base: SubgroupTile = {
  queryTile: 64,
  keyTile: 64,
  rowsPerThread: 8,
  keysPerThread: 4,
  queriesAs: 'f16',
  keysAs: 'f16',
  weightsAs: 'f16',
  shared: false,
  prefetch: true,
  abreast: 2,
};
const mixed = { queriesAs: 'f32', keysAs: 'f32', weightsAs: 'f32' } as const;

/** Variations of one tile, so that each line says what one choice is worth. */
const subgroupTiles: Record<64 | 128, readonly Partial<SubgroupTile>[]> = {
  64: [
    {},
    { abreast: 1 },
    { prefetch: false },
    { shared: true },
    { weightsAs: 'f32' },
    { queriesAs: 'f32' },
    { keyTile: 32 },
    { keyTile: 32, weightsAs: 'f32' },
    { keyTile: 32, ...mixed },
    { keyTile: 32, ...mixed, abreast: 1 },
    { keyTile: 32, keysAs: 'f32', weightsAs: 'f32' },
    { keyTile: 32, queriesAs: 'f32', weightsAs: 'f32' },
    { ...mixed, weightsAs: 'f16', shared: true },
    { ...mixed, weightsAs: 'f16', shared: true, keysPerThread: 8 },
    { keysPerThread: 8 },
    { keysPerThread: 8, abreast: 1 },
    { keysPerThread: 8, weightsAs: 'f32' },
    { keysPerThread: 8, rowsPerThread: 4 },
    { queryTile: 128 },
    { queryTile: 128, keyTile: 32 },
    { queryTile: 128, keyTile: 32, weightsAs: 'f32' },
    { queryTile: 128, keysPerThread: 8, shared: true },
    { rowsPerThread: 4 },
    { queryTile: 32, keyTile: 64, rowsPerThread: 4 },
  ],
  128: [
    { shared: true },
    { shared: true, abreast: 1 },
    { shared: true, prefetch: false },
    { shared: true, rowsPerThread: 4 },
    { keyTile: 32 },
    { keyTile: 32, abreast: 1 },
    { keyTile: 32, weightsAs: 'f32' },
    { keyTile: 32, rowsPerThread: 4 },
    { keyTile: 32, rowsPerThread: 4, weightsAs: 'f32' },
    { keyTile: 32, rowsPerThread: 4, queriesAs: 'f16', keysAs: 'f32', shared: true, weightsAs: 'f32' },
    { queryTile: 32, shared: true },
    { queryTile: 32, rowsPerThread: 4 },
    { queryTile: 32, rowsPerThread: 4, shared: true, weightsAs: 'f32' },
    { queryTile: 32, rowsPerThread: 4, keyTile: 32, ...mixed, shared: true },
    { queryTile: 128, keyTile: 32, shared: true },
    { queryTile: 32, keyTile: 128, rowsPerThread: 4, shared: true },
  ],
};

const portableTiles: ForcedTile[] = (
  [
    [64, 64, 4, 8, false, 1],
    [64, 64, 4, 8, true, 1],
    [64, 64, 4, 8, true, 2],
    [64, 64, 8, 8, false, 1],
    [64, 64, 8, 8, true, 1],
    [64, 64, 8, 8, true, 2],
    [64, 64, 8, 8, false, 2],
    [64, 64, 8, 4, true, 2],
    [64, 32, 8, 8, true, 2],
    [64, 32, 8, 16, true, 2],
    [64, 32, 4, 8, true, 2],
    [128, 32, 8, 8, true, 2],
    [32, 64, 4, 8, true, 2],
  ] as const
).map(([queryTile, keyTile, rowsPerThread, chunk, prefetch, abreast]) => ({
  tier: 'portable',
  tile: { queryTile, keyTile, rowsPerThread, chunk, prefetch, abreast },
}));

const matrixTiles: ForcedTile[] = (
  [
    [2, 8, 2, 32],
    [2, 4, 2, 32],
    [1, 8, 1, 32],
    [1, 8, 2, 32],
    [2, 2, 2, 32],
    [1, 4, 2, 32],
    [1, 4, 1, 32],
    [1, 4, 1, 16],
    [1, 2, 2, 32],
  ] as const
).map(([fragments, rows, columns, keyTile]) => ({
  tier: 'matrix',
  tile: { fragments, rows, columns, keyTile },
}));

const candidates = (headDim: 64 | 128): ForcedTile[] => [
  ...(device.tier === 'matrix' ? matrixTiles : []),
  ...portableTiles,
  ...subgroupTiles[headDim].map((change) => ({ tier: 'subgroup', tile: { ...base, ...change } }) as const),
];

/** What a tile takes, or why the device or the tile's own limits refuse it. */
function sizesOf(forced: ForcedTile, headDim: number, dtype: DType): { text: string; fits: boolean } {
  if (forced.tier === 'portable') {
    const { queryTile, keyTile, rowsPerThread, chunk, prefetch } = forced.tile;
    const shape = shapeOf(forced.tile, headDim, headDim);
    const bytes = memoryBytes(shape);
    return {
      text: `portable ${queryTile}x${keyTile} rows ${rowsPerThread} chunk ${chunk}${prefetch ? '' : ' no prefetch'} abreast ${shape.abreast} (${shape.threads} threads, ${bytes} B)`,
      fits: bytes <= machine.memoryBytes && shape.threads <= machine.threads,
    };
  }
  if (forced.tier === 'matrix') {
    const { fragments, rows, columns, keyTile } = forced.tile;
    const options = {
      headDim,
      valueDim: headDim,
      keys: 'all',
      queryOrder: false,
      keyOrder: false,
      keep: undefined,
      change: undefined,
      honourFullBlocks: false,
      maskIsCausal: false,
      maskIsBand: false,
    } as const;
    const shape = matrixShape(forced.tile, options, { slots: 1, block: 1 });
    const bytes = Object.values(shape.memory).reduce((sum, array) => sum + arrayBytes(array), 0);
    return {
      text: `matrix ${fragments}x${rows}x${columns} keys ${keyTile} (${shape.threads} threads, ${bytes} B, about ${registersOf(shape)} registers)`,
      fits: dtype === 'f16' && bytes <= machine.memoryBytes && shape.threads <= machine.threads,
    };
  }
  const shape = subgroupShape(
    forced.tile,
    { storage: dtype, headDim, valueDim: headDim },
    machine.subgroupMin,
  );
  const bytes = sharedBytes(shape);
  const words = [
    `q ${shape.queriesAs} k ${shape.keysAs} p ${shape.weightsAs}`,
    shape.shared ? 'shared' : '',
    shape.fetched.keys > 0 ? '' : 'no prefetch',
    `abreast ${shape.abreast}`,
    shape.reductions === 'memory' ? 'reductions by memory' : '',
  ];
  return {
    text: `subgroup ${shape.queryTile}x${shape.keyTile} micro ${shape.rowsPerThread}x${shape.keysPerThread} ${words.filter(Boolean).join(', ')} (${shape.threads} threads, ${bytes} B)`,
    fits: bytes <= machine.memoryBytes && shape.threads <= machine.threads && shape.threads >= 16,
  };
}

async function agrees(forced: ForcedTile, headDim: number, dtype: DType, causal: boolean): Promise<void> {
  const shape = [1, 2, 131, headDim];
  const run = async (on: typeof device | typeof reference) => {
    const tensors = [1, 2, 3].map((seed) => on.tensor(randomArray(seed, shape), shape, dtype));
    const request = checkAttend(tensors[0], tensors[1], tensors[2], { causal, outputDType: 'f32' });
    const result = await (on === device
      ? attendOnGpu(device.gpu, request, forced)
      : on.kernels.attend(request));
    const output = await result.output.read();
    for (const tensor of [...tensors, result.output, result.logSumExp]) tensor.dispose();
    return output;
  };
  expectClose(await run(device), await run(reference), tolerances[dtype]);
}

/** Median and samples of a call; --quick only shows that it runs. */
async function time(request: AttendRequest, forced: ForcedTile | undefined) {
  let tier: GpuTier | undefined;
  const timed = {
    work: async () => {
      const result = await attendOnGpu(device.gpu, request, forced);
      tier = result.tier as GpuTier;
      result.output.dispose();
      result.logSumExp.dispose();
    },
    device,
  };
  if (!quick) return { ...(await timeSteady(timed)), tier };
  const samplesMs = await sampleBusy(timed, 1, 2);
  return { samplesMs, medianMs: median(samplesMs), tier };
}

const results: Record<string, unknown>[] = [];
async function measure(
  name: string,
  request: AttendRequest,
  flops: number,
  forced: ForcedTile | undefined,
  text: string,
) {
  const { medianMs, samplesMs, tier } = await time(request, forced);
  const tflops = flops / medianMs / 1e9;
  console.log(
    `${name}: ${text}${forced ? '' : ` (tier ${tier})`}: ${medianMs.toFixed(3)} ms, ${tflops.toFixed(2)} TFLOP/s`,
  );
  results.push({ name, tile: text, tier, forced, medianMs, tflops, samplesMs });
  return tflops;
}

function inputs(heads: number, tokens: number, headDim: number, dtype: DType) {
  return [1, 2, 3].map((seed) => repeatedRandom(device.gpu, [1, heads, tokens, headDim], dtype, seed));
}

/** Lists of equal length for each query block; `entries(row, count)` names the key blocks. */
function listPlan(
  tokens: number,
  block: number,
  entries: (row: number, count: number) => { block: number; full: boolean }[],
  rest: Partial<Plan> = {},
): Plan {
  const count = tokens / block;
  return {
    ...blockListPlan({
      name: 'block lists',
      queryTokens: tokens,
      keyTokens: tokens,
      queries: { slots: tokens, block },
      keys: { slots: tokens, block },
      lists: Array.from({ length: count }, (_, row) => entries(row, count)),
    }),
    ...rest,
  };
}

/** A share of the key blocks, spread evenly. */
const someBlocks = (tokens: number, kept: number) =>
  listPlan(tokens, 64, (row, count) => {
    const each = Math.max(1, Math.round(count * kept));
    return Array.from({ length: each }, (_, i) => ({
      block: (row + i * Math.floor(count / each)) % count,
      full: true,
    }));
  });

/** Single keys, `each` for every query block of 64, strewn over all tokens. */
function gatheredPlan(tokens: number, each: number): Plan {
  const count = tokens / 64;
  const rows = new Uint32Array(2 * count);
  const blocks = new Uint32Array(count * each);
  for (let row = 0; row < count; row++) {
    rows.set([row * each, each], 2 * row);
    for (let i = 0; i < each; i++) {
      const span = tokens / each;
      blocks[row * each + i] = Math.floor(i * span) + ((row * 7919 + i * 104729) % Math.floor(span));
    }
  }
  return {
    name: 'gathered keys',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block: 64 },
    keys: { kind: 'blocks', layout: { slots: tokens, block: 1 }, rows, blocks },
    listBatches: 1,
    listHeads: 1,
  };
}

/** Every token is a query block of its own, with key blocks of 64 strewn over all. */
function routedPlan(tokens: number, each: number): Plan {
  const count = tokens / 64;
  return blockListPlan({
    name: 'routed tokens',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block: 1 },
    keys: { slots: tokens, block: 64 },
    lists: Array.from({ length: tokens }, (_, token) =>
      Array.from({ length: Math.min(each, count) }, (_, i) => ({
        block: (token * 7 + i * Math.max(1, Math.floor(count / each))) % count,
      })),
    ),
  });
}

const dense = quick ? 128 : 4096;
const long = quick ? 2048 : 32768;
const longer = quick ? 4096 : 65536;
const most = quick ? 1 : 16;

/** The best tile of each dtype and headDim, among those that agree. */
for (const dtype of ['f16', 'f32'] as const) {
  for (const headDim of [64, 128] as const) {
    const name = `dense ${dtype} 1x${most}x${dense}x${headDim}`;
    if (!name.includes(only)) continue;
    const [query, key, value] = inputs(most, dense, headDim, dtype);
    const request = checkAttend(query, key, value, {});
    const seen = new Set<string>();
    let best = { tflops: 0, text: '' };
    for (const forced of candidates(headDim).filter(({ tier }) => tiers.includes(tier))) {
      const { text, fits } = sizesOf(forced, headDim, dtype);
      if (seen.has(text)) continue;
      seen.add(text);
      if (!fits) {
        console.log(`${name}: ${text}: does not fit`);
        continue;
      }
      try {
        await agrees(forced, headDim, dtype, false);
        await agrees(forced, headDim, dtype, true);
        const tflops = await measure(name, request, 4 * most * dense * dense * headDim, forced, text);
        if (tflops > best.tflops) best = { tflops, text };
      } catch (error) {
        console.log(`${name}: ${text}: ${(error as Error).message.slice(0, 300)}`);
      }
    }
    console.log(`${name}: BEST ${best.text}: ${best.tflops.toFixed(2)} TFLOP/s`);
    for (const tensor of [query, key, value]) tensor.dispose();
  }
}

interface Chosen {
  name: string;
  heads: number;
  tokens: number;
  options: () => AttendOptions;
  /** Pairs that the call needs, of a head. */
  pairs: number;
}
const chosen: Chosen[] = [
  { name: 'dense', heads: most, tokens: dense, options: () => ({}), pairs: dense ** 2 },
  {
    name: 'causal',
    heads: most,
    tokens: dense,
    options: () => ({ causal: true }),
    pairs: (dense * (dense + 1)) / 2,
  },
  {
    name: 'causal, twice the length',
    heads: most,
    tokens: 2 * dense,
    options: () => ({ causal: true }),
    pairs: dense * (2 * dense + 1),
  },
  {
    name: 'dense, twice the length',
    heads: most,
    tokens: 2 * dense,
    options: () => ({}),
    pairs: (2 * dense) ** 2,
  },
  { name: 'dense, long', heads: Math.min(most, 2), tokens: long, options: () => ({}), pairs: long ** 2 },
  {
    name: 'window of 1024',
    heads: most,
    tokens: long,
    options: () => ({ plan: bandPlan({ queryTokens: long, keyTokens: long, before: 1023 }) }),
    pairs: 1024 * long - (1024 * 1023) / 2,
  },
  {
    name: '10 % of blocks of 64',
    heads: most,
    tokens: long,
    options: () => ({ plan: someBlocks(long, 0.1) }),
    pairs: Math.round((long / 64) * 0.1) * 64 * long,
  },
  {
    name: 'block list of 2048 keys',
    heads: Math.min(most, 4),
    tokens: longer,
    options: () => ({ plan: someBlocks(longer, 2048 / longer) }),
    pairs: 2048 * longer,
  },
  {
    name: '2048 gathered keys',
    heads: Math.min(most, 4),
    tokens: longer,
    options: () => ({ plan: gatheredPlan(longer, 2048) }),
    pairs: 2048 * longer,
  },
  // each token by itself to 8 blocks: what key-major is for
  ...(['query-major', 'key-major'] as const).map((order) => ({
    name: `tokens routed to 8 blocks of 64, ${order}`,
    heads: Math.min(most, 4),
    tokens: 2 * dense,
    options: () => ({ plan: routedPlan(2 * dense, 8), order }),
    pairs: 8 * 64 * 2 * dense,
  })),
];
for (const dtype of ['f16', 'f32'] as const) {
  for (const headDim of [64, 128]) {
    for (const item of chosen) {
      const name = `${item.name} ${dtype} 1x${item.heads}x${item.tokens}x${headDim}`;
      if (!`chosen ${name}`.includes(only)) continue;
      const [query, key, value] = inputs(item.heads, item.tokens, headDim, dtype);
      for (const tier of tiers) {
        if (tier === 'matrix' && (device.tier !== 'matrix' || dtype !== 'f16')) continue;
        try {
          const request = checkAttend(query, key, value, { ...item.options(), tier });
          const flops = 4 * item.heads * item.pairs * headDim;
          await measure(name, request, flops, undefined, 'chosen');
          if (!each) continue;
          const { prepared, blocks } = tiledCall(device.gpu, request);
          const candidates = candidatesOf(prepared.options, blocks, machine, tier);
          // the device rests while a kernel is compiled
          await Promise.all(candidates.map(({ kernel }) => device.gpu.pipeline(kernel)));
          for (const { tile, kernel } of candidates)
            if (tile)
              await measure(name, request, flops, tile, `${describeTile(tile)} (${kernel.memoryBytes} B)`);
        } catch (error) {
          console.log(`${name}: ${tier}: ${(error as Error).message.slice(0, 300)}`);
        }
      }
      for (const tensor of [query, key, value]) tensor.dispose();
    }
  }
}
const file = argument('--json');
if (file) writeFileSync(file, JSON.stringify({ device: device.description, results }, null, 2));
await device.close();
process.exit();
