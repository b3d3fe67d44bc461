import {
  ArgumentError,
  attend,
  attendGradientsReference,
  checkAttend,
  openDevice,
  resolvePlan,
} from '@saccade/attention';
import { expectClose, randomArray, tolerances } from '@saccade/attention/testing';
import { describe, expect, test } from 'vitest';
import type { ReferenceInputs } from '../kit/paper.ts';
import { powerAttention as mechanism, powerPlan } from './mechanism.ts';
import { type Options, paper } from './paper.ts';
import { blockLists, countBlocks, equalBudget, type PatternOptions, rowBlocks } from './patterns.ts';
import { layerChanges } from './perturbation.ts';
import { binaryOnes, coverage, layersToReachAll, reachDepths, relayPath, UNREACHED } from './reachability.ts';
import { allowed, powerAttention } from './reference.ts';

const parse = (options: unknown = {}): Options => paper.options.parse(options) as Options;

/** q = 0.5 (i − 3), k = cos i, v = i. */
const worked = (tokens: number): ReferenceInputs => ({
  batch: 1,
  heads: 1,
  keyHeads: 1,
  tokens,
  headDim: 1,
  query: Float64Array.from({ length: tokens }, (_, i) => 0.5 * (i - 3)),
  key: Float64Array.from({ length: tokens }, (_, i) => Math.cos(i)),
  value: Float64Array.from({ length: tokens }, (_, i) => i),
});

const random = (tokens: number, heads = 1, keyHeads = heads, headDim = 4): ReferenceInputs => {
  const make = (seed: number, count: number) =>
    Float64Array.from(randomArray(seed, [count, tokens, headDim]));
  return {
    batch: 1,
    heads,
    keyHeads,
    tokens,
    headDim,
    query: make(1, heads),
    key: make(2, keyHeads),
    value: make(3, keyHeads),
  };
};

async function onDevice(inputs: ReferenceInputs, queryTokens = inputs.tokens) {
  const device = await openDevice('reference');
  const { batch, heads, keyHeads, tokens, headDim } = inputs;
  const last: number[] = [];
  for (let row = 0; row < batch * heads; row++)
    last.push(
      ...inputs.query.slice((row * tokens + tokens - queryTokens) * headDim, (row + 1) * tokens * headDim),
    );
  return {
    device,
    query: device.tensor(last, [batch, heads, queryTokens, headDim]),
    key: device.tensor(inputs.key, [batch, keyHeads, tokens, headDim]),
    value: device.tensor(inputs.value, [batch, keyHeads, tokens, headDim]),
  };
}

const bare: PatternOptions = { pattern: 'power', windowBlocks: 1, sinkBlocks: 0, period: 31 };
const usual: PatternOptions = { pattern: 'power', windowBlocks: 5, sinkBlocks: 1, period: 31 };

