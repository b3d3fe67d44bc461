import {
  ArgumentError,
  attend,
  attendGradientsReference,
  attentionCost,
  attentionRows,
  checkAttend,
  type Device,
  densePlan,
  openDevice,
  type Tensor,
} from '@saccade/attention';
import { expectClose, randomArray, tolerances } from '@saccade/attention/testing';
import { describe, expect, test } from 'vitest';
import type { ReferenceInputs } from '../kit/paper.ts';
import { oneHotForm } from './augmented.ts';
import { haloFlops, positionFlops, unfoldedBytes } from './cost.ts';
import { downsampled, haloPlan, haloAttention as mechanism } from './mechanism.ts';
import { type Options, paper } from './paper.ts';
import { haloAttention } from './reference.ts';
import { unfold, unfoldedPlan } from './unfold.ts';

const parse = (options: Record<string, unknown>): Options => paper.options.parse(options) as Options;
const close = { absolute: 1e-5, relative: 1e-5, rms: 1e-5 };
const worked4 = { absolute: 5.1e-5, relative: 0, rms: 1e-3 }; // four printed decimals

const device: Device = await openDevice('reference');

function random(tokens: number, heads = 1, headDim = 3): ReferenceInputs {
  const make = (seed: number) => Float64Array.from(randomArray(seed, [heads, tokens, headDim]));
  return { batch: 1, heads, keyHeads: heads, tokens, headDim, query: make(1), key: make(2), value: make(3) };
}

function tensorsOf(inputs: ReferenceInputs) {
  const { batch, heads, keyHeads, tokens, headDim } = inputs;
  return {
    query: device.tensor(inputs.query, [batch, heads, tokens, headDim]),
    key: device.tensor(inputs.key, [batch, keyHeads, tokens, headDim]),
    value: device.tensor(inputs.value, [batch, keyHeads, tokens, headDim]),
  };
}

const run = async (inputs: ReferenceInputs, options: Options) =>
  (await (await mechanism(tensorsOf(inputs), options)).output.read()) as Float64Array;

const tables = (entries: number, headDim: number) => ({
  rows: Array.from({ length: entries }, (_, t) => Array.from(randomArray(40 + t, [headDim]))),
  columns: Array.from({ length: entries }, (_, t) => Array.from(randomArray(80 + t, [headDim]))),
});

/** Dense attention over chosen key tokens, loops: what several checks compare with. */
function attendTo(inputs: ReferenceInputs, query: number, keys: readonly number[], zeros = 0): number[] {
  const { headDim } = inputs;
  const scores = keys.map((key) => {
    let dot = 0;
    for (let d = 0; d < headDim; d++)
      dot += inputs.query[query * headDim + d] * inputs.key[key * headDim + d];
    return Math.exp(dot / Math.sqrt(headDim));
  });
  const sum = scores.reduce((total, score) => total + score, zeros);
  return Array.from({ length: headDim }, (_, d) =>
    keys.reduce((total, key, n) => total + (scores[n] / sum) * inputs.value[key * headDim + d], 0),
  );
}

const square = (top: number, left: number, side: number, rows: number, columns: number) => {
  const tokens: number[] = [];
  for (let row = top; row < top + side; row++)
    for (let column = left; column < left + side; column++)
      if (row >= 0 && row < rows && column >= 0 && column < columns) tokens.push(row * columns + column);
  return tokens;
};

