import type { Device } from '../device/device.ts';
import { openDevice } from '../device/open.ts';
import { type Positions, table } from '../mods/expression.ts';
import { blockListPlan, NO_TOKEN, type Plan, selectedPlan } from '../plan.ts';
import { blockMean, blockScores, topK } from '../select/select.ts';
import { type AttendOptions, attend } from '../softmax/attend.ts';
import { mergeAttention } from '../softmax/merge.ts';
import type { Tensor } from '../tensor.ts';
import { expectClose, randomArray, tolerances } from './close.ts';

/** One thing that a device must do as the reference does. `run` throws an Error that says what differs. */
export interface DeviceCase {
  name: string;
  run(device: Device): Promise<void>;
}

interface AttendCase {
  name: string;
  batch?: number;
  heads?: number;
  keyHeads?: number;
  queryTokens: number;
  keyTokens?: number;
  headDim: number;
  valueDim?: number;
  dtype?: 'f32' | 'f16';
  /** Of queries and keys; larger values sharpen the softmax. */
  spread?: number;
  /** Called once per device, so that tensors in the options live where the call runs. */
  options?: (device: Device, outputShape: readonly number[]) => AttendOptions;
  /** Changes the random inputs before they are copied to the devices. */
  prepare?: (inputs: { query: Float32Array; key: Float32Array; value: Float32Array }) => void;
}

const causal = () => ({ causal: true });

const sizes: AttendCase[] = [1, 17, 64, 129].flatMap((tokens) =>
  [1, 3].map((heads) => ({
    name: `${tokens} tokens, ${heads} heads`,
    queryTokens: tokens,
    heads,
    headDim: 33,
  })),
);

const channels: AttendCase[] = [1, 8, 64, 128, 256].map((headDim) => ({
  name: `headDim ${headDim}`,
  queryTokens: 21,
  keyTokens: 70,
  headDim,
}));

const shapes: AttendCase[] = [
  ...sizes,
  ...channels,
  { name: 'valueDim other than headDim', queryTokens: 19, keyTokens: 35, headDim: 12, valueDim: 70 },
  { name: 'valueDim 1', queryTokens: 9, headDim: 16, valueDim: 1 },
  { name: 'two batches, grouped query heads', batch: 2, heads: 6, keyHeads: 2, queryTokens: 33, headDim: 16 },
  { name: 'one key head', heads: 4, keyHeads: 1, queryTokens: 20, keyTokens: 65, headDim: 8 },
  { name: 'no query', queryTokens: 0, keyTokens: 5, headDim: 4 },
  { name: 'no key', queryTokens: 5, keyTokens: 0, headDim: 4 },
  { name: 'causal', queryTokens: 129, heads: 2, headDim: 16, options: causal },
  { name: 'causal, fewer queries than keys', queryTokens: 17, keyTokens: 129, headDim: 16, options: causal },
  { name: 'causal, more queries than keys', queryTokens: 129, keyTokens: 70, headDim: 16, options: causal },
  { name: 'sharp scores', queryTokens: 65, keyTokens: 200, headDim: 16, spread: 6 },
  {
    name: 'scores that rise along the keys',
    queryTokens: 33,
    keyTokens: 200,
    headDim: 8,
    options: () => ({ score: ({ score, key }) => score.add(key.toFloat().mul(0.2)) }),
  },
  { name: 'f16', heads: 2, queryTokens: 70, headDim: 64, dtype: 'f16', options: causal },
  { name: 'f16, odd channels', heads: 2, queryTokens: 17, headDim: 33, dtype: 'f16' },
  {
    name: 'f16 in, f32 out',
    queryTokens: 17,
    headDim: 32,
    dtype: 'f16',
    options: () => ({ outputDType: 'f32' }),
  },
];