describe('exact checks', () => {
  test('1. a window over the whole sequence is dense causal attention; the smallest bare rows', async () => {
    const inputs = random(19, 2);
    const tensors = await onDevice(inputs);
    const dense = await attend(tensors.query, tensors.key, tensors.value, { causal: true });
    const wide = powerAttention(inputs, parse({ blockSize: 4, windowBlocks: 5, sinkBlocks: 0 }));
    expectClose(wide.output, await dense.output.read(), tolerances.f64);
    expectClose(wide.logSumExp, await dense.logSumExp.read(), tolerances.f64);
    expect(blockLists(4, bare)).toEqual([[0], [0, 1], [0, 1, 2], [1, 2, 3]]);
  });

  test.each([1, 2, 5].flatMap((windowBlocks) => [0, 1, 3].map((sinkBlocks) => [windowBlocks, sinkBlocks])))(
    '2. lists equal the predicate for all rows below 300, window %i, sink %i',
    (windowBlocks, sinkBlocks) => {
      const options = { ...bare, windowBlocks, sinkBlocks };
      for (let row = 0; row < 300; row++) {
        const list = rowBlocks(row, options);
        const byPredicate = Array.from({ length: 300 }, (_, block) => block).filter((block) =>
          allowed(row, block, { ...options, blockSize: 1 }),
        );
        expect(list).toEqual(byPredicate);
        // the closed form of the row's length
        const powers = Array.from({ length: 20 }, (_, e) => 2 ** e);
        const sinks = Array.from({ length: Math.min(sinkBlocks, row + 1) }, (_, block) => row - block);
        expect(list).toHaveLength(
          Math.min(row + 1, windowBlocks) +
            powers.filter((power) => power >= windowBlocks && power <= row).length +
            sinks.filter((distance) => distance >= windowBlocks && !powers.includes(distance)).length,
        );
      }
    },
  );

  test.each(['window', 'slash', 'dilated', 'longnet', 'full'] as const)(
    '2. lists of the pattern %s equal its predicate',
    (pattern) => {
      for (const [windowBlocks, period] of [
        [1, 1],
        [2, 3],
        [5, 31],
      ]) {
        const options = { pattern, windowBlocks, sinkBlocks: 1, period };
        for (let row = 0; row < 150; row++) {
          const byPredicate = Array.from({ length: row + 1 }, (_, block) => block).filter((block) =>
            allowed(row, block, { ...options, blockSize: 1 }),
          );
          expect(rowBlocks(row, options)).toEqual(byPredicate);
        }
      }
    },
  );

  test('3. the plan sees exactly the pairs of the predicate, tails included', async () => {
    const options = parse({ blockSize: 6, windowBlocks: 2 });
    const host = await resolvePlan(powerPlan(41, 41, options));
    for (let block = 0; block < host.queryBlocks; block++) {
      for (let query = block * 6; query < Math.min(41, block * 6 + 6); query++) {
        const seen: number[] = [];
        host.forEachKey(0, block, (_slot, token, full) => {
          if (full || token <= query) seen.push(token);
        });
        const expected = Array.from({ length: 41 }, (_, j) => j).filter((j) => allowed(query, j, options));
        expect(seen.sort((a, b) => a - b)).toEqual(expected);
      }
    }
  });

  test('3. gradients equal central differences of the reference', async () => {
    const options = parse({ blockSize: 2, windowBlocks: 1 });
    const inputs = random(13, 2, 1, 3);
    const { query, key, value } = await onDevice(inputs);
    const outputGradient = randomArray(9, [2, 13, 3]);
    const gradients = await attendGradientsReference(
      checkAttend(query, key, value, { plan: powerPlan(13, 13, options) }),
      outputGradient,
    );
    const loss = (changed: ReferenceInputs) =>
      powerAttention(changed, options).output.reduce((sum, out, i) => sum + out * outputGradient[i], 0);
    for (const name of ['query', 'key', 'value'] as const) {
      const numeric = Float64Array.from(inputs[name], (_, at) => {
        const moved = (step: number) => {
          const data = Float64Array.from(inputs[name]);
          data[at] += step;
          return loss({ ...inputs, [name]: data });
        };
        return (moved(1e-5) - moved(-1e-5)) / 2e-5;
      });
      expectClose(gradients[name], numeric, { absolute: 1e-4, relative: 1e-4, rms: 1e-4 }, name);
    }
  });

  test.each([
    { blocks: 128, kept: 1141, causal: 8256, bound: 7.24, lastRow: 10 },
    { blocks: 256, kept: 2548, causal: 32896, bound: 12.91, lastRow: 11 },
    { blocks: 512, kept: 5619, causal: 131328, bound: 23.37, lastRow: 12 },
  ])('4. $kept of $causal blocks are kept of $blocks', ({ blocks, kept, causal, bound, lastRow }) => {
    const counts = countBlocks(blocks, usual);
    expect(counts).toMatchObject({ kept, causal, lastRow });
    expect(counts.bound).toBeCloseTo(bound, 2);
  });

  test('4. shares at 32K and 128K tokens in blocks of 256', () => {
    expect(1141 / 8256).toBeCloseTo(0.1382, 4);
    expect(countBlocks(128, usual).kept / 128 ** 2).toBeCloseTo(0.0696, 4);
    expect(countBlocks(512, usual).kept / 131328).toBeCloseTo(0.0428, 4);
  });

  test('5. layers until the last block depends on every block', () => {
    expect([8, 16, 32, 64, 128, 256, 512].map((blocks) => layersToReachAll(usual, blocks))).toEqual([
      2, 3, 4, 5, 6, 7, 8,
    ]);
    expect(layersToReachAll(bare, 128)).toBe(7);
    const window: PatternOptions = { ...usual, pattern: 'window', windowBlocks: 9 };
    expect(layersToReachAll(window, 128)).toBe(16);
    expect(layersToReachAll(window, 512)).toBe(64);
  });

  test('5. without window and sink the depth is the number of binary ones of the distance', () => {
    const depths = reachDepths(bare, 127);
    for (let block = 0; block < 128; block++) expect(depths[block]).toBe(binaryOnes(127 - block));
  });

  test('6. reach grows without holes: 2^(layers + 1) − 1 blocks', () => {
    const depths = reachDepths(bare, 511);
    const contiguous = [1, 2, 3, 4, 5, 6, 7, 8].map((layers) => coverage(depths, layers).contiguous);
    expect(contiguous).toEqual([3, 7, 15, 31, 63, 127, 255, 511]);
  });

  test('6. reached blocks, the method with window 5 beside a window of 9', () => {
    const reached = (options: PatternOptions) =>
      [1, 2, 3, 4, 5, 6].map((layers) => coverage(reachDepths(options, 127), layers).reached);
    expect(reached({ ...usual, sinkBlocks: 0 })).toEqual([9, 34, 74, 109, 125, 128]);
    expect(reached({ ...usual, pattern: 'window', windowBlocks: 9, sinkBlocks: 0 })).toEqual([
      9, 17, 25, 33, 41, 49,
    ]);
  });

  test('6. in a random model a changed token changes the last one exactly when it is within reach', () => {
    const options = parse({ blockSize: 1, windowBlocks: 1, sinkBlocks: 0 });
    const depths = reachDepths(options, 15);
    for (const layers of [1, 2, 3])
      expect(layerChanges(options, { tokens: 16, layers, seed: 7 })).toEqual(
        Array.from(depths.slice(0, 15), (depth) => depth <= layers),
      );
  });

  test('7. later tokens change nothing, bit for bit; heads can be permuted', async () => {
    const options = parse({ blockSize: 4, windowBlocks: 1 });
    const inputs = random(30, 2);
    const changed = { ...inputs, key: Float64Array.from(inputs.key), value: Float64Array.from(inputs.value) };
    for (let h = 0; h < 2; h++)
      for (let at = (h * 30 + 18) * 4; at < (h + 1) * 30 * 4; at++) {
        changed.key[at] += 3;
        changed.value[at] -= 5;
      }
    const run = async (one: ReferenceInputs) => {
      const { query, key, value } = await onDevice(one);
      return (await mechanism({ query, key, value }, options)).output.read();
    };
    const [before, after] = await Promise.all([run(inputs), run(changed)]);
    const headSize = 30 * 4;
    for (let h = 0; h < 2; h++) {
      const rows = (data: ArrayLike<number>) => Array.from(data).slice(h * headSize, h * headSize + 18 * 4);
      expect(rows(after)).toEqual(rows(before));
    }
    const swap = (data: Float64Array) => Float64Array.of(...data.slice(headSize), ...data.slice(0, headSize));
    const swapped = await run({
      ...inputs,
      query: swap(inputs.query),
      key: swap(inputs.key),
      value: swap(inputs.value),
    });
    expect(Array.from(swapped)).toEqual(Array.from(swap(Float64Array.from(before))));
  });

  test('8. a step of decoding, and a chunk, equal their rows of the whole', async () => {
    const options = parse({ blockSize: 4, windowBlocks: 1 });
    const whole = random(70);
    const expected = powerAttention(whole, options).output;
    // steps across borders of blocks and powers of two in blocks (4, 8, 16, 32, 64 tokens), then chunks
    const cases = [1, 4, 5, 8, 9, 16, 17, 32, 33, 35, 36, 64, 65, 70].map((end) => [end, 1]);
    for (const [end, count] of [...cases, [70, 3], [70, 13], [35, 35], [41, 30]]) {
      const cut = { ...whole, tokens: end, query: whole.query.slice(0, end * 4) };
      const { query, key, value } = await onDevice(
        { ...cut, key: whole.key.slice(0, end * 4), value: whole.value.slice(0, end * 4) },
        count,
      );
      const { output } = await mechanism({ query, key, value }, options);
      const rows = expected.slice((end - count) * 4, end * 4);
      expectClose(await output.read(), rows, tolerances.f64, `${count} queries up to ${end}`);
    }
  });

  test('9. every row sees itself, so nothing is NaN', () => {
    for (const pattern of ['power', 'window', 'slash', 'dilated', 'longnet', 'full'] as const) {
      const options = parse({ pattern, blockSize: 3, windowBlocks: 1, sinkBlocks: 0 });
      for (let i = 0; i < 50; i++) expect(allowed(i, i, options)).toBe(true);
      const { output, logSumExp } = powerAttention(random(20), options);
      expect([...output, ...logSumExp].every(Number.isFinite)).toBe(true);
    }
  });

  test.each([
    {
      options: { blockSize: 1, windowBlocks: 1, sinkBlocks: 0 },
      sets: [[0], [0, 1], [0, 1, 2], [1, 2, 3], [0, 2, 3, 4], [1, 3, 4, 5], [2, 4, 5, 6], [3, 5, 6, 7]],
      output: [0, 0.6129, 1.2402, 2, 1.6715, 2.9347, 5.3361, 6.1766],
      logSumExp: [-1.5, -0.0508, 0.9559, 1.0986, 1.3328, 1.3702, 1.8966, 2.5834],
    },
    {
      options: { blockSize: 1, windowBlocks: 2, sinkBlocks: 1 },
      sets: [
        [0],
        [0, 1],
        [0, 1, 2],
        [0, 1, 2, 3],
        [0, 2, 3, 4],
        [0, 1, 3, 4, 5],
        [0, 2, 4, 5, 6],
        [0, 3, 5, 6, 7],
      ],
      output: [0, 0.6129, 1.2402, 1.5, 1.6715, 1.7359, 3.1903, 3.9644],
      logSumExp: [-1.5, -0.0508, 0.9559, 1.3863, 1.3328, 1.8953, 2.411, 3.0268],
    },
    {
      options: { blockSize: 2, windowBlocks: 1, sinkBlocks: 0 },
      sets: undefined,
      output: [0, 0.6129, 1.2402, 1.5, 1.4991, 1.7597, 5.2593, 6.0041],
      logSumExp: undefined,
    },
  ])('worked example: $options', async ({ options, sets, output, logSumExp }) => {
    const inputs = worked(8);
    const parsed = parse(options);
    const { query, key, value } = await onDevice(inputs);
    const actual = await mechanism({ query, key, value }, parsed);
    for (const [out, lse] of [
      [powerAttention(inputs, parsed).output, powerAttention(inputs, parsed).logSumExp],
      [await actual.output.read(), await actual.logSumExp.read()],
    ]) {
      for (const [i, number] of output.entries()) expect(out[i]).toBeCloseTo(number, 4);
      for (const [i, number] of (logSumExp ?? []).entries()) expect(lse[i]).toBeCloseTo(number, 4);
    }
    for (const [i, set] of (sets ?? []).entries())
      expect(Array.from({ length: 8 }, (_, j) => j).filter((j) => allowed(i, j, parsed))).toEqual(set);
  });
});

