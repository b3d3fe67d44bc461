import type { Device } from '../device/device.ts';
import { openDevice } from '../device/open.ts';
import { table } from '../mods/expression.ts';
import { blockListPlan, type Plan, selectedPlan } from '../plan.ts';
import { blockMean, blockScores } from '../select/blocks.ts';
import { topK } from '../select/top.ts';
import { attend, checkAttend } from '../softmax/attend.ts';
import { attendBackward, type BackwardOptions } from '../softmax/backward.ts';
import type { AttendGradients } from '../softmax/request.ts';
import { sizeOf, type Tensor } from '../tensor.ts';
import type { AttendCase, DeviceCase } from './cases.ts';
import { expectClose, randomArray, type Tolerance, tolerances } from './close.ts';
import { expressionCases } from './expression-cases.ts';
import { planCases } from './plan-cases.ts';
import { stridedBlocks } from './plans.ts';
import { shapeCases } from './shape-cases.ts';

interface BackwardCase extends Omit<AttendCase, 'options'> {
  options?: (device: Device, outputShape: readonly number[]) => BackwardOptions | Promise<BackwardOptions>;
  /** Of outputGradient; default: spread 1, stored as the others are. */
  gradient?: { spread?: number; dtype?: 'f32' | 'f16' };
}

/**
 * Gradients pass through two more products than outputs, and a weight's error grows with its score: about 3 times the
 * forward pass's. f16 is only how inputs are stored: both sides read the same numbers.
 */
const gradientTolerance: Tolerance = { absolute: 6e-5, relative: 6e-5, rms: 2e-5 };

/** Keys gathered by an order that repeats tokens: each query block sees a run of its own, with tokens of others. */
function gatheredPlan(tokens: number): Plan {
  const block = 8;
  const rows = Math.ceil(tokens / block);
  const each = 11;
  const order = Uint32Array.from({ length: rows * each }, (_, i) => (i * 13 + Math.floor(i / each)) % tokens);
  return {
    name: 'gathered keys',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block },
    keys: {
      kind: 'ranges',
      layout: { slots: order.length, block: 1, order },
      ranges: Uint32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? (i / 2) * each : each)),
    },
    listBatches: 1,
    listHeads: 1,
  };
}

/** Runs of keys whose lists are on the device, one for each head; some empty, some beyond the last key. */
function rangesOnDevice(device: Device, tokens: number, heads: number): Plan {
  const block = 16;
  const rows = heads * Math.ceil(tokens / block);
  const ranges = Uint32Array.from({ length: 2 * rows }, (_, i) =>
    i % 2 === 0 ? (i * 17) % tokens : i % 10 === 5 ? 0 : 20 + i,
  );
  return {
    ...onDevice(tokens, block, heads),
    keys: {
      kind: 'ranges',
      layout: { slots: tokens, block: 1 },
      ranges: device.tensor(ranges, [heads, rows / heads, 2]),
    },
  };
}

/** Two runs for each query block, the second one sometimes empty, often in one unit with the first. */
function intervalsOnDevice(device: Device, tokens: number): Plan {
  const block = 16;
  const count = Math.ceil(tokens / block);
  const rows = Uint32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? i : 2));
  const runs = Array.from({ length: count }, (_, row) => [
    row * 3,
    10,
    20 + row * 9,
    row % 3 === 1 ? 10 : 45,
  ]);
  return {
    ...onDevice(tokens, block, 1),
    keys: {
      kind: 'intervals',
      layout: { slots: tokens, block: 1 },
      rows: device.tensor(rows, [1, count, 2]),
      runs: device.tensor(Uint32Array.from(runs.flat()), [2 * count, 2]),
    },
  };
}

function onDevice(tokens: number, block: number, listHeads: number) {
  return {
    name: 'on the device',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block },
    listBatches: 1,
    listHeads,
  };
}

/** Blocks that a selection chose, lists for each batch and head. */
async function chosenPlan(device: Device, tokens: number): Promise<Plan> {
  const layout = { slots: tokens, block: 8 };
  const shape = [2, 4, tokens, 8];
  const means = [81, 82].map((seed) =>
    blockMean(device.tensor(randomArray(seed, shape), shape, 'f32'), layout),
  );
  const scores = await blockScores(await means[0], await means[1]);
  const selected = await topK(scores, { k: 3, local: 1 });
  return selectedPlan({
    name: 'selected',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: layout,
    keys: layout,
    selected,
  });
}