/** A fixed shuffle of 0 to count - 1. */
function shuffled(count: number, step = 7): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = (i * step + 3) % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Lists of every `step`-th key block, shifted by the row; some empty; every third entry marked full. */
function stridedBlocks(spec: {
  queryTokens: number;
  keyTokens: number;
  queryBlock: number;
  keyBlock: number;
  keep?: Plan['keep'];
}): Plan {
  const { queryTokens, keyTokens, queryBlock, keyBlock, keep } = spec;
  const columns = Math.ceil(keyTokens / keyBlock);
  const lists = Array.from({ length: Math.ceil(queryTokens / queryBlock) }, (_, row) =>
    row % 5 === 3
      ? []
      : Array.from({ length: columns }, (_, block) => ({ block, full: block % 3 === 0 })).filter(
          ({ block }) => (block + row) % 2 === 0,
        ),
  );
  return blockListPlan({
    name: 'strided blocks',
    queryTokens,
    keyTokens,
    queries: { slots: queryTokens, block: queryBlock },
    keys: { slots: keyTokens, block: keyBlock },
    lists,
    keep,
  });
}

/** Queries and keys in shuffled order with padding slots; lists per batch and per two heads. */
function orderedPlan(queryTokens: number, keyTokens: number): Plan {
  const padded = (tokens: number, step: number) => {
    const order = new Uint32Array(tokens + Math.ceil(tokens / 8)).fill(NO_TOKEN);
    shuffled(tokens, step).forEach((token, i) => {
      order[i + Math.floor(i / 8)] = token;
    });
    return order;
  };
  const [queryOrder, keyOrder] = [padded(queryTokens, 5), padded(keyTokens, 11)];
  const queries = { slots: queryOrder.length, block: 9, order: queryOrder };
  const layout = { slots: keyOrder.length, block: 6, order: keyOrder };
  const [rowCount, columns] = [Math.ceil(queries.slots / 9), Math.ceil(layout.slots / 6)];
  const rows: number[] = [];
  const blocks: number[] = [];
  for (let list = 0; list < 4; list++) {
    for (let row = 0; row < rowCount; row++) {
      const chosen = Array.from({ length: columns }, (_, block) => block).filter(
        (block) => (block * 3 + row + list) % 4 < 2,
      );
      rows.push(blocks.length, chosen.length);
      blocks.push(...chosen);
    }
  }
  return {
    name: 'shuffled',
    queryTokens,
    keyTokens,
    queries,
    keys: { kind: 'blocks', layout, rows: Uint32Array.from(rows), blocks: Uint32Array.from(blocks) },
    keep: ({ query, key }) => query.add(key).mod(3).ne(0),
    listBatches: 2,
    listHeads: 2,
  };
}

/** A neighbourhood of a grid: each query tile of `tile` sees a box around it that may stick out of the grid. */
function boxPlan(grid: readonly [number, number, number], outside: 'skip' | 'zero', step = 1): Plan {
  const tokens = grid[0] * grid[1] * grid[2];
  const block = 4;
  const count = Math.ceil(tokens / block);
  const boxes = new Int32Array(count * 6);
  for (let tile = 0; tile < count; tile++) {
    const first = tile * block;
    const x2 = first % grid[2];
    const x1 = Math.floor(first / grid[2]) % grid[1];
    const x0 = Math.floor(first / (grid[2] * grid[1]));
    boxes.set([grid[0] > 1 ? x0 - 1 : 0, x1 - step, x2 - 2 * step, grid[0] > 1 ? 3 : 1, 3, 5], tile * 6);
  }
  return {
    name: `boxes, ${outside}`,
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block },
    keys: { kind: 'boxes', grid, step: [1, step, step], boxes, outside },
    listBatches: 1,
    listHeads: 1,
  };
}

function rangePlan(tokens: number, block: number, order?: Uint32Array): Plan {
  const count = Math.ceil(tokens / block);
  const ranges = new Uint32Array(count * 2);
  for (let row = 0; row < count; row++) {
    const first = Math.max(0, row * block - 20);
    ranges.set(row === 1 ? [0, 0] : [first, Math.min(tokens - first, 45)], row * 2);
  }
  return {
    name: 'ranges',
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: tokens, block, order },
    keys: { kind: 'ranges', layout: { slots: tokens, block: 1, order }, ranges },
    listBatches: 1,
    listHeads: 1,
  };
}