describe('patterns to compare with', () => {
  test('at an equal budget each has ten blocks in the last of 128 rows', () => {
    for (const pattern of ['power', 'window', 'slash', 'dilated', 'longnet'] as const)
      expect(countBlocks(128, equalBudget(pattern, 128, usual)).lastRow).toBe(10);
    expect(equalBudget('window', 128, usual).windowBlocks).toBe(9);
    expect(equalBudget('slash', 128, usual).period).toBe(31);
  });

  test('dilated and LongNet leave holes that no depth fills', () => {
    const dilated = reachDepths({ ...usual, pattern: 'dilated', sinkBlocks: 0 }, 127);
    for (let block = 0; block < 128; block++)
      expect(dilated[block] === UNREACHED).toBe((127 - block) % 2 === 1);
    expect(layersToReachAll(equalBudget('longnet', 128, usual), 128)).toBe(UNREACHED);
    expect(coverage(dilated, 64).holes).toBeGreaterThan(0);
    expect(coverage(reachDepths(usual, 127), 2).holes).toBeGreaterThan(0);
    expect(coverage(reachDepths(usual, 127), 6)).toEqual({ reached: 128, contiguous: 128, holes: 0 });
  });

  test('a relay goes along seen blocks and is as long as the depth', () => {
    for (const source of [0, 1, 37, 100, 127]) {
      const path = relayPath(bare, source, 127);
      expect([path[0], path[path.length - 1]]).toEqual([127, source]);
      expect(path).toHaveLength(binaryOnes(127 - source) + 1);
      for (let step = 1; step < path.length; step++)
        expect(rowBlocks(path[step - 1], bare)).toContain(path[step]);
    }
    expect(relayPath({ ...usual, pattern: 'dilated', sinkBlocks: 0 }, 2, 5)).toEqual([]);
    expect(relayPath(bare, 9, 5)).toEqual([]);
  });
});

