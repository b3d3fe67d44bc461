import { afterAll, describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { openDevice } from '../device/open.ts';
import { openWebGPU } from '../device/webgpu.ts';
import { blockListPlan, densePlan, NO_TOKEN, type Plan } from '../plan.ts';
import { bandPlan, gatheredKeysPlan, intervalPlan } from '../plans.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { type AttendOptions, checkAttend } from './attend.ts';
import { decodeOnGpu, decodes } from './webgpu-decode.ts';

const device = await openWebGPU();
afterAll(() => device.close());

interface Case {
  name: string;
  batch?: number;
  heads?: number;
  keyHeads?: number;
  queryTokens?: number;
  keyTokens: number;
  headDim?: number;
  valueDim?: number;
  dtype?: 'f32' | 'f16';
  split?: number;
  options?: (on: Device, outputShape: readonly number[]) => AttendOptions;
  prepare?: (inputs: { query: Float32Array; key: Float32Array; value: Float32Array }) => void;
}

async function agree(item: Case): Promise<void> {
  const { batch = 1, heads = 2, keyHeads = heads, queryTokens = 1, keyTokens, headDim = 16 } = item;
  const { valueDim = headDim, dtype = 'f32', split = 64 } = item;
  const shapes = {
    query: [batch, heads, queryTokens, headDim],
    key: [batch, keyHeads, keyTokens, headDim],
    value: [batch, keyHeads, keyTokens, valueDim],
  };
  const inputs = {
    query: randomArray(1, shapes.query),
    key: randomArray(2, shapes.key),
    value: randomArray(3, shapes.value),
  };
  item.prepare?.(inputs);
  const run = async (on: Device) => {
    const [query, key, value] = (['query', 'key', 'value'] as const).map((name) =>
      on.tensor(inputs[name], shapes[name], dtype),
    );
    const options = item.options?.(on, [batch, heads, queryTokens, valueDim]);
    const request = checkAttend(query, key, value, options ?? {});
    const result =
      on === device ? await decodeOnGpu(device.gpu, request, split) : await on.kernels.attend(request);
    const read = [await result.output.read(), await result.logSumExp.read()];
    for (const tensor of [query, key, value, result.output, result.logSumExp]) tensor.dispose();
    return read;
  };
  const [expected, actual] = [await run(await openDevice('reference')), await run(device)];
  expectClose(actual[0], expected[0], tolerances[dtype], 'output');
  expectClose(actual[1], expected[1], tolerances.f32, 'logSumExp');
}

/** 300 keys in an order with gaps. */
const keyOrder = new Uint32Array(340).fill(NO_TOKEN);
for (let i = 0; i < 300; i++) keyOrder[i + Math.floor(i / 8)] = (i * 7) % 300;

const blockLists = (full: boolean): Plan =>
  blockListPlan({
    name: 'block lists',
    queryTokens: 5,
    keyTokens: 300,
    queries: { slots: 5, block: 2 },
    keys: { slots: 340, block: 7, order: keyOrder },
    lists: [
      [0, 3, 5, 48, 17, 18, 19, 20, 21, 22, 30].map((block) => ({ block, full: full && block % 3 === 0 })),
      [],
      [{ block: 48 }],
    ],
    keep: ({ query, key }) => query.add(key).mod(3).ne(0),
  });

/** A list for each batch and two heads, on the device, as a selection writes it. */
const deviceLists = (on: Device): Plan => {
  const lists = Array.from({ length: 4 }, (_, list) =>
    [list, 11 + list, 3 * list + 20, 29 - list].slice(0, 4 - (list % 2)),
  );
  const rows = lists.flatMap((list, i) => [
    lists.slice(0, i).reduce((sum, { length }) => sum + length, 0),
    list.length,
  ]);
  return {
    name: 'selected blocks',
    queryTokens: 2,
    keyTokens: 300,
    queries: { slots: 2, block: 2 },
    keys: {
      kind: 'blocks',
      layout: { slots: 300, block: 10 },
      rows: on.tensor(Uint32Array.from(rows), [4, 1, 2]),
      blocks: on.tensor(Uint32Array.from(lists.flat()), [lists.flat().length]),
    },
    listBatches: 2,
    listHeads: 2,
  };
};

const ranges: Plan = {
  name: 'ranges in an order',
  queryTokens: 3,
  keyTokens: 300,
  queries: { slots: 4, block: 2, order: Uint32Array.of(2, NO_TOKEN, 0, 1) },
  keys: {
    kind: 'ranges',
    layout: { slots: 340, block: 1, order: keyOrder },
    ranges: Uint32Array.of(20, 150, 300, 40),
  },
  listBatches: 1,
  listHeads: 1,
};

const boxes = (outside: 'skip' | 'zero'): Plan => ({
  name: `boxes, ${outside}`,
  queryTokens: 4,
  keyTokens: 180,
  queries: { slots: 4, block: 2 },
  keys: {
    kind: 'boxes',
    grid: [5, 6, 6],
    step: [1, 1, 2],
    boxes: Int32Array.of(-1, 0, 1, 7, 5, 3, 3, -4, 0, 2, 5, 3),
    outside,
  },
  listBatches: 1,
  listHeads: 1,
});

const intervals: Plan = intervalPlan({
  name: 'intervals',
  queryTokens: 3,
  keyTokens: 300,
  queries: { slots: 3, block: 2 },
  keys: { slots: 340, block: 1, order: keyOrder },
  intervals: [
    [
      { start: 5, count: 90 },
      { start: 200, count: 50, full: true },
    ],
    [{ start: 100, count: 3 }],
  ],
  keep: ({ query, key }) => query.add(key).mod(3).ne(0),
});

const positions = Array.from({ length: 150 }, (_, i) => (i * 2 + (i % 3)) % 300);
const gathered: Plan = gatheredKeysPlan({
  name: 'gathered keys',
  queryTokens: 1,
  keyTokens: 300,
  queries: { slots: 1, block: 1 },
  positions: { rows: Uint32Array.of(0, positions.length), blocks: Uint32Array.from(positions) },
});

const nan = (name: 'query' | 'key' | 'value', at: number) => (inputs: Record<string, Float32Array>) => {
  inputs[name][at] = Number.NaN;
};

const cases: Case[] = [
  ...[1, 2, 63, 64, 65, 129, 300].map((keyTokens) => ({ name: `${keyTokens} keys`, keyTokens })),
  ...[1, 8, 33, 64, 80, 128, 256].map((headDim) => ({ name: `headDim ${headDim}`, keyTokens: 130, headDim })),
  ...[1, 8, 33, 80, 128].map((headDim) => ({
    name: `headDim ${headDim}, f16`,
    keyTokens: 130,
    headDim,
    dtype: 'f16' as const,
  })),
  { name: 'valueDim other than headDim', keyTokens: 130, headDim: 12, valueDim: 70 },
  { name: 'channels in several reads a thread', keyTokens: 70, headDim: 200, valueDim: 512 },
  { name: 'heads that share keys', batch: 2, heads: 6, keyHeads: 2, keyTokens: 130 },
  { name: 'eleven heads that share keys', heads: 11, keyHeads: 1, keyTokens: 130 },
  {
    name: 'several queries, causal',
    heads: 4,
    keyHeads: 2,
    queryTokens: 3,
    keyTokens: 130,
    options: () => ({ causal: true }),
  },
  { name: 'more queries than keys, causal', queryTokens: 9, keyTokens: 7, options: () => ({ causal: true }) },
  {
    name: 'a mask and a score',
    queryTokens: 2,
    keyTokens: 200,
    options: () => ({
      mask: ({ query, key }) => key.mod(5).ne(query),
      score: ({ score, key, head }) => score.add(key.sub(head.mul(30)).toFloat().mul(0.05)),
    }),
  },
  {
    name: 'rows that see nothing',
    queryTokens: 3,
    keyTokens: 200,
    options: () => ({
      mask: ({ query, key }) =>
        query
          .ne(1)
          .and(key.lt(100).or(query.ne(0)))
          .and(key.ge(64)),
    }),
  },
  {
    name: 'scores that rise along the keys',
    keyTokens: 300,
    options: () => ({
      score: ({ score, key }) => score.add(key.toFloat().mul(0.5)),
    }),
  },
  {
    name: 'block lists in an order',
    queryTokens: 5,
    keyTokens: 300,
    options: () => ({ plan: blockLists(false) }),
  },
  {
    name: 'block lists with full marks',
    queryTokens: 5,
    keyTokens: 300,
    options: () => ({ plan: blockLists(true) }),
  },
  {
    name: 'block lists under a causal mask',
    queryTokens: 5,
    keyTokens: 300,
    options: () => ({ plan: blockLists(true), causal: true }),
  },
  {
    name: 'lists on the device, for each batch and two heads',
    batch: 2,
    heads: 4,
    keyHeads: 1,
    queryTokens: 2,
    keyTokens: 300,
    options: (on) => ({ plan: deviceLists(on) }),
  },
  { name: 'ranges in an order', queryTokens: 3, keyTokens: 300, options: () => ({ plan: ranges }) },
  { name: 'intervals', queryTokens: 3, keyTokens: 300, options: () => ({ plan: intervals }) },
  { name: 'gathered keys', keyTokens: 300, options: () => ({ plan: gathered }) },
  {
    name: 'a band with a sink',
    queryTokens: 5,
    keyTokens: 300,
    options: () => ({
      plan: bandPlan({ queryTokens: 5, keyTokens: 300, before: 100, sink: 3, block: 2 }),
      causal: true,
    }),
  },
  {
    name: 'boxes, outside skipped',
    queryTokens: 4,
    keyTokens: 180,
    options: () => ({ plan: boxes('skip') }),
  },
  {
    name: 'boxes, zeros outside, under a mask',
    queryTokens: 4,
    keyTokens: 180,
    options: () => ({ plan: boxes('zero'), mask: ({ keySlot }) => keySlot.mod(4).ne(1) }),
  },
  {
    name: 'an epilogue with a scale per row and a sum',
    heads: 3,
    queryTokens: 2,
    keyTokens: 70,
    valueDim: 33,
    options: (on, shape) => ({
      epilogue: {
        scale: on.tensor(randomArray(95, shape.slice(0, 3)), shape.slice(0, 3)),
        add: on.tensor(randomArray(94, shape), shape),
      },
    }),
  },
  {
    name: 'f16 in, f32 out',
    keyTokens: 70,
    headDim: 32,
    dtype: 'f16',
    options: () => ({ outputDType: 'f32' }),
  },
  { name: 'f16 out, odd channels', heads: 3, keyTokens: 70, headDim: 8, valueDim: 33, dtype: 'f16' },
  {
    name: 'masked keys that hold 1e30',
    keyTokens: 100,
    options: () => ({ mask: ({ key }) => key.lt(60) }),
    prepare: ({ key, value }) => {
      key.fill(1e30, 60 * 16, 100 * 16);
      value.fill(1e30, 60 * 16, 100 * 16);
    },
  },
  {
    name: 'a query that is NaN spoils its row only',
    queryTokens: 2,
    keyTokens: 130,
    prepare: nan('query', 3),
  },
  {
    name: 'a key that is NaN reaches only the rows that see it',
    queryTokens: 2,
    keyTokens: 130,
    options: () => ({ causal: true }),
    prepare: nan('key', 129 * 16 + 2),
  },
  {
    name: 'a value that is NaN reaches only the rows that see it, in its channel',
    queryTokens: 2,
    keyTokens: 130,
    options: () => ({ causal: true }),
    prepare: nan('value', 129 * 16 + 2),
  },
  {
    name: 'a NaN value far below the maximum',
    keyTokens: 300,
    options: () => ({
      score: ({ score, key }) => score.add(key.toFloat()),
    }),
    prepare: nan('value', 290 * 16 + 2),
  },
];

describe('decoding does as the reference does', () => {
  test.each(cases.map((item) => [item.name, item] as const))('%s', (_name, item) => agree(item));

  test('with every split', async () => {
    for (const split of [64, 128, 1024])
      await agree({ name: 'split', heads: 4, keyHeads: 2, keyTokens: 300, split });
  });
});

describe('attend() decodes', () => {
  const request = (queryTokens: number, keyTokens: number, heads = 2, queryBlock = queryTokens) => {
    const [query, key] = [
      device.tensor(new Float32Array(heads * queryTokens * 8), [1, heads, queryTokens, 8]),
      device.tensor(new Float32Array(heads * keyTokens * 8), [1, heads, keyTokens, 8]),
    ];
    const plan = { ...densePlan(queryTokens, keyTokens), queries: { slots: queryTokens, block: queryBlock } };
    const made = checkAttend(query, key, key, queryTokens > 0 ? { plan } : {});
    query.dispose();
    key.dispose();
    return made;
  };

  test('few queries against many keys', () => {
    expect(decodes(device.gpu, request(1, 256))).toBe(true);
    expect(decodes(device.gpu, request(16, 256))).toBe(true);
  });

  test('a few blocks of few queries', () => {
    expect(decodes(device.gpu, request(6, 256, 1, 2))).toBe(true);
    expect(decodes(device.gpu, request(1200, 256, 1, 2))).toBe(false);
  });

  test('not many queries that share keys, nor few keys', () => {
    expect(decodes(device.gpu, request(17, 256))).toBe(false);
    expect(decodes(device.gpu, request(1, 255))).toBe(false);
    expect(decodes(device.gpu, request(0, 256))).toBe(false);
  });
});
