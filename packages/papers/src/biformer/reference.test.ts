import {
  ArgumentError,
  attend,
  attendGradientsReference,
  attentionCost,
  checkAttend,
  type Device,
  openDevice,
  resolvePlan,
} from '@saccade/attention';
import { expectClose, randomArray, tolerances } from '@saccade/attention/testing';
import { describe, expect, test } from 'vitest';
import type { ReferenceInputs } from '../kit/paper.ts';
import { bestRegions, modelMultiplyAdds, moduleFlops } from './cost.ts';
import { biLevelRoutingAttention as mechanism, randomLists } from './mechanism.ts';
import { type Options, paper } from './paper.ts';
import { biLevelRoutingAttention, routing } from './reference.ts';
import { regionGeometry, regionLayout, regionOf, regionRectangle } from './regions.ts';

const parse = (options: Record<string, unknown>): Options => paper.options.parse(options) as Options;
const close = { absolute: 1e-5, relative: 1e-5, rms: 1e-5 };
const same = { absolute: 1e-6, relative: 1e-6, rms: 1e-6 };
const six = { absolute: 6e-7, relative: 0, rms: 1e-5 }; // six printed decimals

const device: Device = await openDevice('reference');

function random(tokens: number, heads = 1, headDim = 4, spread = 2): ReferenceInputs {
  const make = (seed: number) => Float64Array.from(randomArray(seed, [heads, tokens, headDim], spread));
  return { batch: 1, heads, keyHeads: heads, tokens, headDim, query: make(1), key: make(2), value: make(3) };
}

function tensorsOf({ batch, heads, keyHeads, tokens, headDim, query, key, value }: ReferenceInputs) {
  return {
    query: device.tensor(query, [batch, heads, tokens, headDim]),
    key: device.tensor(key, [batch, keyHeads, tokens, headDim]),
    value: device.tensor(value, [batch, keyHeads, tokens, headDim]),
  };
}

const run = async (inputs: ReferenceInputs, options: Options) =>
  (await (await mechanism(tensorsOf(inputs), options)).output.read()) as Float64Array;

/** Key regions of each query region, as the mechanism's plan has them. */
async function listsOf(inputs: ReferenceInputs, options: Options): Promise<number[][]> {
  const { attended } = await mechanism(tensorsOf(inputs), options);
  if (!attended.plan) throw new Error('no plan');
  const plan = await resolvePlan(attended.plan);
  const geometry = regionGeometry(inputs.tokens, options);
  return Array.from({ length: plan.queryBlocks }, (_, block) => {
    const regions = new Set<number>();
    plan.forEachKey(0, block, (_slot, token) => regions.add(regionOf(geometry, token)));
    return [...regions];
  });
}

/** Moves each token's row to another place: to[i] is the new place of token i. */
function moved(inputs: ReferenceInputs, to: readonly number[]): ReferenceInputs {
  const { heads, tokens, headDim } = inputs;
  const apply = (data: Float64Array) => {
    const out = new Float64Array(data.length);
    for (let h = 0; h < heads; h++)
      to.forEach((target, token) => {
        for (let d = 0; d < headDim; d++)
          out[(h * tokens + target) * headDim + d] = data[(h * tokens + token) * headDim + d];
      });
    return out;
  };
  return { ...inputs, query: apply(inputs.query), key: apply(inputs.key), value: apply(inputs.value) };
}

async function dense(inputs: ReferenceInputs) {
  const { query, key, value } = tensorsOf(inputs);
  const { output } = await attend(query, key, value, { scale: (inputs.heads * inputs.headDim) ** -0.5 });
  return (await output.read()) as Float64Array;
}

