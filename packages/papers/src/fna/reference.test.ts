import { ArgumentError, attendGradientsReference, checkAttend, openDevice } from '@saccade/attention';
import { expectClose, randomArray, tolerances } from '@saccade/attention/testing';
import { describe, expect, test } from 'vitest';
import type { ReferenceInputs } from '../kit/paper.ts';
import { neighborhoodAttention as mechanism } from './mechanism.ts';
import { options as schema } from './paper.ts';
import { inverseRange, neighborhoodAttention, neighborhoodGradients, neighbours } from './reference.ts';

const parse = (options: Record<string, unknown>) => schema.parse(options);
const one = (tokens: number, query: number[], key: number[], value: number[]): ReferenceInputs => ({
  batch: 1,
  heads: 1,
  keyHeads: 1,
  tokens,
  headDim: 1,
  query: Float64Array.from(query),
  key: Float64Array.from(key),
  value: Float64Array.from(value),
});
const random = (tokens: number, headDim = 4, heads = 1): ReferenceInputs => ({
  batch: 1,
  heads,
  keyHeads: heads,
  tokens,
  headDim,
  query: Float64Array.from(randomArray(1, [heads, tokens, headDim])),
  key: Float64Array.from(randomArray(2, [heads, tokens, headDim])),
  value: Float64Array.from(randomArray(3, [heads, tokens, headDim])),
});
const four = { absolute: 6e-5, relative: 0, rms: 1 };
const ramp = (n: number, f: (i: number) => number) => Array.from({ length: n }, (_, i) => f(i));

describe('worked examples', () => {
  const square = one(
    25,
    ramp(25, (i) => i / 12.5 - 1),
    ramp(25, Math.sin),
    ramp(25, (i) => i),
  );
  test('A: 5 x 5, window 3 x 3', () => {
    const { output } = neighborhoodAttention(square, parse({ grid: [5, 5], window: [3] }));
    expectClose(
      output,
      [
        7.5189, 7.4285, 8.3382, 7.7385, 7.7705, 7.0085, 6.8892, 7.6832, 7.8882, 7.915, 11.0016, 11.001,
        12.0645, 12.9305, 12.794, 16.3729, 16.5229, 17.2106, 17.3922, 17.2734, 17.1088, 17.2482, 17.4893,
        16.7873, 16.6655,
      ],
      four,
    );
  });
  test('B: the same with a relative position bias of 0.1 dy - 0.2 dx', () => {
    const relativeBias = ramp(25, (i) => 0.1 * (Math.floor(i / 5) - 2) - 0.2 * ((i % 5) - 2));
    const { output } = neighborhoodAttention(square, parse({ grid: [5, 5], window: [3], relativeBias }));
    expectClose(
      output,
      [
        7.5489, 7.4721, 8.6456, 8.2443, 8.2427, 7.1102, 7.0057, 7.9635, 8.2276, 8.2222, 11.1323, 11.1588,
        12.2563, 13.1252, 12.9764, 16.585, 16.7365, 17.5389, 17.7132, 17.6138, 17.3112, 17.444, 17.9568,
        17.1907, 17.0801,
      ],
      four,
    );
  });
  test('C: 6 x 6, dilation 2 x 2', () => {
    const inputs = one(
      36,
      ramp(36, (i) => i / 18 - 1),
      ramp(36, Math.sin),
      ramp(36, (i) => i),
    );
    const { output } = neighborhoodAttention(inputs, parse({ grid: [6, 6], window: [3], dilation: [2] }));
    expectClose(output.slice(0, 6), [14.0101, 15.4079, 13.9883, 15.3944, 13.9729, 15.3695], four);
    expectClose(output.slice(30), [20.1379, 20.7889, 20.1253, 20.7989, 20.099, 20.8239], four);
  });
  test('D: 1-D, window 3, dilation 2', () => {
    const inputs = one(
      8,
      ramp(8, (i) => 0.5 * (i - 3)),
      ramp(8, Math.cos),
      ramp(8, (i) => i),
    );
    const { output } = neighborhoodAttention(inputs, parse({ window: [3], dilation: [2] }));
    expectClose(output, [3.0272, 3.0847, 2.4838, 3, 4.5106, 5.917, 5.4363, 6.3644], four);
  });
});

