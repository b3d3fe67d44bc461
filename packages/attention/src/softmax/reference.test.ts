import { describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { table } from '../mods/expression.ts';
import { blockListPlan, type Plan } from '../plan.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { type AttendOptions, attend, checkAttend } from './attend.ts';
import { attendGradientsReference } from './backward-reference.ts';
import { attentionCost, attentionRows } from './inspect.ts';
import { mergeAttention } from './merge.ts';

const device = await openDevice('reference');
const tensor = (seed: number, ...shape: number[]) => device.tensor(randomArray(seed, shape), shape);

describe('attention by plain loops', () => {
  test('equals softmax(QKᵀ) V written with matrices', async () => {
    const [tokens, headDim] = [5, 3];
    const [query, key, value] = [1, 2, 3].map((seed) => tensor(seed, 1, 1, tokens, headDim));
    const [q, k, v] = await Promise.all([query, key, value].map((t) => t.read()));
    const { output, logSumExp } = await attend(query, key, value);
    const expected: number[] = [];
    const sums: number[] = [];
    for (let i = 0; i < tokens; i++) {
      const weights = Array.from({ length: tokens }, (_, j) => {
        let dot = 0;
        for (let d = 0; d < headDim; d++) dot += q[i * headDim + d] * k[j * headDim + d];
        return Math.exp(dot / Math.sqrt(headDim));
      });
      const total = weights.reduce((a, b) => a + b);
      sums.push(Math.log(total));
      for (let d = 0; d < headDim; d++) {
        expected.push(weights.reduce((sum, weight, j) => sum + (weight / total) * v[j * headDim + d], 0));
      }
    }
    expectClose(await output.read(), expected, tolerances.f64);
    expectClose(await logSumExp.read(), sums, tolerances.f64);
  });

  test('a row that sees no key gives zeros and -Infinity', async () => {
    const [query, key, value] = [1, 2, 3].map((seed) => tensor(seed, 1, 2, 4, 3));
    const { output, logSumExp } = await attend(query, key, value, { mask: ({ query: i }) => i.ne(2) });
    expect(Array.from((await logSumExp.read()).filter((sum) => sum === -Infinity))).toHaveLength(2);
    expect(Array.from((await output.read()).slice(6, 9))).toEqual([0, 0, 0]);
  });

  test('grouped query heads read their key head', async () => {
    const [query, key, value] = [tensor(1, 2, 4, 5, 3), tensor(2, 2, 2, 5, 3), tensor(3, 2, 2, 5, 3)];
    const repeat = async (source: typeof key) => {
      const data = await source.read();
      const head = 5 * 3;
      const heads = [0, 0, 1, 1, 2, 2, 3, 3].map((h) => Array.from(data.slice(h * head, (h + 1) * head)));
      return device.tensor(heads.flat(), [2, 4, 5, 3]);
    };
    const grouped = await attend(query, key, value, { causal: true });
    const repeated = await attend(query, await repeat(key), await repeat(value), { causal: true });
    expectClose(await grouped.output.read(), await repeated.output.read(), tolerances.f64);
  });

  test('attention over two halves, merged, is attention over all', async () => {
    const [query, key, value] = [1, 2, 3].map((seed) => tensor(seed, 1, 2, 7, 4));
    const whole = await attend(query, key, value);
    const parts = await Promise.all([
      attend(query, key, value, { mask: ({ key: j }) => j.lt(3) }),
      attend(query, key, value, { mask: ({ key: j }) => j.ge(3) }),
      attend(query, key, value, { mask: ({ key: j }) => j.lt(0) }),
    ]);
    const merged = await mergeAttention(parts);
    expectClose(await merged.output.read(), await whole.output.read(), tolerances.f64);
    expectClose(await merged.logSumExp.read(), await whole.logSumExp.read(), tolerances.f64);
  });

  test('the epilogue scales and adds at the end', async () => {
    const [query, key, value, add] = [1, 2, 3, 4].map((seed) => tensor(seed, 1, 1, 4, 3));
    const plain = await attend(query, key, value);
    const scale = device.tensor([1, 2, 0, -1], [1, 1, 4]);
    const { output } = await attend(query, key, value, { epilogue: { scale, add } });
    const [o, a, s] = await Promise.all([plain.output.read(), add.read(), scale.read()]);
    expectClose(
      await output.read(),
      Array.from(o, (x, i) => s[Math.floor(i / 3)] * x + a[i]),
      tolerances.f64,
    );
  });
});

describe('gradients by plain loops', () => {
  const lists: Plan = blockListPlan({
    name: 'lists',
    queryTokens: 5,
    keyTokens: 5,
    queries: { slots: 5, block: 2 },
    keys: { slots: 5, block: 2 },
    lists: [[{ block: 0 }, { block: 2 }], [{ block: 1 }], []],
  });
  const bias = table(randomArray(9, [5, 5]), [5, 5]);
  const cases: { name: string; options: AttendOptions }[] = [
    { name: 'dense', options: {} },
    { name: 'causal', options: { causal: true } },
    { name: 'block lists, one of them empty', options: { plan: lists } },
    {
      name: 'a bias',
      options: { score: ({ score, query, key, read }) => score.add(read(bias, query, key)) },
    },
  ];
  test.each(cases)('agree with central differences: $name', async ({ options }) => {
    const shapes = { query: [1, 2, 5, 3], key: [1, 1, 5, 3], value: [1, 1, 5, 2] };
    const arrays = {
      query: Float64Array.from(randomArray(1, shapes.query)),
      key: Float64Array.from(randomArray(2, shapes.key)),
      value: Float64Array.from(randomArray(3, shapes.value)),
    };
    const weights = randomArray(4, [1, 2, 5, 2]);
    const tensors = () =>
      [
        device.tensor(arrays.query, shapes.query),
        device.tensor(arrays.key, shapes.key),
        device.tensor(arrays.value, shapes.value),
      ] as const;
    const loss = async () => {
      const { output } = await attend(...tensors(), options);
      return Array.from(await output.read()).reduce((sum, x, i) => sum + x * weights[i], 0);
    };
    const gradients = await attendGradientsReference(checkAttend(...tensors(), options), weights);
    for (const name of ['query', 'key', 'value'] as const) {
      const numeric: number[] = [];
      for (let i = 0; i < arrays[name].length; i++) {
        const original = arrays[name][i];
        arrays[name][i] = original + 1e-5;
        const above = await loss();
        arrays[name][i] = original - 1e-5;
        const below = await loss();
        arrays[name][i] = original;
        numeric.push((above - below) / 2e-5);
      }
      expectClose(gradients[name], numeric, { absolute: 1e-8, relative: 1e-6, rms: 1e-7 }, name);
    }
  });
});

describe('inspection', () => {
  test('a row sums to one and its keys are those of the mask', async () => {
    const [query, key, value] = [1, 2, 3].map((seed) => tensor(seed, 1, 1, 6, 3));
    const row = (await attentionRows(query, key, value, { causal: true }))({ query: 3 });
    expect(Array.from(row.keys)).toEqual([0, 1, 2, 3]);
    expect(row.weights.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  test('visited pairs are counted from the lists', async () => {
    const [query, key, value] = [1, 2, 3].map((seed) => tensor(seed, 1, 2, 4, 3));
    const plan = blockListPlan({
      name: 'own block',
      queryTokens: 4,
      keyTokens: 4,
      queries: { slots: 4, block: 2 },
      keys: { slots: 4, block: 2 },
      lists: [[{ block: 0, full: true }], [{ block: 1, full: true }]],
    });
    const cost = await attentionCost(query, key, value, { plan });
    expect(cost).toMatchObject({ visitedPairs: 16, densePairs: 32, flops: 16 * 12, denseFlops: 32 * 12 });
  });
});