const own: BackwardCase[] = [
  {
    name: 'a gradient of the log-sum-exp',
    heads: 2,
    keyHeads: 1,
    queryTokens: 19,
    keyTokens: 35,
    headDim: 12,
    valueDim: 20,
    options: (device, shape) => ({
      causal: true,
      logSumExpGradient: device.tensor(randomArray(96, shape.slice(0, 3)), shape.slice(0, 3), 'f32'),
    }),
  },
  {
    name: 'tokens that stand in several key slots',
    heads: 2,
    queryTokens: 50,
    headDim: 16,
    options: () => ({ plan: gatheredPlan(50) }),
  },
  {
    name: 'ranges whose lists are on the device',
    heads: 2,
    queryTokens: 150,
    headDim: 8,
    options: (device) => ({ plan: rangesOnDevice(device, 150, 2) }),
  },
  {
    name: 'intervals whose lists are on the device',
    queryTokens: 150,
    headDim: 8,
    options: (device) => ({ plan: intervalsOnDevice(device, 150) }),
  },
  {
    name: 'a selection that stays on the device, with sums for each block',
    batch: 2,
    heads: 4,
    keyHeads: 2,
    queryTokens: 70,
    headDim: 16,
    options: async (device) => ({ plan: await chosenPlan(device, 70), causal: true, blockSums: true }),
  },
  {
    name: 'sums for each block, blocks smaller than a tile, and a bias for each key',
    heads: 2,
    queryTokens: 70,
    headDim: 8,
    options: (device) => {
      const shape = [2, 70];
      const bias = table(device.tensor(randomArray(97, shape), shape, 'f32'), shape);
      return {
        plan: stridedBlocks({ queryTokens: 70, keyTokens: 70, queryBlock: 16, keyBlock: 3 }),
        score: ({ score, head, key, read }) => score.add(read(bias, head, key)),
        tables: [bias],
        blockSums: true,
      };
    },
  },
];

/** Calls of the forward suite whose gradients are compared: one for each size, layout and operation that changes a kernel. */
const taken = new Set([
  '1 tokens, 1 heads',
  '17 tokens, 3 heads',
  '64 tokens, 1 heads',
  '129 tokens, 3 heads',
  'headDim 1',
  'headDim 128',
  'valueDim other than headDim',
  'two batches, grouped query heads',
  'no query',
  'no key',
  'causal, fewer queries than keys',
  'causal, more queries than keys',
  'sharp scores',
  'f16',
  'f16, odd channels',
  'blocks of 1',
  'blocks of 49',
  'blocks of 273',
  'blocks with full marks and a fine mask',
  'orders with padding, lists per batch and head',
  'ranges in an order, causal',
  'intervals, marked and masked',
  'intervals of an order with padding, causal',
  'a causal band with a sink',
  'a band over fewer keys than queries, under a causal mask',
  'gathered keys',
  'boxes in a plane, outside skipped',
  'dilated boxes in space',
  'zero keys under a mask and a score',
  'every key in an order of the queries',
  'a score that reads a table by head and distance',
  'a score that reads two device tensors and a host table',
  'tanh soft cap, exp, sqrt, floor',
  'integer operations on slots',
  'rows that see nothing',
]);

const cases: BackwardCase[] = [
  ...[...shapeCases, ...planCases, ...expressionCases].filter(({ name }) => taken.has(name)),
  ...own,
];

/** Tensors of a case on a device, less the result of attend(). */
async function callOn(item: BackwardCase, device: Device) {
  const { batch = 1, heads = 1, queryTokens, headDim, dtype = 'f32', spread = 1 } = item;
  const { keyHeads = heads, keyTokens = queryTokens, valueDim = headDim } = item;
  const outputShape = [batch, heads, queryTokens, valueDim];
  const shapes = {
    query: [batch, heads, queryTokens, headDim],
    key: [batch, keyHeads, keyTokens, headDim],
    value: [batch, keyHeads, keyTokens, valueDim],
    outputGradient: outputShape,
  };
  const spreads = { query: spread, key: spread, value: 1, outputGradient: item.gradient?.spread ?? 1 };
  const names = ['query', 'key', 'value', 'outputGradient'] as const;
  const inputs = Object.fromEntries(
    names.map((name, i) => [name, randomArray(i + 1, shapes[name], spreads[name])]),
  ) as Record<(typeof names)[number], Float32Array>;
  item.prepare?.(inputs);
  const [query, key, value, outputGradient] = names.map((name) =>
    device.tensor(
      inputs[name],
      shapes[name],
      name === 'outputGradient' ? (item.gradient?.dtype ?? dtype) : dtype,
    ),
  );
  const given = await item.options?.(device, outputShape);
  const read = checkAttend(query, key, value, given ?? {}).score?.tables ?? [];
  const options: BackwardOptions = {
    ...given,
    tables: read.filter(({ type }) => type === 'f32').map((each) => ({ table: each })),
  };
  return { query, key, value, outputGradient, options };
}

