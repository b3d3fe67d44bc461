// Times decoding on WebGPU, splits beside each other: node bench/gpu-decode.ts [--quick] [--only pattern] [--chosen] [--json file]
// Each form first agrees with the reference on a small odd shape. Samples are of a device that is kept busy
// (tune/steady.ts); `alone` is one call with its wait.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openDevice } from '../packages/attention/src/device/open.ts';
import { openWebGPU } from '../packages/attention/src/device/webgpu.ts';
import { blockListPlan } from '../packages/attention/src/plan.ts';
import { type AttendOptions, checkAttend } from '../packages/attention/src/softmax/attend.ts';
import { shapeOf, type Tile } from '../packages/attention/src/softmax/tiers/portable-tile.ts';
import { attendOnGpu } from '../packages/attention/src/softmax/webgpu.ts';
import { decodeOnGpu } from '../packages/attention/src/softmax/webgpu-decode.ts';
import { bytesPerElement, sizeOf } from '../packages/attention/src/tensor.ts';
import { expectClose, randomArray, tolerances } from '../packages/attention/src/testing/close.ts';
import { median, sampleBusy, timeSteady } from '../packages/attention/src/tune/steady.ts';
import { assemble, wgsl } from '../packages/attention/src/wgsl/assemble.ts';
import { read, uniform, write } from '../packages/attention/src/wgsl/bindings.ts';
import { repeatedRandom } from './gpu-random.ts';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    only: { type: 'string', default: '' },
    chosen: { type: 'boolean', default: false },
  },
});
const device = await openWebGPU();
const { gpu } = device;
const reference = await openDevice('reference');
console.log(`${device.description} ${JSON.stringify(device.capabilities)}`);

interface Case {
  name: string;
  heads: number;
  keyHeads: number;
  queryTokens?: number;
  keyTokens: number;
  headDim: number;
  dtype: 'f16' | 'f32';
  options?: AttendOptions;
  /** Share of the keys that the call reads. */
  share?: number;
  /** Forms to time; default: the split that attend() chooses. */
  splits?: readonly number[];
  tiled?: boolean;
}

const long = flags.quick ? 2048 : 32768;
const blocks = long / 64;
const tenth = blockListPlan({
  name: 'block list',
  queryTokens: 1,
  keyTokens: long,
  queries: { slots: 1, block: 1 },
  keys: { slots: long, block: 64 },
  lists: [Array.from({ length: Math.round(blocks / 10) }, (_, i) => ({ block: (i * 10 + 3) % blocks }))],
});
const wide = { heads: 32, keyHeads: 32, keyTokens: long, headDim: 128, dtype: 'f16' } as const;
const cases: Case[] = [
  { ...wide, name: 'one row', splits: [64, 128, 256, 512, 1024], tiled: true },
  { ...wide, name: 'one row, 4 heads a key head', keyHeads: 8, splits: [64, 128, 256, 512] },
  { ...wide, name: 'one row, 8 heads a key head', keyHeads: 4, splits: [64, 128, 256] },
  { ...wide, name: '4 rows, causal', queryTokens: 4, options: { causal: true }, splits: [256, 512] },
  { ...wide, name: 'one row, f32', dtype: 'f32', keyTokens: long / 2, splits: [256, 512] },
  { ...wide, name: 'one row, headDim 64', headDim: 64, splits: [256, 512, 1024] },
  { ...wide, name: 'one row, short', keyTokens: long / 16 },
  { ...wide, name: 'one row, 10 % of blocks of 64', options: { plan: tenth }, share: 0.1 },
  {
    ...wide,
    name: 'one row, a soft cap',
    options: { score: ({ score }) => score.div(30).tanh().mul(30) },
  },
];

const random = (shape: readonly number[], dtype: 'f16' | 'f32', seed: number) =>
  repeatedRandom(gpu, shape, dtype, seed);

async function agrees(item: Case, split: number | undefined) {
  const { headDim, dtype, heads, keyHeads, queryTokens = 1 } = item;
  const group = heads / keyHeads;
  const options = { ...item.options, plan: undefined, outputDType: 'f32' as const };
  const run = async (on: typeof device | typeof reference) => {
    const [query, key, value] = [1, 2, 3].map((seed) => {
      const shape = [2, seed === 1 ? 2 * group : 2, seed === 1 ? queryTokens : 1031, headDim];
      return on.tensor(randomArray(seed, shape), shape, dtype);
    });
    const request = checkAttend(query, key, value, options);
    const { output } = await (on === device ? decodeOnGpu(gpu, request, split) : on.kernels.attend(request));
    return output.read();
  };
  expectClose(await run(device), await run(reference), tolerances[dtype]);
}