describe('exact checks', () => {
  test('1. without a halo each block is dense attention; one block is global attention', async () => {
    const inputs = random(48);
    const output = await run(inputs, parse({ grid: [6, 8], blockSize: 2, halo: 0 }));
    for (let token = 0; token < 48; token++) {
      const [row, column] = [Math.floor(token / 8), token % 8];
      const block = square(row - (row % 2), column - (column % 2), 2, 6, 8);
      expectClose(output.slice(token * 3, token * 3 + 3), attendTo(inputs, token, block), close);
    }
    const whole = random(36);
    const { query, key, value } = tensorsOf(whole);
    const dense = await attend(query, key, value);
    expectClose(
      await run(whole, parse({ grid: [6, 6], blockSize: 6, halo: 0 })),
      await dense.output.read(),
      close,
    );
  });

  test.each([1, 2])(
    '2. blocks of one pixel and a masked border are centred windows of radius %i',
    async (R) => {
      const inputs = random(42);
      const output = await run(inputs, parse({ grid: [6, 7], blockSize: 1, halo: R, border: 'mask' }));
      for (let token = 0; token < 42; token++) {
        const window = square(Math.floor(token / 7) - R, (token % 7) - R, 2 * R + 1, 6, 7);
        expectClose(output.slice(token * 3, token * 3 + 3), attendTo(inputs, token, window), close);
      }
    },
  );

  test.each([
    [3, 2],
    [2, 1],
    [4, 1],
  ])(
    '3. interior blocks of side %i, halo %i, are strided windows of b + 2h that all queries of a stride share',
    async (b, h) => {
      const side = 4 * b;
      const inputs = random(side * side);
      const output = await run(inputs, parse({ grid: [side, side], blockSize: b, halo: h }));
      for (let row = b; row < side - b; row++) {
        for (let column = b; column < side - b; column++) {
          const token = row * side + column;
          // generalised neighbourhood attention: a stride b of queries leads one window, b + 2h wide around its middle
          const start = (place: number) => Math.floor(place / b) * b + (b >> 1) - ((b + 2 * h) >> 1);
          const window = square(start(row), start(column), b + 2 * h, side, side);
          expectClose(output.slice(token * 3, token * 3 + 3), attendTo(inputs, token, window), close);
        }
      }
    },
  );

  test('4. moving by a block moves the interior; moving by a pixel does not commute', async () => {
    const side = 16;
    const options = parse({ grid: [side, side], blockSize: 4, halo: 2 });
    const patch = random(16);
    const at = (offset: number) => {
      const canvas = random(side * side);
      for (const name of ['query', 'key', 'value'] as const) {
        canvas[name].fill(0);
        for (let token = 0; token < 16; token++)
          for (let d = 0; d < 3; d++)
            canvas[name][((Math.floor(token / 4) + 4) * side + (token % 4) + offset) * 3 + d] =
              patch[name][token * 3 + d];
      }
      return canvas;
    };
    const cut = (output: Float64Array, offset: number) =>
      Array.from({ length: 16 }, (_, token) => token).flatMap((token) => {
        const first = ((Math.floor(token / 4) + 4) * side + (token % 4) + offset) * 3;
        return Array.from(output.slice(first, first + 3));
      });
    const still = cut(await run(at(4), options), 4);
    expect(cut(await run(at(8), options), 8)).toEqual(still);
    const defect = cut(await run(at(5), options), 5).reduce(
      (most, x, i) => Math.max(most, Math.abs(x - still[i])),
      0,
    );
    expect(defect).toBeGreaterThan(1e-3);
  });

  test('5. a zero border is dense attention over K x K keys with zeros among them; 7/16 lies on padding', async () => {
    const inputs = random(16);
    const options = parse({ grid: [4, 4], blockSize: 2, halo: 1 });
    const output = await run(inputs, options);
    for (let token = 0; token < 16; token++) {
      const [row, column] = [Math.floor(token / 4), token % 4];
      const window = square(row - (row % 2) - 1, column - (column % 2) - 1, 4, 4, 4);
      // a zero key has score 0, weight exp(0) = 1, and a zero value
      const expected = attendTo(inputs, token, window, 16 - window.length);
      expectClose(output.slice(token * 3, token * 3 + 3), expected, close);
    }
    const equal = { ...inputs, query: new Float64Array(48) };
    const { query, key, value } = tensorsOf(equal);
    const rows = await attentionRows(query, key, value, { plan: haloPlan(16, options) });
    const { keys, weights } = rows({ query: 0 });
    const padding = Array.from(weights).reduce((sum, weight, i) => sum + (keys[i] < 0 ? weight : 0), 0);
    expect(padding).toBeCloseTo(7 / 16, 12);
  });

  test('6. strided queries are the even rows and columns; averaging takes means of 2 x 2', async () => {
    const inputs = random(96, 2);
    const base = { grid: [8, 12], blockSize: 4, halo: 2 };
    const whole = await mechanism(tensorsOf(inputs), parse(base));
    const all = await whole.output.read();
    const strided = parse({ ...base, stride: 2 });
    const sparse = await mechanism(tensorsOf(inputs), strided);
    const small = await downsampled(sparse.output, strided);
    expect(small.shape).toEqual([1, 2, 24, 3]);
    const averaging = parse({ ...base, stride: 2, averageDown: true });
    const mean = await downsampled((await mechanism(tensorsOf(inputs), averaging)).output, averaging);
    const at = (head: number, row: number, column: number, d: number) =>
      all[((head * 8 + row) * 12 + column) * 3 + d];
    const even: number[] = [];
    const means: number[] = [];
    for (let head = 0; head < 2; head++)
      for (let row = 0; row < 8; row += 2)
        for (let column = 0; column < 12; column += 2)
          for (let d = 0; d < 3; d++) {
            even.push(at(head, row, column, d));
            means.push(
              (at(head, row, column, d) +
                at(head, row, column + 1, d) +
                at(head, row + 1, column, d) +
                at(head, row + 1, column + 1, d)) /
                4,
            );
          }
    expectClose(await small.read(), even, tolerances.f64);
    expectClose(await mean.read(), means, tolerances.f64);
    // pixels without a query are zeros and see nothing
    expect((await sparse.logSumExp.read())[1]).toBe(-Infinity);
  });

  test.each(['zero', 'mask'] as const)(
    '7. the one-hot form equals the score expression, forward and gradients (%s)',
    async (border) => {
      const inputs = random(16);
      const options = parse({ grid: [4, 4], blockSize: 2, halo: 1, border, position: tables(7, 3) });
      const { query, key, value } = tensorsOf(inputs);
      const expected = await mechanism({ query, key, value }, options);
      const form = oneHotForm(inputs, options);
      const wide = (data: Float64Array, tokens: number, width: number) =>
        device.tensor(data, [1, 1, tokens, width]);
      const width = 3 + 2 * 4;
      const augmented = {
        query: wide(form.query, form.tokens, width),
        key: wide(form.key, form.tokens, width),
        value: wide(form.value, form.tokens, 3),
      };
      const call = { plan: form.plan, scale: 3 ** -0.5 };
      const result = await attend(augmented.query, augmented.key, augmented.value, call);
      const crop = (data: ArrayLike<number>, of: number, take: number) =>
        form.tokenOf.flatMap((token) => Array.from({ length: take }, (_, d) => data[token * of + d]));
      expectClose(crop(await result.output.read(), 3, 3), await expected.output.read(), close);
      // gradients of key and value are those of the score form; that of query lacks the tables' part
      const outputGradient = Float64Array.from(randomArray(9, [16, 3]));
      const wideGradient = new Float64Array(form.tokens * 3);
      form.tokenOf.forEach((token, i) => {
        for (let d = 0; d < 3; d++) wideGradient[token * 3 + d] = outputGradient[i * 3 + d];
      });
      const score = checkAttend(query, key, value, expected.attended);
      const ofScore = await attendGradientsReference(score, outputGradient);
      const ofForm = await attendGradientsReference(
        checkAttend(augmented.query, augmented.key, augmented.value, call),
        wideGradient,
      );
      expectClose(crop(ofForm.key, width, 3), ofScore.key, close);
      expectClose(crop(ofForm.value, 3, 3), ofScore.value, close);
      expectClose(crop(ofForm.query, width, 3), ofScore.query, close);
    },
  );

  test.each(['no position', 'position'])('7. gradients equal central differences, %s', async (name) => {
    const inputs = random(16);
    const position = name === 'position' ? tables(7, 3) : undefined;
    const options = parse({ grid: [4, 4], blockSize: 2, halo: 1, border: 'mask', position });
    const weights = randomArray(9, [16, 3]);
    const loss = () =>
      haloAttention(inputs, options).output.reduce((sum, number, i) => sum + number * weights[i], 0);
    const { query, key, value } = tensorsOf(inputs);
    const { attended } = await mechanism({ query, key, value }, options);
    const gradient = await attendGradientsReference(checkAttend(query, key, value, attended), weights);
    if (position) {
      // the tables' part of the query's gradient: Σ dS (rh[K − 1 + u − i] + rw[K − 1 + v − j])
      await attendGradientsReference(
        checkAttend(query, key, value, attended),
        weights,
        (_batch, _head, token, keyToken, scoreGradient) => {
          const down = Math.floor(keyToken / 4) - Math.floor(token / 4) + 1 + 3;
          const across = (keyToken % 4) - (token % 4) + 1 + 3;
          for (let d = 0; d < 3; d++)
            gradient.query[token * 3 + d] +=
              scoreGradient * (position.rows[down][d] + position.columns[across][d]);
        },
      );
    }
    for (const tensor of ['query', 'key', 'value'] as const) {
      for (const i of [0, 7, 20, 47]) {
        const kept = inputs[tensor][i];
        inputs[tensor][i] = kept + 1e-5;
        const above = loss();
        inputs[tensor][i] = kept - 1e-5;
        const below = loss();
        inputs[tensor][i] = kept;
        expect(gradient[tensor][i]).toBeCloseTo((above - below) / 2e-5, 6);
      }
    }
  });

  test('8. operations equal the formula; entries 0 to 2h − 1 of the tables get no gradient', async () => {
    const inputs = random(64, 2);
    const options = parse({ grid: [8, 8], blockSize: 4, halo: 1, position: tables(11, 3) });
    const { query, key, value } = tensorsOf(inputs);
    const { attended } = await mechanism({ query, key, value }, options);
    const cost = await attentionCost(query, key, value, attended);
    const shape = { batch: 1, heads: 2, rows: 8, columns: 8, keyDim: 3, valueDim: 3 };
    expect(cost.flops).toBe(haloFlops(shape, options));
    expect(cost.flops).toBe(2 * 2 * 64 * 36 * 6);
    expect(positionFlops(shape, options)).toBe(4 * 2 * 64 * 6 * 3);
    const strided = parse({ grid: [8, 8], blockSize: 4, halo: 1, stride: 2 });
    expect((await attentionCost(query, key, value, { plan: haloPlan(64, strided) })).flops).toBe(
      cost.flops / 4,
    );
    expect(unfoldedBytes(shape, options, 4)).toBe(4 * 36 * 2 * 6 * 4);

    const touched = new Float64Array(11);
    await attendGradientsReference(
      checkAttend(query, key, value, attended),
      randomArray(9, [2, 64, 3]),
      (_batch, _head, token, keyToken, scoreGradient) => {
        if (keyToken < 0) return;
        const i = Math.floor(token / 8) % 4;
        const u = Math.floor(keyToken / 8) - (Math.floor(token / 8) - i) + 1;
        touched[5 + u - i] += Math.abs(scoreGradient);
      },
    );
    expect(Array.from(touched.slice(0, 2))).toEqual([0, 0]);
    for (const sum of touched.slice(2)) expect(sum).toBeGreaterThan(0);
    // and no output moves with them
    const changed = tables(11, 3);
    for (const t of [0, 1]) changed.rows[t] = [9, 9, 9];
    const before = haloAttention(inputs, options).output;
    expect(haloAttention(inputs, { ...options, position: changed }).output).toEqual(before);
  });

  test('the unfolded baseline is the same attention', async () => {
    const inputs = random(36, 2);
    const options = parse({ grid: [6, 6], blockSize: 3, halo: 2 });
    const { query, key, value } = tensorsOf(inputs);
    const unfolded: Tensor[] = [await unfold(key, options), await unfold(value, options)];
    const { output } = await attend(query, unfolded[0], unfolded[1], { plan: unfoldedPlan(36, options) });
    expectClose(await output.read(), haloAttention(inputs, options).output, tolerances.f64);
    expect(densePlan(36, 36).keyTokens).toBeLessThan(unfolded[0].shape[2]);
  });
});