describe('exact checks', () => {
  test('1. and 2. all regions, or one region, is dense attention with scale C^-1/2', async () => {
    const inputs = random(64, 2);
    const expected = await dense(inputs);
    expectClose(await run(inputs, parse({ grid: [8, 8], regions: 4, topk: 16 })), expected, close);
    expectClose(await run(inputs, parse({ grid: [8, 8], regions: 1, topk: 1 })), expected, close);
  });

  test('2. regions of one pixel: exact top-k attention by the product over all channels', async () => {
    const inputs = random(25, 2);
    const output = await run(inputs, parse({ grid: [5, 5], regions: 5, topk: 3 }));
    const dot = (head: number, t: number, j: number) =>
      [0, 1, 2, 3].reduce(
        (sum, d) => sum + inputs.query[(head * 25 + t) * 4 + d] * inputs.key[(head * 25 + j) * 4 + d],
        0,
      );
    for (let t = 0; t < 25; t++) {
      const best = Array.from({ length: 25 }, (_, j) => j)
        .sort((x, y) => dot(0, t, y) + dot(1, t, y) - dot(0, t, x) - dot(1, t, x))
        .slice(0, 3);
      for (let head = 0; head < 2; head++) {
        const weights = best.map((j) => Math.exp(dot(head, t, j) / Math.sqrt(8)));
        const sum = weights.reduce((a, b) => a + b, 0);
        const expected = [0, 1, 2, 3].map((d) =>
          best.reduce((total, j, n) => total + (weights[n] / sum) * inputs.value[(head * 25 + j) * 4 + d], 0),
        );
        expectClose(output.slice((head * 25 + t) * 4, (head * 25 + t) * 4 + 4), expected, close);
      }
    }
  });

  test('3. orthogonal region means choose themselves: window attention', async () => {
    const inputs = random(16, 1, 4, 0.1);
    const options = parse({ grid: [4, 4], regions: 2, topk: 1 });
    const geometry = regionGeometry(16, options);
    for (let token = 0; token < 16; token++) inputs.query[token * 4 + regionOf(geometry, token)] += 3;
    inputs.key = inputs.query.slice();
    expect(await listsOf(inputs, options)).toEqual([[0], [1], [2], [3]]);
    const window = parse({ grid: [4, 4], regions: 2, topk: 1, routing: 'window' });
    expectClose(await run(inputs, options), await run(inputs, window), close);
  });

  test('4. a cyclic shift by whole regions permutes the output and the graph', async () => {
    const inputs = random(64, 2);
    const options = parse({ grid: [8, 8], regions: 4, topk: 3 });
    const to = Array.from({ length: 64 }, (_, t) => ((Math.floor(t / 8) + 2) % 8) * 8 + (((t % 8) + 4) % 8));
    const region = (r: number) => ((Math.floor(r / 4) + 1) % 4) * 4 + (((r % 4) + 2) % 4);
    const before = await listsOf(inputs, options);
    const after = await listsOf(moved(inputs, to), options);
    before.forEach((list, r) => {
      expect(new Set(after[region(r)])).toEqual(new Set(list.map(region)));
    });
    const output = await run(inputs, options);
    const expected = moved({ ...inputs, value: output, query: output, key: output }, to).value;
    expectClose(await run(moved(inputs, to), options), expected, same);
  });

  test('5. a permutation inside one region stays inside it', async () => {
    const inputs = random(64, 2);
    const options = parse({ grid: [8, 8], regions: 4, topk: 3 });
    const to = Array.from({ length: 64 }, (_, t) => t);
    [to[18], to[19], to[26], to[27]] = [27, 18, 19, 26]; // the pixels of region 5
    const shuffled = moved(inputs, to);
    const graphs = [inputs, shuffled].map((of) => routing(of, options).graph[0].flat());
    expectClose(graphs[1], graphs[0], same);
    const output = await run(inputs, options);
    const expected = moved({ ...inputs, query: output, key: output, value: output }, to).value;
    expectClose(await run(shuffled, options), expected, same);
  });

  test('6. values scale and shift the output', async () => {
    const inputs = random(64, 2);
    const options = parse({ grid: [8, 8], regions: 4, topk: 3 });
    const output = await run(inputs, options);
    const shift = [1, -2, 3, 0.5];
    const changed = { ...inputs, value: inputs.value.map((number, i) => 3 * number + shift[i % 4]) };
    expectClose(
      await run(changed, options),
      output.map((number, i) => 3 * number + shift[i % 4]),
      same,
    );
  });

  test('7. gradients equal central differences; none flows through the routing', async () => {
    const inputs = random(36, 2, 3, 1);
    const options = parse({ grid: [6, 6], regions: 3, topk: 3 });
    const { graph } = routing(inputs, options);
    for (const row of graph[0]) {
      const ranked = [...row].sort((a, b) => b - a);
      expect(ranked[2] - ranked[3]).toBeGreaterThan(1e-2); // no step of the differences crosses a choice
    }
    const weights = randomArray(9, [2, 36, 3]);
    const loss = (of: ReferenceInputs) =>
      biLevelRoutingAttention(of, options).output.reduce((sum, number, i) => sum + number * weights[i], 0);
    const { query, key, value } = tensorsOf(inputs);
    const { attended } = await mechanism({ query, key, value }, options);
    const gradient = await attendGradientsReference(checkAttend(query, key, value, attended), weights);
    for (const name of ['query', 'key', 'value'] as const) {
      for (const i of [0, 40, 101, 215]) {
        const step = (by: number) => ({
          ...inputs,
          [name]: inputs[name].map((x, n) => (n === i ? x + by : x)),
        });
        const slope = (loss(step(1e-5)) - loss(step(-1e-5))) / 2e-5;
        expect(Math.abs(gradient[name][i] - slope)).toBeLessThan(1e-6 * Math.max(1, Math.abs(slope)));
      }
    }
  });

  test.each([
    [
      [56, 56, 64, 7, 1, 5],
      { qkv: 77_070_336, output: 25_690_112, routing: 307_328, attention: 51_380_224, local: 10_035_200 },
    ],
    [[28, 28, 128, 7, 4, 5], { attention: 25_690_112 }],
    [[14, 14, 256, 7, 16, 5], { attention: 12_845_056 }],
    [[128, 128, 64, 8, 4, 5], { attention: 4_294_967_296, denseAttention: 68_719_476_736 }],
  ])('8. operations of %j', ([rows, columns, channels, regions, topk, localSide], expected) => {
    expect(moduleFlops({ rows, columns, channels, regions, topk, localSide })).toMatchObject(expected);
  });

  test('8. the plan of a call costs what the formula says; the cheapest S; the published models', async () => {
    const inputs = random(64, 2);
    const { query, key, value } = tensorsOf(inputs);
    const { attended } = await mechanism({ query, key, value }, parse({ grid: [8, 8], regions: 4, topk: 3 }));
    const { flops } = await attentionCost(query, key, value, attended);
    const shape = { rows: 8, columns: 8, channels: 8, regions: 4, topk: 3, localSide: 5 };
    expect(flops).toBe(moduleFlops(shape).attention);
    expect(bestRegions(3136, 4)).toBeCloseTo(16.43, 2);
    for (const [name, reported] of [
      ['T', 2.2e9],
      ['S', 4.5e9],
      ['B', 9.8e9],
    ] as const)
      expect(Math.abs(modelMultiplyAdds(name, 224) / reported - 1)).toBeLessThan(0.05);
  });

  test('9. mechanism and reference choose the same sets', async () => {
    for (const [grid, regions] of [
      [[8, 8], 4],
      [[9, 7], 3],
    ] as const) {
      const inputs = random(grid[0] * grid[1], 3);
      const options = parse({ grid: [...grid], regions, topk: 4 });
      expect((await listsOf(inputs, options)).map((list) => list.sort((a, b) => a - b))).toEqual(
        routing(inputs, options).chosen[0],
      );
    }
  });

  test('ties go to the lower region', async () => {
    const inputs = random(16);
    inputs.key.fill(1);
    expect(await listsOf(inputs, parse({ grid: [4, 4], regions: 2, topk: 2 }))).toEqual(
      Array(4).fill([0, 1]),
    );
  });
});

