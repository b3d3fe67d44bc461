import { ArgumentError, attend, openDevice } from '@saccade/attention';
import { expectClose, randomArray, tolerances } from '@saccade/attention/testing';
import { describe, expect, test } from 'vitest';
import type { ReferenceInputs } from '../kit/paper.ts';
import { generalizedNeighborhoodAttention as mechanism } from './mechanism.ts';
import { options as schema } from './paper.ts';
import { allowed, generalizedNeighborhoodAttention, inverseRange, keysOf } from './reference.ts';

const parse = (options: Record<string, unknown>) => schema.parse(options);
const ramp = (n: number, f: (i: number) => number) => Float64Array.from({ length: n }, (_, i) => f(i));
const random = (tokens: number, headDim = 3): ReferenceInputs => ({
  batch: 1,
  heads: 1,
  keyHeads: 1,
  tokens,
  headDim,
  query: Float64Array.from(randomArray(1, [tokens, headDim])),
  key: Float64Array.from(randomArray(2, [tokens, headDim])),
  value: Float64Array.from(randomArray(3, [tokens, headDim])),
});
const windows = (n: number, w: number, s: number, causal = false) =>
  Array.from({ length: n }, (_, i) => keysOf(i, n, w, s, causal));

describe('worked example', () => {
  const inputs = {
    ...random(8, 1),
    query: ramp(8, (i) => 0.5 * (i - 3)),
    key: ramp(8, Math.cos),
    value: ramp(8, (i) => i),
  };
  test.each([
    [
      { window: [4] },
      [2.5071, 2.2662, 1.9208, 2.5, 3.6718, 5.2792, 6.0886, 6.1654],
      [1.9387, 1.6405, 1.4449, 1.3863, 1.1925, 1.5752, 2.222, 2.5933],
    ],
    [
      { window: [4], stride: [2] },
      [2.5071, 2.2662, 2.7269, 2.5, 4.9209, 5.2792, 6.0886, 6.1654],
      [1.9387, 1.6405, 1.6138, 1.3863, 1.4108, 1.5752, 2.222, 2.5933],
    ],
    [
      { window: [4], stride: [4] },
      [2.5071, 2.2662, 1.9208, 1.5, 5.7702, 5.9631, 6.0886, 6.1654],
      [1.9387, 1.6405, 1.4449, 1.3863, 1.5989, 1.8849, 2.222, 2.5933],
    ],
    [
      { window: [3], dilation: [2] },
      [3.0272, 3.0847, 2.4838, 3, 4.5106, 5.917, 5.4363, 6.3644],
      [1.5593, 1.393, 1.1707, 1.0986, 1.1473, 1.3415, 1.6356, 1.8592],
    ],
    [
      { window: [4], stride: [2], causal: [true] },
      [0, 0.6129, 1.2402, 1.5, 2.9576, 3.874, 5.6278, 6.1654],
      [-1.5, -0.0508, 0.9559, 1.3863, 0.7622, 1.0575, 1.8127, 2.5933],
    ],
  ])('%j', (given, output, logSumExp) => {
    const result = generalizedNeighborhoodAttention(inputs, parse(given));
    expectClose(result.output, output, { absolute: 6e-5, relative: 0, rms: 1 });
    expectClose(result.logSumExp, logSumExp, { absolute: 6e-5, relative: 0, rms: 1 });
  });
  test('windows lean left when even, strides right', () => {
    expect(windows(8, 4, 1).map(([from]) => from)).toEqual([0, 0, 0, 1, 2, 3, 4, 4]);
    expect(windows(8, 4, 2).map(([from]) => from)).toEqual([0, 0, 1, 1, 3, 3, 4, 4]);
    expect(windows(8, 4, 2, true)).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [0, 4],
      [2, 5],
      [2, 6],
      [4, 7],
      [4, 8],
    ]);
  });
});