describe('worked example: 4 x 4 image, b = 2, h = 1', () => {
  const x = Float64Array.from({ length: 16 }, (_, token) => token / 8);
  const inputs: ReferenceInputs = {
    batch: 1,
    heads: 1,
    keyHeads: 1,
    tokens: 16,
    headDim: 1,
    query: x,
    key: x.map((number) => 1 - number),
    value: x,
  };
  const position = {
    rows: Array.from({ length: 7 }, (_, t) => [0.1 * (t - 3)]),
    columns: Array.from({ length: 7 }, (_, t) => [-0.05 * (t - 3)]),
  };
  test.each([
    [
      'no position',
      'zero',
      undefined,
      '.3516 .3463 .4088 .4025 .3295 .3236 .3842 .3784 .5279 .5188 .5396 .5292 .4960 .4898 .5032 .4962',
    ],
    [
      'no position',
      'mask',
      undefined,
      '.6250 .6029 .7058 .6840 .5373 .5160 .6200 .5995 .9545 .9351 1.0412 1.0230 .8804 .8634 .9722 .9566',
    ],
    [
      'position',
      'zero',
      position,
      '.3516 .3493 .4201 .4189 .3407 .3372 .4137 .4114 .4936 .4798 .5218 .5081 .4428 .4319 .4711 .4602',
    ],
    [
      'position',
      'mask',
      position,
      '.6250 .6065 .7131 .6947 .5515 .5334 .6406 .6229 .9806 .9635 1.0718 1.0555 .9145 .8989 1.0088 .9940',
    ],
  ] as const)('%s, %s border', async (_name, border, given, expected) => {
    const options = parse({ grid: [4, 4], blockSize: 2, halo: 1, border, position: given });
    const numbers = expected.split(' ').map(Number);
    expectClose(haloAttention(inputs, options).output, numbers, worked4);
    expectClose(await run(inputs, options), numbers, worked4);
  });
});