/** Output and log-sum-exp by the reference: gradients are compared from equal results, and no forward kernel is compiled. */
async function forward(item: BackwardCase) {
  const { query, key, value, options } = await callOn(item, await openDevice('reference'));
  const { output, logSumExp } = await attend(query, key, value, options);
  return { shape: output.shape, output: await output.read(), logSumExp: await logSumExp.read() };
}

async function gradientsOf(item: BackwardCase, device: Device, of: Awaited<ReturnType<typeof forward>>) {
  const { query, key, value, outputGradient, options } = await callOn(item, device);
  const output = device.tensor(of.output, of.shape, item.dtype ?? 'f32');
  const logSumExp = device.tensor(of.logSumExp, of.shape.slice(0, 3), 'f32');
  const gradients = await attendBackward(query, key, value, { output, logSumExp }, outputGradient, options);
  const numbers = await readGradients(gradients);
  const made = [query, key, value, outputGradient, output, logSumExp];
  for (const tensor of [...made, ...tensorsOf(gradients)]) tensor.dispose();
  return numbers;
}

function tensorsOf({ query, key, value, tables, blockSums }: AttendGradients): Tensor[] {
  return [query, key, value, ...tables, ...(blockSums ? [blockSums] : [])];
}

async function readGradients(gradients: AttendGradients): Promise<Record<string, ArrayLike<number>>> {
  const { query, key, value, tables, blockSums } = gradients;
  const named: [string, Tensor][] = [
    ['query', query],
    ['key', key],
    ['value', value],
    ...tables.map((tensor, i): [string, Tensor] => [`tables[${i}]`, tensor]),
    ...(blockSums ? [['blockSums', blockSums] as [string, Tensor]] : []),
  ];
  return Object.fromEntries(
    await Promise.all(named.map(async ([name, tensor]) => [name, await tensor.read()])),
  );
}

async function runBackward(
  item: BackwardCase,
  device: Device,
  toleranceOf: (expected: ArrayLike<number>) => Tolerance = () => gradientTolerance,
): Promise<void> {
  const of = await forward(item);
  const expected = await gradientsOf(item, await openDevice('reference'), of);
  const actual = await gradientsOf(item, device, of);
  for (const name of Object.keys(expected))
    expectClose(actual[name], expected[name], toleranceOf(expected[name]), `gradient of ${name}`);
}

/**
 * Kernels of the matrix units round weights and score gradients to 11 bits, 4.9e-4, before they add them up: errors are those
 * of the largest gradients, and a root mean square of some 3e-4 leaves a factor of ten. A score that is alone in its row has
 * the gradient zero, which is computed as the difference of equal numbers of the size of `spread`.
 */
function halfTolerance(expected: ArrayLike<number>, spread: number): Tolerance {
  let most = 0;
  for (let i = 0; i < expected.length; i++) most = Math.max(most, Math.abs(expected[i]));
  return {
    absolute: 4e-3 * most + 1e-6 * spread,
    relative: 4e-3,
    rms: most > 1e-3 * spread ? 3e-3 : Number.POSITIVE_INFINITY,
  };
}

const random = (device: Device, seed: number, ...shape: number[]) =>
  device.tensor(randomArray(seed, shape), shape, 'f32');