const window = ({ query, key }: Positions) => query.sub(key).abs().le(9);

const plans: AttendCase[] = [
  ...[1, 4, 49, 64, 273].map((block) => ({
    name: `blocks of ${block}`,
    heads: 2,
    queryTokens: block > 64 ? 300 : 130,
    keyTokens: block > 64 ? 600 : 131,
    headDim: 16,
    options: () => ({
      plan: stridedBlocks({
        queryTokens: block > 64 ? 300 : 130,
        keyTokens: block > 64 ? 600 : 131,
        queryBlock: block,
        keyBlock: block,
      }),
    }),
  })),
  {
    name: 'blocks with full marks and a fine mask',
    queryTokens: 70,
    headDim: 16,
    options: () => ({
      plan: stridedBlocks({ queryTokens: 70, keyTokens: 70, queryBlock: 16, keyBlock: 8, keep: window }),
    }),
  },
  {
    name: 'full marks do not hide a causal mask',
    queryTokens: 70,
    headDim: 16,
    options: () => ({
      causal: true,
      plan: stridedBlocks({ queryTokens: 70, keyTokens: 70, queryBlock: 16, keyBlock: 8, keep: window }),
    }),
  },
  {
    name: 'orders with padding, lists per batch and head',
    batch: 2,
    heads: 4,
    keyHeads: 2,
    queryTokens: 50,
    keyTokens: 61,
    headDim: 20,
    options: () => ({ plan: orderedPlan(50, 61) }),
  },
  { name: 'ranges', heads: 2, queryTokens: 100, headDim: 16, options: () => ({ plan: rangePlan(100, 16) }) },
  {
    name: 'ranges in an order, causal',
    queryTokens: 100,
    headDim: 16,
    options: () => ({ causal: true, plan: rangePlan(100, 7, shuffled(100)) }),
  },
  {
    name: 'boxes in a plane, outside skipped',
    heads: 2,
    queryTokens: 63,
    headDim: 8,
    options: () => ({ plan: boxPlan([1, 7, 9], 'skip') }),
  },
  {
    name: 'boxes in a plane, zeros outside',
    queryTokens: 63,
    headDim: 8,
    options: () => ({ plan: boxPlan([1, 7, 9], 'zero') }),
  },
  {
    name: 'dilated boxes in space',
    queryTokens: 120,
    headDim: 8,
    options: () => ({ plan: boxPlan([4, 5, 6], 'skip', 2) }),
  },
  {
    name: 'zero keys under a mask and a score',
    queryTokens: 63,
    headDim: 8,
    options: () => ({
      plan: boxPlan([1, 7, 9], 'zero'),
      mask: ({ keySlot }) => keySlot.mod(4).ne(1),
      score: ({ score, key }) => key.lt(0).select(score.sub(1), score),
    }),
  },
  {
    name: 'every key in an order of the queries',
    queryTokens: 40,
    headDim: 8,
    options: () => ({
      causal: true,
      plan: {
        name: 'shuffled queries',
        queryTokens: 40,
        keyTokens: 40,
        queries: { slots: 40, block: 8, order: shuffled(40) },
        keys: { kind: 'all' },
        listBatches: 1,
        listHeads: 1,
      },
    }),
  },
];

const bias = table(randomArray(91, [3, 40]), [3, 40]);
const groups = table(
  Int32Array.from({ length: 80 }, (_, i) => (i * 7) % 5),
  [80],
);