describe('exact checks', () => {
  test('1: a window of the whole axis is dense attention', async () => {
    const device = await openDevice('reference');
    const inputs = random(35, 4);
    const { output } = neighborhoodAttention(inputs, parse({ grid: [5, 7], window: [5, 7] }));
    const tensor = (data: Float64Array) => device.tensor(data, [1, 1, 35, 4]);
    const { attend } = await import('@saccade/attention');
    const dense = await attend(tensor(inputs.query), tensor(inputs.key), tensor(inputs.value));
    expectClose(output, await dense.output.read(), tolerances.f64);
  });
  test('1: constant values come back unchanged', () => {
    const inputs = { ...random(30), value: new Float64Array(120).fill(2.5) };
    expectClose(
      neighborhoodAttention(inputs, parse({ window: [3] })).output,
      new Float64Array(120).fill(2.5),
      tolerances.f64,
    );
  });
  test('3: every query has W neighbours, itself among them, and keys count the same pairs', () => {
    const options = parse({ grid: [7, 9], window: [3, 5], dilation: [2, 1] });
    let pairs = 0;
    for (let x = 0; x < 63; x++) {
      const near = neighbours(x, 63, options);
      expect(near).toHaveLength(15);
      expect(near.some(({ token }) => token === x)).toBe(true);
      pairs += near.length;
    }
    let inverse = 0;
    for (const [n, w, d] of [
      [7, 3, 2],
      [9, 5, 1],
    ] as const) {
      let sum = 0;
      for (let g = 0; g < d; g++) {
        const length = Math.ceil((n - g) / d);
        for (let j = 0; j < length; j++)
          sum += inverseRange(j, length, w, false)[1] - inverseRange(j, length, w, false)[0];
      }
      inverse = inverse === 0 ? sum : inverse * sum;
    }
    expect(inverse).toBe(pairs);
  });
  test('4: the inverse range equals a scatter for all lengths to 20, odd windows, dilation to 3', () => {
    for (let n = 3; n <= 20; n++) {
      for (let d = 1; d <= 3; d++) {
        for (let w = 3; w * d <= n; w += 2) {
          for (const causal of [false, true]) {
            const options = parse({ grid: [n], window: [w], dilation: [d], causal: [causal] });
            for (let y = 0; y < n; y++) {
              const seenBy: number[] = [];
              for (let x = 0; x < n; x++)
                if (neighbours(x, n, options).some(({ token }) => token === y)) seenBy.push(x);
              const length = Math.ceil((n - (y % d)) / d);
              const [q0, q1] = inverseRange(Math.floor(y / d), length, w, causal);
              expect(seenBy).toEqual(Array.from({ length: q1 - q0 }, (_, t) => (q0 + t) * d + (y % d)));
            }
          }
        }
      }
    }
  });
  test.each([
    ['5 x 5', { grid: [5, 5], window: [3] }, 25],
    [
      '5 x 5 with a bias',
      { grid: [5, 5], window: [3], relativeBias: Array.from(randomArray(8, [2 * 25])) },
      25,
    ],
    ['6 x 6, dilation 2', { grid: [6, 6], window: [3], dilation: [2] }, 36],
  ])('5: gradients agree with central differences: %s', (_, given, tokens) => {
    const options = parse(given);
    const inputs = random(tokens, 2, 2);
    const weights = Float64Array.from(randomArray(4, [2, tokens, 2]));
    const gradients = neighborhoodGradients(inputs, options, weights);
    const loss = () =>
      neighborhoodAttention(inputs, options).output.reduce((sum, x, i) => sum + x * weights[i], 0);
    const parts: [string, Float64Array | number[], Float64Array][] = [
      ['query', inputs.query, gradients.query],
      ['key', inputs.key, gradients.key],
      ['value', inputs.value, gradients.value],
      ['bias', options.relativeBias ?? [], gradients.relativeBias],
    ];
    for (const [name, array, gradient] of parts) {
      for (let i = 0; i < array.length; i += 7) {
        const original = array[i];
        array[i] = original + 1e-5;
        const above = loss();
        array[i] = original - 1e-5;
        const below = loss();
        array[i] = original;
        expect(Math.abs((above - below) / 2e-5 - gradient[i]), `${name}[${i}]`).toBeLessThan(1e-8);
      }
    }
  });
  test("5: the operators' gradients equal those of the engine's reference", async () => {
    const device = await openDevice('reference');
    const inputs = random(36, 3);
    const options = parse({ grid: [6, 6], window: [3], dilation: [2] });
    const tensor = (data: Float64Array) => device.tensor(data, [1, 1, 36, 3]);
    const tensors = { query: tensor(inputs.query), key: tensor(inputs.key), value: tensor(inputs.value) };
    const weights = Float64Array.from(randomArray(4, [36, 3]));
    const { attended } = await mechanism(tensors, options);
    const engine = await attendGradientsReference(
      checkAttend(tensors.query, tensors.key, tensors.value, attended),
      weights,
    );
    const operators = neighborhoodGradients(inputs, options, weights);
    for (const name of ['query', 'key', 'value'] as const)
      expectClose(engine[name], operators[name], tolerances.f64, name);
  });
  test('6: moving the input moves the output away from the borders', () => {
    const options = parse({ window: [5] });
    const inputs = random(40);
    const shift = (data: Float64Array) =>
      Float64Array.from({ length: data.length }, (_, i) => data[Math.max(i - 4, 0)]);
    const moved = neighborhoodAttention(
      { ...inputs, query: shift(inputs.query), key: shift(inputs.key), value: shift(inputs.value) },
      options,
    );
    const still = neighborhoodAttention(inputs, options);
    expectClose(moved.output.slice(4 * 4, 36 * 4), still.output.slice(3 * 4, 35 * 4), tolerances.f64);
  });
  test('6: exchanging the axes exchanges the axes of the output', () => {
    const [h, w] = [6, 8];
    const inputs = random(h * w, 2);
    const turn = (data: Float64Array) =>
      Float64Array.from({ length: data.length }, (_, i) => {
        const [token, d] = [Math.floor(i / 2), i % 2];
        return data[((token % h) * w + Math.floor(token / h)) * 2 + d];
      });
    const straight = neighborhoodAttention(inputs, parse({ grid: [h, w], window: [3, 5], dilation: [2, 1] }));
    const turned = neighborhoodAttention(
      { ...inputs, query: turn(inputs.query), key: turn(inputs.key), value: turn(inputs.value) },
      parse({ grid: [w, h], window: [5, 3], dilation: [1, 2] }),
    );
    expectClose(turned.output, turn(straight.output), tolerances.f64);
  });
  test('7: dilation is one problem a group, the same numbers', () => {
    const inputs = random(21, 2);
    const dilated = neighborhoodAttention(inputs, parse({ window: [5], dilation: [3] }));
    for (let g = 0; g < 3; g++) {
      const pick = (data: Float64Array) =>
        Float64Array.from({ length: 14 }, (_, i) => data[(Math.floor(i / 2) * 3 + g) * 2 + (i % 2)]);
      const part = neighborhoodAttention(
        { ...inputs, tokens: 7, query: pick(inputs.query), key: pick(inputs.key), value: pick(inputs.value) },
        parse({ window: [5] }),
      );
      expect(Array.from(part.output)).toEqual(Array.from(pick(dilated.output)));
    }
  });
  test('9: causal in time: later frames change nothing before them', () => {
    const options = parse({ grid: [4, 3, 3], window: [3], causal: [true, false, false] });
    const inputs = random(36, 2);
    const before = neighborhoodAttention(inputs, options).output.slice(0, 2 * 9 * 2);
    for (const data of [inputs.query, inputs.key, inputs.value]) data.fill(9, 2 * 9 * 2);
    expect(Array.from(neighborhoodAttention(inputs, options).output.slice(0, 2 * 9 * 2))).toEqual(
      Array.from(before),
    );
  });
});

