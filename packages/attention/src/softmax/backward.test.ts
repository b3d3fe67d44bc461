import { describe, expect, test } from 'vitest';
import type { Device } from '../device/device.ts';
import { openDevice } from '../device/open.ts';
import { ArgumentError } from '../errors.ts';
import { type TableHandle, table } from '../mods/expression.ts';
import { blockListPlan, type Plan } from '../plan.ts';
import type { Tensor } from '../tensor.ts';
import { expectClose, numbers, randomArray, tolerances } from '../testing/close.ts';
import { type AttendOptions, attend } from './attend.ts';
import { attendBackward } from './backward.ts';
import { mergeAttention } from './merge.ts';

const device = await openDevice('reference');
const tensor = (seed: number, ...shape: number[]) => device.tensor(randomArray(seed, shape), shape);

const lists: Plan = blockListPlan({
  name: 'lists',
  queryTokens: 5,
  keyTokens: 5,
  queries: { slots: 5, block: 2 },
  keys: { slots: 5, block: 2 },
  lists: [[{ block: 0 }, { block: 2 }], [{ block: 1 }], []],
});
const zeros: Plan = {
  name: 'boxes with zero keys',
  queryTokens: 5,
  keyTokens: 5,
  queries: { slots: 5, block: 2 },
  keys: {
    kind: 'boxes',
    grid: [1, 1, 5],
    step: [1, 1, 1],
    boxes: Int32Array.of(0, 0, -1, 1, 1, 4, 0, 0, 1, 1, 1, 4, 0, 0, 3, 1, 1, 4),
    outside: 'zero',
  },
  listBatches: 1,
  listHeads: 1,
};

interface Case {
  name: string;
  queryTokens?: number;
  biasShape?: number[];
  options: (bias: TableHandle) => AttendOptions;
}

const cases: Case[] = [
  { name: 'dense, grouped query heads', options: () => ({}) },
  { name: 'causal, fewer queries than keys', queryTokens: 3, options: () => ({ causal: true }) },
  { name: 'block lists, one of them empty', options: () => ({ plan: lists }) },
  {
    name: 'a bias for each pair',
    biasShape: [2, 5, 5],
    options: (bias) => ({
      score: ({ score, head, query, key, read }) => score.add(read(bias, head, query, key)),
    }),
  },
  {
    name: 'a factor for each key, a soft cap, zero keys',
    biasShape: [6],
    options: (bias) => ({
      plan: zeros,
      score: ({ score, key, read }) =>
        score
          .mul(read(bias, key))
          .add(read(bias, key.add(1)))
          .div(2)
          .tanh()
          .mul(2),
    }),
  },
];

const step = 1e-5;
const numeric = { absolute: 1e-8, relative: 1e-6, rms: 1e-7 };

describe('gradients agree with central differences', () => {
  test.each(cases)('$name', async ({ queryTokens = 5, biasShape = [1], options }) => {
    const shapes = {
      query: [1, 2, queryTokens, 3],
      key: [1, 1, 5, 3],
      value: [1, 1, 5, 2],
      bias: biasShape,
      outputGradient: [1, 2, queryTokens, 2],
      logSumExpGradient: [1, 2, queryTokens],
    };
    const names = Object.keys(shapes) as (keyof typeof shapes)[];
    const arrays = Object.fromEntries(
      names.map((name, seed) => [name, Float64Array.from(randomArray(seed + 1, shapes[name]))]),
    ) as Record<keyof typeof shapes, Float64Array>;
    const make = (name: keyof typeof shapes) => device.tensor(arrays[name], shapes[name]);
    const run = async () => {
      const bias = table(make('bias'), biasShape);
      const inputs = [make('query'), make('key'), make('value')] as const;
      return { bias, inputs, result: await attend(...inputs, options(bias)) };
    };
    const loss = async () => {
      const { output, logSumExp } = (await run()).result;
      const [o, l] = [await numbers(output), await numbers(logSumExp)];
      const outputs = o.reduce((sum, x, i) => sum + x * arrays.outputGradient[i], 0);
      return l.reduce(
        (sum, x, i) => (x === -Infinity ? sum : sum + x * arrays.logSumExpGradient[i]),
        outputs,
      );
    };
    const { bias, inputs, result } = await run();
    const biased = options(bias).score !== undefined;
    const gradients = await attendBackward(...inputs, result, make('outputGradient'), {
      ...options(bias),
      logSumExpGradient: make('logSumExpGradient'),
      tables: biased ? [bias] : [],
    });
    const exact = {
      query: gradients.query,
      key: gradients.key,
      value: gradients.value,
      bias: gradients.tables[0],
    };
    for (const name of ['query', 'key', 'value', ...(biased ? (['bias'] as const) : [])] as const) {
      const differences = [];
      for (let i = 0; i < arrays[name].length; i++) {
        const original = arrays[name][i];
        arrays[name][i] = original + step;
        const above = await loss();
        arrays[name][i] = original - step;
        const below = await loss();
        arrays[name][i] = original;
        differences.push((above - below) / (2 * step));
      }
      expect(exact[name].shape).toEqual(shapes[name]);
      expectClose(await exact[name].read(), differences, numeric, name);
    }
  });
});