const others: DeviceCase[] = [
  {
    name: 'five runs give the same bits',
    run: async (device) => {
      const item = own[own.length - 1];
      const of = await forward(item);
      const first = await gradientsOf(item, device, of);
      for (let run = 1; run < 5; run++) {
        const again = await gradientsOf(item, device, of);
        for (const name of Object.keys(first)) {
          const differs = Array.from(first[name]).findIndex((x, i) => !Object.is(x, again[name][i]));
          if (differs >= 0) throw new Error(`run ${run}: gradient of ${name} differs at ${differs}`);
        }
      }
    },
  },
  {
    name: 'dS of a row sums to zero',
    run: async (device) => {
      const tensors = [random(device, 1, 1, 2, 40, 8), random(device, 2, 1, 2, 50, 8)] as const;
      const [value, outputGradient] = [random(device, 3, 1, 2, 50, 8), random(device, 4, 1, 2, 40, 8)];
      const rows = table(device.tensor(new Float32Array(80), [2, 40]), [2, 40]);
      const options: BackwardOptions = {
        score: ({ score, head, query, read }) => score.add(read(rows, head, query)),
        tables: [rows],
      };
      const result = await attend(...tensors, value, options);
      const { tables } = await attendBackward(...tensors, value, result, outputGradient, options);
      expectClose(await tables[0].read(), new Float32Array(80), tolerances.f32, 'sums of dS');
    },
  },
  {
    name: 'with values that are one-hot the gradient of a value is its weight times the row',
    run: async (device) => {
      const tokens = 24;
      const [query, key] = [random(device, 1, 1, 1, tokens, 8), random(device, 2, 1, 1, tokens, 8)];
      const oneHot = new Float32Array(tokens * tokens);
      for (let i = 0; i < tokens; i++) oneHot[i * tokens + i] = 1;
      const value = device.tensor(oneHot, [1, 1, tokens, tokens]);
      const result = await attend(query, key, value, { causal: true });
      // dO = e_r in row r: dV[key][r] = P[r][key], which is the output itself, transposed
      const gradients = await attendBackward(query, key, value, result, value, { causal: true });
      const [weights, actual] = [await result.output.read(), await gradients.value.read()];
      const expected = Float32Array.from(
        { length: sizeOf(value.shape) },
        (_, at) => weights[(at % tokens) * tokens + Math.floor(at / tokens)],
      );
      expectClose(actual, expected, tolerances.f32, 'gradient of value');
    },
  },
];

/** What every device's attendBackward() must do as the reference does. */
export const backwardCases: readonly DeviceCase[] = [
  ...cases.map((item) => ({ name: item.name, run: (device: Device) => runBackward(item, device) })),
  ...others,
];

/** A causal window over blocks of 32 keys; those that lie inside it are marked full. */
function markedWindow(tokens: number, size: number): Plan {
  const layout = { slots: tokens, block: 32 };
  const lists = Array.from({ length: Math.ceil(tokens / 32) }, (_, row) =>
    Array.from({ length: row + 1 }, (_, block) => ({
      block,
      full: block < row && row * 32 + 31 - block * 32 < size,
    })),
  );
  return blockListPlan({
    name: 'window, marked',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: layout,
    keys: layout,
    lists,
    keep: ({ query, key }) => key.le(query).and(query.sub(key).lt(size)),
  });
}

/** Sizes of gradients and scores that ask for more than halves hold by themselves. */
const halfCases: BackwardCase[] = [
  ...[
    { spread: 1e-6, dtype: 'f32' as const },
    { spread: 1e-6, dtype: 'f16' as const },
    { spread: 1e4, dtype: 'f32' as const },
    { spread: 1e4, dtype: 'f16' as const },
    { spread: 1e-20, dtype: 'f32' as const },
  ].map((gradient) => ({
    name: `gradients of size ${gradient.spread} in ${gradient.dtype}`,
    heads: 2,
    queryTokens: 150,
    keyTokens: 131,
    headDim: 64,
    gradient,
    options: () => ({ causal: true }),
  })),
  { name: 'scores of some hundred', heads: 2, queryTokens: 130, headDim: 64, spread: 6 },
  {
    name: 'blocks of 32 with full marks and a fine mask',
    heads: 2,
    keyHeads: 1,
    queryTokens: 120,
    headDim: 16,
    options: () => ({ plan: markedWindow(120, 70) }),
  },
  { name: 'long rows', queryTokens: 80, keyTokens: 1100, headDim: 64 },
  {
    name: 'headDim 128, causal',
    heads: 2,
    keyHeads: 1,
    queryTokens: 300,
    headDim: 128,
    options: () => ({ causal: true }),
  },
];

/** The same in f16, as the kernels of the matrix units take it. */
export const halfBackwardCases: readonly DeviceCase[] = [...cases, ...halfCases].map((item) => ({
  name: item.name,
  run: (device: Device) =>
    runBackward({ ...item, dtype: 'f16' }, device, (expected) =>
      halfTolerance(expected, item.gradient?.spread ?? 1),
    ),
}));
