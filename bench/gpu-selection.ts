// Times selection on WebGPU, step by step, beside the attention that it serves:
// node bench/gpu-selection.ts [--quick] [--only pattern] [--json file] [--tier portable|subgroup] [--dawn toggles]
// First the cases of selection must agree with the reference on this device. Then each step twice, on a device that is kept
// busy (tune/steady.ts): as it is called, and its kernels alone, many times in one submission, which leaves out what
// JavaScript and the driver take to queue them.
import { writeFileSync } from 'node:fs';
import type { Tier } from '../packages/attention/src/device/device.ts';
import type { Launch } from '../packages/attention/src/device/gpu.ts';
import { openWebGPU } from '../packages/attention/src/device/webgpu.ts';
import { selectedPlan } from '../packages/attention/src/plan.ts';
import { blockMean, blockMoments, blockScores } from '../packages/attention/src/select/blocks.ts';
import { assignClusters, updateCentroids } from '../packages/attention/src/select/clusters.ts';
import { compact, invertLists } from '../packages/attention/src/select/lists.ts';
import type { BlockMoments, SelectedBlocks } from '../packages/attention/src/select/request.ts';
import { headThreshold, topK, topP } from '../packages/attention/src/select/top.ts';
import { attend } from '../packages/attention/src/softmax/attend.ts';
import type { AttendResult } from '../packages/attention/src/softmax/request.ts';
import type { Tensor } from '../packages/attention/src/tensor.ts';
import { randomArray } from '../packages/attention/src/testing/close.ts';
import { listCases } from '../packages/attention/src/testing/list-cases.ts';
import { selectionCases } from '../packages/attention/src/testing/selection-cases.ts';
import { slotCases } from '../packages/attention/src/testing/slot-cases.ts';
import { topCases } from '../packages/attention/src/testing/top-cases.ts';
import { sampleBusy, timeSteady } from '../packages/attention/src/tune/steady.ts';
import { repeatedRandom } from './gpu-random.ts';

const argument = (name: string) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const only = argument('--only') ?? '';
const quick = process.argv.includes('--quick');
const device = await openWebGPU({
  tier: argument('--tier') as Tier | undefined,
  dawnFeatures: argument('--dawn')?.split(','),
});
console.log(`${device.description}, tier ${device.tier}`);

const cases = [...selectionCases, ...topCases, ...listCases, ...slotCases];
for (const item of quick ? [] : cases) await item.run(device);
console.log(quick ? 'cases of selection not run' : `${cases.length} cases agree with the reference`);

interface Reading {
  name: string;
  calledMs: number;
  kernelsMs: number;
  samplesMs: { called: number[]; kernels: number[] };
}
const results: Reading[] = [];

type Made = Tensor | SelectedBlocks | BlockMoments | AttendResult;

function disposeAll(made: Made): void {
  for (const part of 'dispose' in made ? [made] : Object.values(made))
    if (typeof part === 'object') (part as Tensor).dispose();
}

/** What a step queues, and its results, which the kernels then write again. */
async function recorded(step: () => Promise<Made>): Promise<{ launches: Launch[]; made: Made }> {
  const { gpu } = device;
  const queue = gpu.launchTogether.bind(gpu);
  const launches: Launch[] = [];
  gpu.launchTogether = (some) => {
    launches.push(...some);
    return queue(some);
  };
  try {
    return { made: await step(), launches };
  } finally {
    gpu.launchTogether = queue;
  }
}

/** Kernels of one submission, so that queueing them is no part of their time. */
const KERNELS_AT_ONCE = quick ? 2 : 48;

/** Median times of a step in milliseconds, as called and of its kernels. */
async function time(name: string, step: () => Promise<Made>): Promise<Reading> {
  const steady = async (work: () => Promise<unknown>) => {
    if (!quick) return timeSteady({ work, device });
    const samplesMs = await sampleBusy({ work, device }, 1, 1);
    return { samplesMs, medianMs: samplesMs[0] };
  };
  const called = await steady(async () => disposeAll(await step()));
  const { launches, made } = await recorded(step);
  const times = Math.ceil(KERNELS_AT_ONCE / launches.length);
  const many = Array.from({ length: times }, () => launches).flat();
  const kernels = await steady(() => device.gpu.launchTogether(many));
  disposeAll(made);
  const reading = {
    name,
    calledMs: called.medianMs,
    kernelsMs: kernels.medianMs / times,
    samplesMs: { called: called.samplesMs, kernels: kernels.samplesMs.map((ms) => ms / times) },
  };
  console.log(`${name}: ${reading.calledMs.toFixed(4)} ms, kernels ${reading.kernelsMs.toFixed(4)} ms`);
  results.push(reading);
  return reading;
}