describe('bad input', () => {
  test.each([
    [{ window: [4] }, /window is 4; allowed: odd/],
    [{ window: [1] }, /3/],
    [{ window: [] }, /./],
    [{ dilation: [0] }, /./],
    [{ kernel: 3 }, /kernel/],
  ])('options %j are refused', (given, message) => {
    expect(() => parse(given)).toThrow(message);
  });
  test.each([
    ['a window that does not fit', { grid: [4, 4], window: [3, 5] }, /window on axis 1 is 5 with dilation 1/],
    ['a dilated window that does not fit', { grid: [4, 4], window: [3], dilation: [2] }, /window on axis 0/],
    [
      'a grid of other tokens',
      { grid: [5, 4], window: [3] },
      /grid is \[5, 4\], 20 tokens; allowed: a product of 16/,
    ],
    ['too many entries', { grid: [16], window: [3, 3] }, /window is 2 entries/],
    [
      'a bias of the wrong size',
      { grid: [4, 4], window: [3], relativeBias: [1, 2] },
      /relativeBias is 2 numbers; allowed: 25/,
    ],
    [
      'a bias with causal',
      { grid: [4, 4], window: [3], causal: [true], relativeBias: new Array(25).fill(0) },
      /causal/,
    ],
  ])('%s is refused', async (_, given, message) => {
    const device = await openDevice('reference');
    const tensor = device.tensor(new Float64Array(16), [1, 1, 16, 1]);
    const inputs = { query: tensor, key: tensor, value: tensor };
    await expect(mechanism(inputs, parse(given))).rejects.toThrow(ArgumentError);
    await expect(mechanism(inputs, parse(given))).rejects.toThrow(message);
  });
  test('an empty batch gives an empty output', async () => {
    const device = await openDevice('reference');
    const tensor = device.tensor(new Float64Array(0), [0, 1, 16, 1]);
    const { output } = await mechanism(
      { query: tensor, key: tensor, value: tensor },
      parse({ grid: [4, 4], window: [3] }),
    );
    expect(output.shape).toEqual([0, 1, 16, 1]);
  });
  test('NaN stays in the windows that hold it', async () => {
    const device = await openDevice('reference');
    const data = Float64Array.from(randomArray(1, [16]));
    data[0] = Number.NaN;
    const [tensor, clean] = [
      device.tensor(data, [1, 1, 16, 1]),
      device.tensor(randomArray(2, [16]), [1, 1, 16, 1]),
    ];
    const { output } = await mechanism({ query: clean, key: clean, value: tensor }, parse({ window: [3] }));
    expect(Array.from(await output.read(), Number.isNaN)).toEqual(
      Array.from({ length: 16 }, (_, i) => i < 2),
    );
  });
});