describe('bad input', () => {
  test.each([
    ['block 0', { blockSize: 0 }, /blockSize|>=1/],
    ['halo −1', { halo: -1 }, /halo|>=0/],
    ['stride 3', { stride: 3 }, /stride|<=2/],
    ['stride 0', { stride: 0 }, /stride|>=1/],
    ['stride 2, odd block', { stride: 2, blockSize: 5 }, /blockSize is 5; allowed: an even number/],
    [
      'average without stride',
      { averageDown: true },
      /averageDown is true; allowed: true only with stride 2/,
    ],
    ['radius beyond the halo', { centredRadius: 4 }, /centredRadius is 4; allowed: at most the halo, 3/],
    ['tables too short', { position: tables(26, 3) }, /26 entries; allowed: 27 entries/],
    ['unknown option', { window: 3 }, /window/],
    ['a grid of one axis', { grid: [16] }, /grid|2/],
  ])('options: %s', (_name, given, message) => {
    const result = paper.options.safeParse(given);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toMatch(message);
  });

  test.each([
    ['block does not divide', { grid: [4, 5], blockSize: 2 }, 20, 3, 'blockSize', /pad: true/],
    ['grid of other size', { grid: [4, 4], blockSize: 2 }, 20, 3, 'grid', /product of 20/],
    ['no grid, no square', { blockSize: 2 }, 20, 3, 'grid', /product is 20/],
    [
      'table of other width',
      { grid: [4, 5], blockSize: 1, halo: 0, position: tables(1, 2) },
      20,
      3,
      'position.rows',
      /3, the headDim/,
    ],
    [
      'odd sides, stride 2',
      { grid: [5, 4], blockSize: 4, pad: true, stride: 2 },
      20,
      3,
      'grid',
      /even sides/,
    ],
  ])('tensors: %s', async (_name, given, tokens, headDim, argument, message) => {
    const failed = await mechanism(tensorsOf(random(tokens, 1, headDim)), parse(given)).catch((e) => e);
    expect(failed).toBeInstanceOf(ArgumentError);
    expect(failed.argument).toBe(argument);
    expect(failed.message).toMatch(message);
  });

  test('heads that do not divide, and queries of another image', async () => {
    const { query, key, value } = tensorsOf(random(16, 2));
    const three = device.tensor(new Float64Array(16 * 9), [1, 3, 16, 3]);
    const options = parse({ blockSize: 2, halo: 1 });
    await expect(mechanism({ query: three, key, value }, options)).rejects.toThrow(/key is .*divide/);
    const few = device.tensor(new Float64Array(12), [1, 1, 4, 3]);
    await expect(mechanism({ query: few, key, value }, options)).rejects.toThrow(/query is 4 tokens/);
    expect(query.shape[2]).toBe(16);
  });

  test('a NaN pixel reaches only blocks whose window holds it', async () => {
    const inputs = random(64);
    inputs.key[0] = Number.NaN;
    const output = await run(inputs, parse({ grid: [8, 8], blockSize: 2, halo: 1 }));
    const bad = Array.from({ length: 64 }, (_, token) => token).filter((token) =>
      Number.isNaN(output[token * 3]),
    );
    expect(bad).toEqual([0, 1, 8, 9]);
  });

  test('padding the image equals zeros at the bottom and right, cropped', async () => {
    const inputs = random(15);
    const padded = await run(inputs, parse({ grid: [3, 5], blockSize: 2, halo: 1, pad: true }));
    const larger = random(24);
    for (const name of ['query', 'key', 'value'] as const) {
      larger[name].fill(0);
      for (let token = 0; token < 15; token++)
        for (let d = 0; d < 3; d++)
          larger[name][(Math.floor(token / 5) * 6 + (token % 5)) * 3 + d] = inputs[name][token * 3 + d];
    }
    const whole = await run(larger, parse({ grid: [4, 6], blockSize: 2, halo: 1 }));
    const cropped = Array.from({ length: 45 }, (_, i) => {
      const token = Math.floor(i / 3);
      return whole[(Math.floor(token / 5) * 6 + (token % 5)) * 3 + (i % 3)];
    });
    expectClose(padded, cropped, tolerances.f64);
  });

  test('the fit of any image parses', () => {
    for (const grid of [
      [32, 32],
      [7, 11],
      [1, 1],
      [49, 28],
    ])
      expect(paper.options.safeParse(paper.fit(grid)).success).toBe(true);
  });
});