describe('bad input and edges', () => {
  test.each([
    [{ causal: false }, 'power-attention is causal: causal is false; allowed: true'],
    [{ blockSize: 0 }, 'blockSize'],
    [{ blockSize: 1.5 }, 'blockSize'],
    [{ windowBlocks: 0 }, 'windowBlocks'],
    [{ sinkBlocks: -1 }, 'sinkBlocks'],
    [{ period: 0 }, 'period'],
    [{ pattern: 'spiral' }, 'pattern'],
    [{ grid: [] }, 'grid'],
    [{ window: 3 }, 'window'],
  ])('%j is refused', (options, words) => {
    const result = paper.options.safeParse(options);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(words);
  });

  test('a grid that is not the tokens, and more queries than keys, are refused before anything runs', async () => {
    const { device, query, key, value } = await onDevice(random(12));
    await expect(mechanism({ query, key, value }, parse({ grid: [3, 5] }))).rejects.toThrow(
      'power-attention: grid is [3, 5], 15 tokens; allowed: a product of 12',
    );
    const long = device.tensor(new Float64Array(13 * 4), [1, 1, 13, 4]);
    await expect(mechanism({ query: long, key, value }, parse())).rejects.toBeInstanceOf(ArgumentError);
  });

  test('a sink inside the window is listed once', () => {
    expect(rowBlocks(2, { ...usual, sinkBlocks: 3 })).toEqual([0, 1, 2]);
  });

  test('a sequence of one block is dense causal attention', () => {
    const inputs = random(9);
    expectClose(
      powerAttention(inputs, parse({ blockSize: 16, windowBlocks: 1, sinkBlocks: 0 })).output,
      powerAttention(inputs, parse({ pattern: 'full' })).output,
      tolerances.f64,
    );
  });

  test('NaN goes along edges only', async () => {
    const options = parse({ blockSize: 1, windowBlocks: 1, sinkBlocks: 0 });
    const inputs = random(20);
    inputs.value.fill(Number.NaN, 4 * 4, 5 * 4);
    const { query, key, value } = await onDevice(inputs);
    const output = await (await mechanism({ query, key, value }, options)).output.read();
    for (let i = 0; i < 20; i++) expect(Number.isNaN(output[i * 4])).toBe(allowed(i, 4, options));
  });

  test('the fitted options run on a text', async () => {
    const { query, key, value } = await onDevice(random(50));
    const { attended } = await mechanism({ query, key, value }, parse(paper.fit([50])));
    expect(attended.plan?.keyTokens).toBe(50);
  });
});