describe('exact checks', () => {
  const dense = async (inputs: ReferenceInputs, causal: boolean) => {
    const device = await openDevice('reference');
    const tensor = (data: Float64Array) => device.tensor(data, [1, 1, inputs.tokens, inputs.headDim]);
    return (
      await attend(tensor(inputs.query), tensor(inputs.key), tensor(inputs.value), { causal })
    ).output.read();
  };
  test('1: a window of the whole grid is dense attention, causal or not', async () => {
    const inputs = random(12);
    expectClose(
      generalizedNeighborhoodAttention(inputs, parse({ grid: [3, 4], window: [3, 4] })).output,
      await dense(inputs, false),
      tolerances.f64,
    );
    expectClose(
      generalizedNeighborhoodAttention(inputs, parse({ window: [12], causal: [true] })).output,
      await dense(inputs, true),
      tolerances.f64,
    );
  });
  test('2: a stride of the window gives separate blocks', () => {
    for (const w of [2, 3, 4, 6]) {
      for (let i = 0; i < 12; i++)
        expect(keysOf(i, 12, w, w, false)).toEqual([Math.floor(i / w) * w, Math.floor(i / w) * w + w]);
    }
  });
  test('3: W keys a query, itself among them, and no key is left out', () => {
    for (let n = 2; n <= 24; n++) {
      for (let w = 2; w <= n; w++) {
        for (let s = 1; s <= w; s++) {
          const seen = new Set<number>();
          windows(n, w, s).forEach(([from, to], i) => {
            expect(to - from).toBe(w);
            expect(from <= i && i < to).toBe(true);
            for (let j = from; j < to; j++) seen.add(j);
          });
          expect(seen.size).toBe(n);
        }
      }
    }
  });
  test('4: the inverse range equals enumeration for all lengths to 29, windows and strides', () => {
    for (let n = 2; n <= 29; n++) {
      for (let w = 2; w <= n; w++) {
        for (let s = 1; s <= w; s++) {
          for (const causal of [false, true]) {
            const all = windows(n, w, s, causal);
            for (let j = 0; j < n; j++) {
              const seenBy = all.flatMap(([from, to], i) => (from <= j && j < to ? [i] : []));
              const [q0, q1] = inverseRange(j, n, w, s, causal);
              if (q1 - q0 !== seenBy.length || (seenBy.length > 0 && q0 !== seenBy[0]))
                throw new Error(`n ${n} w ${w} s ${s} ${causal} j ${j}: [${q0}, ${q1}) is not ${seenBy}`);
            }
          }
        }
      }
    }
  });
  test('4: the start has a second form', () => {
    for (let n = 2; n <= 20; n++) {
      for (let w = 2; w <= n; w++) {
        for (let s = 1; s <= w; s++) {
          const L = Math.floor(w / 2);
          const R = L + (w % 2) - 1;
          for (let i = 0; i < n; i++) {
            const l = Math.min(Math.floor(i / s) * s + Math.floor(s / 2), n - 1);
            expect(keysOf(i, n, w, s, false)[0]).toBe(Math.max(l - L, 0) + (l + R >= n ? n - R - l - 1 : 0));
          }
        }
      }
    }
  });
  test('5: stride 1 moves with its input away from the borders', () => {
    const inputs = random(30, 2);
    const shift = (data: Float64Array) =>
      Float64Array.from({ length: 60 }, (_, i) => data[Math.max(i - 2, i % 2)]);
    const moved = generalizedNeighborhoodAttention(
      { ...inputs, query: shift(inputs.query), key: shift(inputs.key), value: shift(inputs.value) },
      parse({ window: [6] }),
    );
    const still = generalizedNeighborhoodAttention(inputs, parse({ window: [6] }));
    expectClose(moved.output.slice(5 * 2, 25 * 2), still.output.slice(4 * 2, 24 * 2), tolerances.f64);
  });
  test('6: stride b with window b + 2h starts a halo before an inner block', () => {
    for (const b of [3, 4, 5, 8]) {
      for (const h of [1, 2, 3]) {
        for (let block = 1; block < 5; block++) {
          const first = block * b;
          if (first - h < 0 || first + b + h > 6 * b) continue;
          for (let i = first; i < first + b; i++)
            expect(keysOf(i, 6 * b, b + 2 * h, b, false)[0]).toBe(first - h);
        }
      }
    }
  });
  test('7: dilation is one problem a group', () => {
    const inputs = random(18, 2);
    const whole = generalizedNeighborhoodAttention(
      inputs,
      parse({ window: [4], stride: [2], dilation: [3] }),
    );
    for (let g = 0; g < 3; g++) {
      const pick = (data: Float64Array) =>
        Float64Array.from({ length: 12 }, (_, i) => data[(Math.floor(i / 2) * 3 + g) * 2 + (i % 2)]);
      const part = generalizedNeighborhoodAttention(
        { ...inputs, tokens: 6, query: pick(inputs.query), key: pick(inputs.key), value: pick(inputs.value) },
        parse({ window: [4], stride: [2] }),
      );
      expect(Array.from(part.output)).toEqual(Array.from(pick(whole.output)));
    }
  });
  test('extra tokens are seen by every query', async () => {
    const device = await openDevice('reference');
    const options = parse({ grid: [4, 5], window: [2, 3], extraTokens: 3 });
    const query = device.tensor(randomArray(1, [20, 2]), [1, 1, 20, 2]);
    const [key, value] = [2, 3].map((seed) => device.tensor(randomArray(seed, [23, 2]), [1, 1, 23, 2]));
    const { output } = await mechanism({ query, key, value }, options);
    const masked = await attend(query, key, value, {
      mask: ({ query: i, key: j }) => {
        const near = Array.from({ length: 20 }, (_, x) =>
          Array.from({ length: 20 }, (_, y) => [x, y] as const).filter(([a, b]) =>
            allowed(a, b, 20, options),
          ),
        ).flat();
        return near.reduce((any, [a, b]) => any.or(i.eq(a).and(j.eq(b))), j.ge(20));
      },
    });
    expectClose(await output.read(), await masked.output.read(), tolerances.f64);
  });
});