describe('worked example: 4 x 4 image, two channels, S = 2', () => {
  const fill = (at: (r: number, c: number, channel: number) => number) =>
    Float64Array.from({ length: 32 }, (_, i) => at(Math.floor(i / 8), Math.floor(i / 2) % 4, i % 2));
  const inputs: ReferenceInputs = {
    batch: 1,
    heads: 1,
    keyHeads: 1,
    tokens: 16,
    headDim: 2,
    query: fill((r, c, channel) => Math.sin(0.5 * r + 0.9 * c + 1.3 * channel)),
    key: fill((r, c, channel) => Math.cos(0.4 * r * c + 0.7 * channel + 0.2 * r)),
    value: fill((r, c, channel) => 0.1 * (4 * r + c) + channel * ((r + c) % 2 === 0 ? 1 : -1)),
  };
  const at = (output: ArrayLike<number>, r: number, c: number) =>
    [0, 1].map((d) => output[(4 * r + c) * 2 + d]);

  test('the region graph', () => {
    const { graph } = routing(inputs, parse({ regions: 2, topk: 1 }));
    expectClose(
      graph[0].flat(),
      [
        1.014427, 0.55853, 0.184388, -0.895107, 0.173939, 0.23421, 0.299436, -0.036621, 0.897543, 0.613798,
        0.394557, -0.690997, -0.816702, -0.402043, -0.056323, 0.760837,
      ],
      six,
    );
  });

  test.each([
    [
      1,
      [[0], [2], [0], [3]],
      [
        [0, 0, 0.226295, 0.172577],
        [1, 2, 1.039582, 0.999934],
        [3, 1, 0.258154, 0.273383],
        [3, 3, 1.226992, 0.958001],
      ],
    ],
    [
      2,
      [
        [0, 1],
        [1, 2],
        [0, 1],
        [2, 3],
      ],
      [
        [0, 0, 0.294655, 0.246456],
        [1, 2, 0.743654, 0.714157],
        [3, 1, 0.359323, 0.362142],
        [3, 3, 1.195988, 1.060705],
      ],
    ],
    [
      4,
      [
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
      ],
      [[0, 0, 0.611467, 0.610962]],
    ],
  ])('k = %i', async (topk, lists, outputs) => {
    const options = parse({ regions: 2, topk });
    expect(routing(inputs, options).chosen[0]).toEqual(lists);
    expect(await listsOf(inputs, options)).toEqual(lists);
    for (const output of [await run(inputs, options), biLevelRoutingAttention(inputs, options).output])
      for (const [r, c, ...expected] of outputs) expectClose(at(output, r, c), expected, six);
  });

  test('two heads of one channel', async () => {
    const split = (data: Float64Array) =>
      Float64Array.from({ length: 32 }, (_, i) => data[(i % 16) * 2 + Math.floor(i / 16)]);
    const { query, key, value } = inputs;
    const two = {
      ...inputs,
      heads: 2,
      keyHeads: 2,
      headDim: 1,
      query: split(query),
      key: split(key),
      value: split(value),
    };
    const output = await run(two, parse({ regions: 2, topk: 2 }));
    expectClose([output[0], output[16]], [0.35, 0.246456], six);
  });

  test('loss and gradients, k = 2', async () => {
    const options = parse({ regions: 2, topk: 2 });
    const weights = fill((r, c, channel) => (channel === 0 ? Math.cos(r + 2 * c) : Math.sin(r - c)));
    const output = await run(inputs, options);
    expect(output.reduce((sum, number, i) => sum + number * weights[i], 0)).toBeCloseTo(0.07193727, 7);
    const { query, key, value } = tensorsOf(inputs);
    const { attended } = await mechanism({ query, key, value }, options);
    const gradient = await attendGradientsReference(checkAttend(query, key, value, attended), weights);
    const index = (r: number, c: number, d: number) => (4 * r + c) * 2 + d;
    expectClose(
      [
        gradient.query[index(0, 1, 0)],
        gradient.query[index(2, 2, 1)],
        gradient.key[index(0, 1, 0)],
        gradient.key[index(2, 2, 1)],
        gradient.value[index(0, 1, 0)],
      ],
      [0.044812, -0.013842, -0.1795, 0.00909, -0.245424],
      six,
    );
  });

  test('the local convolution alone', async () => {
    const weights = Array.from({ length: 9 }, (_, place) => [0.1 * (place + 1), 0.1 * (place + 1)]);
    const options = parse({ regions: 2, topk: 2, localKernel: { weights } });
    const without = await run(inputs, parse({ regions: 2, topk: 2 }));
    for (const output of [await run(inputs, options), biLevelRoutingAttention(inputs, options).output]) {
      const local = output.map((number, i) => number - without[i]);
      expectClose(at(local, 0, 0), [0.83, 0.83], tolerances.f64);
      expectClose(at(local, 1, 2), [3.48, 2.98], tolerances.f64);
    }
  });
});