/** Sums everything in a buffer: how fast this GPU reads. */
const readAll = assemble({
  name: 'read-all',
  bindings: { numbers: read('vec4<u32>'), sums: write('u32'), shape: uniform({ perGroup: 'u32' }) },
  constants: {},
  stages: [],
  threads: 256,
  memoryLimit: 0,
  main: wgsl`
  var sum = vec4<u32>();
  let first = workgroup * shape.perGroup;
  for (var i = lane; i < shape.perGroup; i += 1024u) {
    let a = numbers[first + i];
    let b = numbers[first + i + 256u];
    let c = numbers[first + i + 512u];
    let d = numbers[first + i + 768u];
    sum += (a ^ b) + (c ^ d);
  }
  sums[workgroup * 256u + lane] = sum.x + sum.y + sum.z + sum.w;`,
});

/** Milliseconds of one run of `once` on a busy device, and of one run with its wait. */
async function time(once: () => Promise<void>) {
  const timed = { work: once, device };
  const { samplesMs } = flags.quick
    ? { samplesMs: await sampleBusy(timed, 1, 2) }
    : await timeSteady(timed, 11);
  const aloneSamplesMs: number[] = [];
  for (let round = 0; round < samplesMs.length; round++) {
    const start = performance.now();
    await once();
    await device.finish();
    aloneSamplesMs.push(performance.now() - start);
  }
  return { samplesMs, medianMs: median(samplesMs), aloneSamplesMs, aloneMs: median(aloneSamplesMs) };
}

const results: Record<string, unknown>[] = [];
const say = (text: string, bytes: number, timed: Awaited<ReturnType<typeof time>>) => {
  const rate = bytes / timed.medianMs / 1e6;
  console.log(
    `${text}: ${timed.medianMs.toFixed(3)} ms, ${rate.toFixed(0)} GB/s (alone ${timed.aloneMs.toFixed(3)} ms)`,
  );
  results.push({ name: text, bytes, gigabytesPerSecond: rate, ...timed });
};

{
  const bytes = flags.quick ? 2 ** 24 : 2 ** 28;
  const [one, two] = [1, 2].map((seed) => random([bytes / 4], 'f32', seed));
  const perGroup = 4096;
  const groups = bytes / 16 / perGroup;
  const sums = gpu.empty([groups * 256], 'u32');
  const timed = await time(async () => {
    for (const { storage } of [one, two])
      await gpu.launch(readAll, { numbers: storage, sums: sums.storage, shape: { perGroup } }, groups);
  });
  say(`reading ${(2 * bytes) / 2 ** 20} MiB, nothing else`, 2 * bytes, timed);
  for (const tensor of [one, two, sums]) tensor.dispose();
}

for (const item of cases.filter(({ name }) => new RegExp(flags.only).test(name))) {
  const { name, heads, keyHeads, queryTokens = 1, keyTokens, headDim, dtype, options = {}, share = 1 } = item;
  const keyShape = [1, keyHeads, keyTokens, headDim];
  const query = random([1, heads, queryTokens, headDim], dtype, 1);
  const key = random(keyShape, dtype, 2);
  const value = random(keyShape, dtype, 3);
  const request = checkAttend(query, key, value, options);
  const bytes = 2 * sizeOf(keyShape) * bytesPerElement(dtype) * share;
  const shape = `${heads}/${keyHeads} heads x ${headDim}, ${keyTokens} keys, ${dtype}`;
  const forms: [string, () => ReturnType<typeof decodeOnGpu>][] = (
    [undefined, ...((flags.chosen ? undefined : item.splits) ?? [])] as (number | undefined)[]
  ).map((split) => [
    split === undefined ? 'attend()' : `split ${split}`,
    () => decodeOnGpu(gpu, request, split),
  ]);
  if (item.tiled && !flags.chosen) {
    const tile: Tile = {
      queryTile: 4,
      keyTile: 64,
      rowsPerThread: 1,
      chunk: 8,
      prefetch: false,
      abreast: 1,
    };
    forms.push([
      `tiled, ${shapeOf(tile, headDim, headDim).threads} threads`,
      () => attendOnGpu(gpu, request, { tier: 'portable', tile }),
    ]);
  }
  for (const [form, run] of forms) {
    try {
      const split = /split (\d+)/.exec(form)?.[1];
      await agrees(item, split === undefined ? undefined : Number(split));
      const timed = await time(async () => {
        const { output, logSumExp } = await run();
        output.dispose();
        logSumExp.dispose();
      });
      say(`${name}, ${shape}, ${form}`, bytes, timed);
    } catch (error) {
      console.log(`${name}, ${shape}, ${form}: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
  for (const tensor of [query, key, value]) tensor.dispose();
}
if (flags.json) writeFileSync(flags.json, JSON.stringify({ device: device.description, results }, null, 2));
await device.close();
process.exit();