/** The whole selection of a tenth of the key blocks, and the attention under it. */
async function blockTopK(
  tokens: number,
  heads: number,
  headDim: number,
  dtype: 'f32' | 'f16',
  causal: boolean,
) {
  const label = `${heads} heads, ${tokens} tokens, headDim ${headDim}, ${dtype}${causal ? ', causal' : ''}`;
  if (!new RegExp(only).test(label)) return;
  const shape = [1, heads, tokens, headDim];
  const [query, key, value] = [1, 2, 3].map((seed) => repeatedRandom(device.gpu, shape, dtype, seed));
  const layout = { slots: tokens, block: 64 };
  const blocks = tokens / 64;
  const k = Math.max(2, Math.round(blocks / 10));
  const options = { k, causal, sink: 1, local: 1 };
  const means = [await blockMean(query, layout), await blockMean(key, layout)];
  const scores = await blockScores(means[0], means[1], { scale: headDim ** -0.5, causal });
  const selected = await topK(scores, options);
  const plan = selectedPlan({
    name: 'top tenth',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: layout,
    keys: layout,
    selected,
  });
  const scored = { scale: headDim ** -0.5, causal };
  await time(`block mean, ${label}`, () => blockMean(query, layout));
  await time(`block scores, ${label}`, () => blockScores(means[0], means[1], scored));
  await time(`top ${k} of ${blocks}, ${label}`, () => topK(scores, options));
  const whole = await time(`selection, ${label}`, async () => {
    const made = [await blockMean(query, layout), await blockMean(key, layout)];
    const found = await blockScores(made[0], made[1], scored);
    const chosen = await topK(found, options);
    for (const tensor of [...made, found]) tensor.dispose();
    return chosen;
  });
  await time(`block mean and deviation, ${label}`, () => blockMoments(query, layout));
  await time(`mass 0.5 of ${blocks}, ${label}`, () => topP(scores, { p: 0.5, causal }));
  await time(`a tenth a head, ${label}`, () => headThreshold(scores, { fraction: 0.1, causal }));
  await time(`inversion, ${label}`, () => invertLists(selected, blocks));
  const attention = await time(`attention, ${label}`, () => attend(query, key, value, { plan, causal }));
  const share = (ms: number) => `${((100 * ms) / attention.calledMs).toFixed(1)} %`;
  console.log(
    `selection takes ${share(whole.calledMs)} of the attention, its kernels ${share(whole.kernelsMs)}, ${label}`,
  );
  for (const made of [query, key, value, ...means, scores, selected]) disposeAll(made);
}

async function longRows(rows: number, columns: number, k: number) {
  if (only !== '') return;
  const scores = device.tensor(randomArray(4, [1, 1, rows, columns]), [1, 1, rows, columns]);
  await time(`top ${k} of ${columns}, ${rows} rows`, () => topK(scores, { k }));
  await time(`mass 0.5 of ${columns}, ${rows} rows`, () => topP(scores, { p: 0.5 }));
  scores.dispose();
}

async function others() {
  if (only !== '') return;
  const mask = device.tensor(
    Uint32Array.from(randomArray(5, [16, 32_768]), (x) => Number(x > 0)),
    [1, 16, 1, 32_768],
  );
  await time('compaction of 16 rows of 32768', () => compact(mask));
  const shape = [1, 8, 8192, 64];
  const points = device.tensor(randomArray(6, shape), shape);
  const centroids = device.tensor(randomArray(7, [1, 8, 64, 64]), [1, 8, 64, 64]);
  const clusters = await assignClusters(points, centroids);
  await time('assignment of 8 x 8192 points to 64 clusters', () => assignClusters(points, centroids));
  await time('update of their centroids', () => updateCentroids(points, clusters, centroids));
  for (const tensor of [mask, points, centroids, clusters]) tensor.dispose();
}

if (quick) {
  await blockTopK(2048, 2, 64, 'f32', true);
  await longRows(2, 131_072, 2048);
} else {
  for (const headDim of [64, 128])
    for (const causal of [false, true]) await blockTopK(32_768, 16, headDim, 'f16', causal);
  await blockTopK(32_768, 16, 64, 'f32', false);
  await longRows(16, 131_072, 2048);
  await longRows(1024, 32_768, 2048);
  await others();
}

const file = argument('--json');
if (file)
  writeFileSync(
    file,
    `${JSON.stringify({ device: device.description, tier: device.tier, results }, null, 2)}\n`,
  );
await device.close();