const mods: AttendCase[] = [
  { name: 'a window as a mask', queryTokens: 129, headDim: 16, options: () => ({ mask: window }) },
  {
    name: 'a mask that reads an integer table',
    queryTokens: 80,
    headDim: 8,
    options: () => ({
      mask: ({ query, key, readInt }) => readInt(groups, query).eq(readInt(groups, key)),
    }),
  },
  {
    name: 'a score that reads a table by head and distance',
    heads: 3,
    queryTokens: 70,
    headDim: 8,
    options: () => ({
      score: ({ score, head, query, key, read }) => score.add(read(bias, head, query.sub(key).abs().min(39))),
    }),
  },
  {
    name: 'a score that reads two device tensors and a host table',
    batch: 2,
    queryTokens: 20,
    headDim: 8,
    options: (device) => {
      const decay = table(device.tensor(randomArray(92, [2, 20]), [2, 20]), [2, 20]);
      const halves = table(device.tensor(randomArray(93, [20]), [20], 'f16'), [20]);
      return {
        mask: ({ query, key, readInt }) => readInt(groups, query.add(key)).ne(2),
        score: ({ score, batch, query, key, read }) =>
          score
            .mul(read(decay, batch, query))
            .add(read(halves, key))
            .add(read(bias, 1, key)),
      };
    },
  },
  {
    name: 'tanh soft cap, exp, sqrt, floor',
    queryTokens: 33,
    headDim: 8,
    options: () => ({
      score: ({ score, query, key }) => {
        const distance = query.sub(key).abs().toFloat();
        return score
          .div(5)
          .tanh()
          .mul(5)
          .sub(distance.sqrt().mul(0.1))
          .add(distance.neg().exp())
          .add(score.floor());
      },
    }),
  },
  {
    name: 'integer operations on slots',
    queryTokens: 70,
    headDim: 8,
    options: () => ({
      plan: stridedBlocks({ queryTokens: 70, keyTokens: 70, queryBlock: 16, keyBlock: 8 }),
      mask: ({ querySlot, keySlot, query, key }) =>
        querySlot
          .bitAnd(3)
          .ne(keySlot.shiftRight(1).bitAnd(3))
          .or(query.sub(key).div(4).mod(3).eq(-1))
          .and(key.mul(5).add(query).shiftLeft(1).bitOr(1).gt(20).not().not()),
    }),
  },
  {
    name: 'an epilogue with numbers and a tensor',
    heads: 2,
    queryTokens: 19,
    headDim: 8,
    options: (device, shape) => ({
      epilogue: { scale: 0.5, add: device.tensor(randomArray(94, shape), shape) },
    }),
  },
  {
    name: 'an epilogue with a scale per row',
    heads: 2,
    queryTokens: 19,
    headDim: 33,
    options: (device, shape) => ({
      epilogue: { scale: device.tensor(randomArray(95, shape.slice(0, 3)), shape.slice(0, 3)) },
    }),
  },
  {
    name: 'f16 with an epilogue and a mask',
    heads: 2,
    queryTokens: 19,
    headDim: 32,
    dtype: 'f16',
    options: (device, shape) => ({
      mask: ({ query }) => query.ne(4),
      epilogue: { scale: 2, add: device.tensor(randomArray(94, shape), shape, 'f16') },
    }),
  },
  {
    name: 'rows that see nothing',
    heads: 2,
    queryTokens: 70,
    headDim: 8,
    options: () => ({ mask: ({ query, key }) => query.mod(3).ne(1).and(key.ge(query)).and(query.ne(69)) }),
  },
  {
    name: 'values that are one-hot',
    queryTokens: 40,
    valueDim: 40,
    headDim: 8,
    options: causal,
    prepare: ({ value }) => {
      value.fill(0);
      for (let i = 0; i < 40; i++) value[i * 40 + i] = 1;
    },
  },
  {
    name: 'masked keys that hold 1e30',
    queryTokens: 40,
    headDim: 8,
    options: () => ({ mask: ({ key }) => key.lt(30) }),
    prepare: ({ key, value }) => {
      key.fill(1e30, 30 * 8);
      value.fill(1e30, 30 * 8);
    },
  },
  {
    name: 'a key that is NaN reaches only the rows that see it',
    queryTokens: 70,
    headDim: 8,
    options: causal,
    prepare: ({ key }) => {
      key[66 * 8 + 3] = Number.NaN;
    },
  },
  {
    name: 'a value that is NaN reaches only the rows that see it, in its channel',
    queryTokens: 70,
    headDim: 8,
    options: () => ({ mask: window }),
    prepare: ({ value }) => {
      value[35 * 8 + 3] = Number.NaN;
    },
  },
  {
    name: 'a query that is NaN spoils its row only',
    queryTokens: 20,
    headDim: 8,
    prepare: ({ query }) => {
      query[5 * 8] = Number.NaN;
    },
  },
];