describe('gradients of attention', () => {
  const inputs = () => [tensor(1, 1, 2, 4, 3), tensor(2, 1, 2, 4, 3), tensor(3, 1, 2, 4, 3)] as const;

  test('the merged result stands for each part: their gradients add up', async () => {
    const tensors = inputs();
    const outputGradient = tensor(4, 1, 2, 4, 3);
    const whole = await attend(...tensors);
    const expected = await attendBackward(...tensors, whole, outputGradient);
    const masks: AttendOptions[] = [{ mask: ({ key }) => key.lt(2) }, { mask: ({ key }) => key.ge(2) }];
    const merged = await mergeAttention(
      await Promise.all(masks.map((options) => attend(...tensors, options))),
    );
    const parts = await Promise.all(
      masks.map((options) => attendBackward(...tensors, merged, outputGradient, options)),
    );
    for (const name of ['query', 'key', 'value'] as const) {
      const [a, b] = await Promise.all(parts.map((part) => part[name].read()));
      expectClose(
        a.map((x, i) => x + b[i]),
        await expected[name].read(),
        tolerances.f64,
        name,
      );
    }
  });

  test('the sums of dS over the blocks are those of a bias for each block', async () => {
    const tensors = [1, 2, 3].map((seed) => tensor(seed, 1, 2, 5, 3)) as [Tensor, Tensor, Tensor];
    const outputGradient = tensor(4, 1, 2, 5, 3);
    const zero = table(device.tensor(new Float64Array(2 * 3 * 3), [2, 3, 3]), [2, 3, 3]);
    const options: AttendOptions = {
      plan: lists,
      score: ({ score, head, query, key, read }) => score.add(read(zero, head, query.div(2), key.div(2))),
    };
    const result = await attend(...tensors, options);
    const { blockSums, tables } = await attendBackward(...tensors, result, outputGradient, {
      ...options,
      tables: [zero],
      blockSums: true,
    });
    expect(blockSums?.shape).toEqual([1, 2, 3, 3]);
    const sums = (await blockSums?.read()) ?? [];
    expectClose(sums, await tables[0].read(), tolerances.f64);
    expect(sums[0]).not.toBe(0);
    expect(sums[1]).toBe(0); // not in the list
  });
});

describe('attendBackward refuses', () => {
  const [query, key, value, output, logSumExp] = [
    tensor(1, 1, 1, 4, 3),
    tensor(2, 1, 1, 4, 3),
    tensor(3, 1, 1, 4, 3),
    tensor(4, 1, 1, 4, 3),
    tensor(5, 1, 1, 4),
  ];
  const result = { output, logSumExp };
  const read = table(Float32Array.of(1, 2), [2]);
  const integers = table(Int32Array.of(1, 2), [2]);
  const score: AttendOptions['score'] = ({ score: s, key: j, read: at }) => s.add(at(read, j));
  const run = (options: object, with_: object = {}) => {
    const given = { result, outputGradient: output, ...with_ };
    return attendBackward(query, key, value, given.result, given.outputGradient, options);
  };
  const wrong: [string, () => Promise<unknown>, RegExp][] = [
    ['an epilogue', () => run({ epilogue: { scale: 2 } }), /epilogue is given; allowed: none/],
    [
      'an output gradient of another shape',
      () => run({}, { outputGradient: logSumExp }),
      /outputGradient is of shape \[1, 1, 4\]; allowed: \[1, 1, 4, 3\]/,
    ],
    [
      'a log-sum-exp of another shape',
      () => run({}, { result: { output, logSumExp: output } }),
      /result.logSumExp is of shape/,
    ],
    ['a table that score does not read', () => run({ tables: [read] }), /tables\[0\] is a table that score/],
    ['an integer table', () => run({ tables: [integers] }), /tables\[0\] is an integer table/],
    ['a table twice', () => run({ score, tables: [read, read] }), /tables\[1\] is a table named before/],
    [
      'block sums without key blocks',
      () => run({ blockSums: true }),
      /blockSums is true under the plan 'dense'/,
    ],
    [
      'a tensor of another device',
      async () => {
        const other: Device = await openDevice('reference');
        return run({ logSumExpGradient: other.tensor([1, 2, 3, 4], [1, 1, 4]) });
      },
      /logSumExpGradient is on another device/,
    ],
  ];
  test.each(wrong)('%s', async (_name, call, message) => {
    await expect(call()).rejects.toThrow(ArgumentError);
    await expect(call()).rejects.toThrow(message);
  });
});