describe('bad input', () => {
  test.each([
    [{ window: [1] }],
    [{ stride: [0] }],
    [{ dilation: [0] }],
    [{ window: [2.5] }],
    [{ grid: [2, 2, 2, 2] }],
    [{ keyTiling: 'other' }],
  ])('options %j are refused', (given) => {
    expect(() => parse(given)).toThrow();
  });
  test.each([
    [
      'a stride beyond the window',
      { grid: [4, 4], window: [2], stride: [3] },
      /stride on axis 0 is 3; allowed: 1 to the window, 2/,
    ],
    ['a window beyond the axis', { grid: [4, 4], window: [2, 5] }, /window on axis 1 is 5/],
    [
      'a dilated window beyond the axis',
      { grid: [4, 4], window: [3], dilation: [2] },
      /window on axis 0 is 3 with dilation 2/,
    ],
    ['a grid of other tokens', { grid: [3, 5] }, /grid is \[3, 5\], 15 tokens; allowed: a product of 16/],
    ['a tile of the wrong rank', { grid: [4, 4], window: [2], queryTile: [4] }, /queryTile is 1 entries/],
    [
      'extra tokens that are not there',
      { grid: [4, 4], window: [2], extraTokens: 2 },
      /key is 16 tokens; allowed: 18/,
    ],
  ])('%s is refused', async (_, given, message) => {
    const device = await openDevice('reference');
    const tensor = device.tensor(new Float64Array(16), [1, 1, 16, 1]);
    const run = () => mechanism({ query: tensor, key: tensor, value: tensor }, parse(given));
    await expect(run()).rejects.toThrow(ArgumentError);
    await expect(run()).rejects.toThrow(message);
  });
});