async function runAttend(item: AttendCase, device: Device): Promise<void> {
  const { batch = 1, heads = 1, queryTokens, headDim, dtype = 'f32', spread = 1 } = item;
  const { keyHeads = heads, keyTokens = queryTokens, valueDim = headDim } = item;
  const shapes = {
    query: [batch, heads, queryTokens, headDim],
    key: [batch, keyHeads, keyTokens, headDim],
    value: [batch, keyHeads, keyTokens, valueDim],
  };
  const inputs = {
    query: randomArray(1, shapes.query, spread),
    key: randomArray(2, shapes.key, spread),
    value: randomArray(3, shapes.value),
  };
  item.prepare?.(inputs);
  const reference = await openDevice('reference');
  const outputShape = [batch, heads, queryTokens, valueDim];
  const run = async (on: Device) => {
    const tensors = (['query', 'key', 'value'] as const).map((name) =>
      on.tensor(inputs[name], shapes[name], dtype),
    );
    const result = await attend(tensors[0], tensors[1], tensors[2], item.options?.(on, outputShape));
    const read = { output: await result.output.read(), logSumExp: await result.logSumExp.read() };
    disposeAll([...tensors, result.output, result.logSumExp]);
    return read;
  };
  const [expected, actual] = [await run(reference), await run(device)];
  const tolerance = tolerances[dtype];
  expectClose(actual.output, expected.output, tolerance, 'output');
  // -Infinity, NaN and numbers of the log-sum-exp do not depend on how the values are stored
  expectClose(actual.logSumExp, expected.logSumExp, tolerances.f32, 'logSumExp');
}

function disposeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}

/** Runs the same steps on the reference and on the device and compares what they return. */
async function compare(
  device: Device,
  steps: (
    on: Device,
    tensor: (seed: number, ...shape: number[]) => Tensor,
  ) => Promise<Record<string, ArrayLike<number>>>,
): Promise<void> {
  const on = (target: Device) =>
    steps(target, (seed, ...shape) => target.tensor(randomArray(seed, shape), shape, 'f32'));
  const expected = await on(await openDevice('reference'));
  const actual = await on(device);
  for (const name of Object.keys(expected)) expectClose(actual[name], expected[name], tolerances.f32, name);
}

/** Copies change nothing. */
const exactly = { absolute: 1e-30, relative: 0, rms: 1e-30 };

/** Lists as a plan reads them: the counts, and the entries within them. */
async function lists(selected: { rows: Tensor; blocks: Tensor }): Promise<Record<string, number[]>> {
  const [rows, blocks] = await Promise.all([selected.rows.read(), selected.blocks.read()]);
  const counts: number[] = [];
  const entries: number[] = [];
  for (let i = 0; i < rows.length; i += 2) {
    counts.push(rows[i + 1]);
    for (let e = 0; e < rows[i + 1]; e++) entries.push(blocks[rows[i] + e]);
  }
  return { counts, entries };
}