describe('bad input and edges', () => {
  test.each([
    ['k 0', { topk: 0 }, /topk|>=1/],
    ['k beyond S * S', { regions: 3, topk: 10 }, /topk is 10; allowed: 1 to 9/],
    ['no regions', { regions: 0 }, /regions|>=1/],
    ['causal', { causal: true }, /causal is true; allowed: false/],
    ['a kernel of even side', { localKernel: { weights: [[1], [1], [1], [1]] } }, /odd number/],
    ['a kernel of uneven channels', { localKernel: { weights: [[1]], bias: [1, 2] } }, /as many channels/],
    ['unknown option', { softRouting: true }, /softRouting/],
  ])('options: %s', (_name, given, message) => {
    const result = paper.options.safeParse(given);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toMatch(message);
  });

  test.each([
    ['more regions than pixels', { grid: [4, 8], regions: 5, topk: 1 }, 32, 'regions', /1 to 4/],
    ['grid of other size', { grid: [4, 4], regions: 2 }, 32, 'grid', /product of 32/],
    ['no grid, no square', { regions: 2 }, 32, 'grid', /product is 32/],
    [
      'kernel of other width',
      { grid: [4, 8], regions: 2, localKernel: { weights: [[1]] } },
      32,
      'localKernel',
      /allowed: 4/,
    ],
  ])('tensors: %s', async (_name, given, tokens, argument, message) => {
    const failed = await mechanism(tensorsOf(random(tokens)), parse(given)).catch((error) => error);
    expect(failed).toBeInstanceOf(ArgumentError);
    expect(failed.argument).toBe(argument);
    expect(failed.message).toMatch(message);
  });

  test('tensors of three axes, heads that do not divide, other dtypes', async () => {
    const { query, key, value } = tensorsOf(random(16, 2));
    const options = parse({ regions: 2 });
    const flat = device.tensor(new Float64Array(64), [1, 16, 4]);
    await expect(mechanism({ query: flat, key, value }, options)).rejects.toThrow(ArgumentError);
    const three = device.tensor(new Float64Array(16 * 12), [1, 3, 16, 4]);
    await expect(mechanism({ query: three, key, value }, options)).rejects.toThrow(/heads that divide/);
    const half = device.tensor(new Float64Array(128), [1, 2, 16, 4], 'f16');
    await expect(mechanism({ query, key: half, value }, options)).rejects.toThrow(/dtype/);
  });

  test.each([
    ['query', Number.NaN],
    ['key', Number.POSITIVE_INFINITY],
  ] as const)('checkFinite names the tensor: %s', async (name, number) => {
    const inputs = random(16);
    inputs[name][9] = number;
    const failed = await mechanism(tensorsOf(inputs), parse({ regions: 2, checkFinite: true })).catch(
      (e) => e,
    );
    expect(failed).toBeInstanceOf(ArgumentError);
    expect(failed.argument).toBe(name);
  });

  test('an image that regions do not divide: uneven regions, k lowered and said', async () => {
    const options = parse({ grid: [5, 5], regions: 4, topk: 16 });
    const geometry = regionGeometry(25, options);
    expect(geometry).toMatchObject({ regionRows: 2, regionsDown: 3, regionCount: 9, topk: 9 });
    expect(regionLayout(geometry).order?.filter((token) => token < 25)).toHaveLength(25);
    expect(regionRectangle(geometry, 8)).toEqual({ top: 4, left: 4, bottom: 5, right: 5 });
    const inputs = random(25);
    const { attended, output } = await mechanism(tensorsOf(inputs), options);
    expect(attended.plan?.name).toContain('k lowered from 16');
    expectClose(await output.read(), await dense(inputs), close);
  });

  test('an empty batch gives an empty output', async () => {
    const empty = () => device.tensor(new Float64Array(0), [0, 1, 16, 4]);
    const { output } = await mechanism(
      { query: empty(), key: empty(), value: empty() },
      parse({ regions: 2 }),
    );
    expect(output.shape).toEqual([0, 1, 16, 4]);
  });

  test('random routing: k different regions each, the same for a seed', () => {
    const lists = randomLists(16, 5, 3);
    expect(lists).toEqual(randomLists(16, 5, 3));
    expect(lists).not.toEqual(randomLists(16, 5, 4));
    for (const list of lists) expect(new Set(list.map(({ block }) => block)).size).toBe(5);
  });

  test('the fit of any image runs', async () => {
    for (const grid of [
      [32, 32],
      [7, 11],
      [1, 1],
      [9, 28],
      [3, 40],
    ]) {
      const options = parse(paper.fit(grid) as Record<string, unknown>);
      const output = await run(random(grid[0] * grid[1], 1, 2), options);
      expect(output.every(Number.isFinite)).toBe(true);
    }
  });
});