const others: DeviceCase[] = [
  {
    name: 'merge of three parts, one of them empty',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [
          tensor(1, 2, 3, 21, 10),
          tensor(2, 2, 3, 40, 10),
          tensor(3, 2, 3, 40, 10),
        ];
        const parts = [
          await attend(query, key, value, { mask: ({ key: j }) => j.lt(13) }),
          await attend(query, key, value, { mask: ({ key: j }) => j.ge(13) }),
          await attend(query, key, value, { mask: ({ key: j }) => j.lt(0) }),
        ];
        const merged = await mergeAttention(parts);
        return { output: await merged.output.read(), logSumExp: await merged.logSumExp.read() };
      }),
  },
  {
    name: 'merge of parts that are all empty',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [tensor(1, 1, 1, 5, 3), tensor(2, 1, 1, 4, 3), tensor(3, 1, 1, 4, 3)];
        const part = await attend(query, key, value, { mask: ({ key: j }) => j.lt(0) });
        const merged = await mergeAttention([part, part]);
        return { output: await merged.output.read(), logSumExp: await merged.logSumExp.read() };
      }),
  },
  {
    name: 'block means, in order and with padding',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const input = tensor(1, 2, 3, 37, 10);
        const order = new Uint32Array(48).fill(NO_TOKEN);
        shuffled(37).forEach((token, i) => {
          order[i] = token;
        });
        const plain = await blockMean(input, { slots: 37, block: 8 });
        const ordered = await blockMean(input, { slots: 48, block: 5, order });
        return { plain: await plain.read(), ordered: await ordered.read() };
      }),
  },
  {
    name: 'block scores, per head and summed',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key] = [tensor(1, 2, 4, 19, 12), tensor(2, 2, 2, 23, 12)];
        const each = await blockScores(query, key, { scale: 0.3 });
        const sum = await blockScores(query, key, { scale: 0.3, heads: 'sum' });
        return { each: await each.read(), sum: await sum.read() };
      }),
  },
  ...[
    { rows: 7, columns: 33, k: 5 },
    { rows: 3, columns: 300, k: 300 },
    { rows: 2, columns: 4096, k: 61 },
    { rows: 40, columns: 40, k: 6, causal: true },
    { rows: 40, columns: 40, k: 6, causal: true, forceOwn: true },
    { rows: 40, columns: 40, k: 1, forceOwn: true },
  ].map(({ rows, columns, ...options }) => ({
    name: `top ${options.k} of ${columns}${'causal' in options ? ', causal' : ''}${'forceOwn' in options ? ', own block forced' : ''}`,
    run: (device: Device) =>
      compare(device, async (_on, tensor) => lists(await topK(tensor(5, 1, 2, rows, columns), options))),
  })),
  {
    name: 'top k with ties, NaN and infinities',
    run: (device) =>
      compare(device, async (on) => {
        const scores = Float32Array.from({ length: 6 * 50 }, (_, i) => Math.floor(((i * 37) % 101) / 25) - 2);
        scores.set([Number.NaN, Infinity, -Infinity, 0, -0, 3.4e38, -3.4e38], 20);
        scores.fill(Number.NaN, 50, 100);
        scores.fill(1, 100, 150);
        const selected = await topK(on.tensor(scores, [1, 1, 6, 50], 'f32'), { k: 11 });
        return lists(selected);
      }),
  },
  {
    name: 'attention under a selection that stays on the device',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [1, 2, 3].map((seed) => tensor(seed, 2, 4, 70, 16));
        const layout = { slots: 70, block: 8 };
        const scores = await blockScores(await blockMean(query, layout), await blockMean(key, layout));
        const selected = await topK(scores, { k: 3, causal: true, forceOwn: true });
        const plan = selectedPlan({
          name: 'selected',
          queryTokens: 70,
          keyTokens: 70,
          queries: layout,
          keys: layout,
          selected,
        });
        const result = await attend(query, key, value, { plan, causal: true });
        return { output: await result.output.read(), logSumExp: await result.logSumExp.read() };
      }),
  },
  {
    name: 'tensors come back as they went in',
    run: async (device) => {
      const data = randomArray(7, [3, 5]);
      expectClose(await device.tensor(data, [3, 5], 'f32').read(), data, exactly);
      const halves = await device.tensor([1, 0.5, -2, 65504, 2 ** -24], [5], 'f16').read();
      expectClose(halves, [1, 0.5, -2, 65504, 2 ** -24], exactly);
      const whole = await device.tensor(Uint32Array.of(0, 7, NO_TOKEN), [3]).read();
      expectClose(whole, [0, 7, NO_TOKEN], exactly);
    },
  },
];

/** What every device must do as the reference does: sizes, key rules, expressions, precision, merge and selection. */
export const deviceCases: readonly DeviceCase[] = [
  ...[...shapes, ...plans, ...mods].map((item) => ({
    name: item.name,
    run: (device: Device) => runAttend(item, device),
  })),
  ...others,
];
