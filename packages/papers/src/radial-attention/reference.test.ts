import {
  ArgumentError,
  attend,
  attendGradientsReference,
  blockListPlan,
  checkAttend,
  mergeAttention,
  openDevice,
} from '@saccade/attention';
import { expectClose, randomArray, randomNumbers, tolerances } from '@saccade/attention/testing';
import { describe, expect, test } from 'vitest';
import type { ReferenceInputs } from '../kit/paper.ts';
import { bandWidth, blockMask } from './block-mask.ts';
import { radialAttention as mechanism, radialPlan } from './mechanism.ts';
import { type Options, paper } from './paper.ts';
import { drawBlockMask, radialAttention, tokenAllowed } from './reference.ts';
import { density, equalReach, fitDecay, headErrors, maskWidths } from './statistics.ts';
import { bandWidths, countEntries, EVERYTHING, NOTHING, touchedBlocks } from './token-mask.ts';
import { hunyuan, latentFrames, modelTimesFewerOperations, wan } from './video-models.ts';

const parse = (options: unknown = {}): Options => paper.options.parse(options) as Options;

/** q = 0.5 (i − 3), k = cos i, v = i. */
const worked: ReferenceInputs = {
  batch: 1,
  heads: 1,
  keyHeads: 1,
  tokens: 8,
  headDim: 1,
  query: Float64Array.from({ length: 8 }, (_, i) => 0.5 * (i - 3)),
  key: Float64Array.from({ length: 8 }, (_, i) => Math.cos(i)),
  value: Float64Array.from({ length: 8 }, (_, i) => i),
};

const random = (tokens: number, heads = 1, headDim = 4): ReferenceInputs => {
  const make = (seed: number) => Float64Array.from(randomArray(seed, [heads, tokens, headDim]));
  return { batch: 1, heads, keyHeads: heads, tokens, headDim, query: make(1), key: make(2), value: make(3) };
};

async function onDevice({ batch, heads, keyHeads, tokens, headDim, query, key, value }: ReferenceInputs) {
  const device = await openDevice('reference');
  return {
    query: device.tensor(query, [batch, heads, tokens, headDim]),
    key: device.tensor(key, [batch, keyHeads, tokens, headDim]),
    value: device.tensor(value, [batch, keyHeads, tokens, headDim]),
  };
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const rowsOf = ({ side, kept }: { side: number; kept: Uint8Array }) =>
  range(side).map((row) =>
    Array.from(kept.slice(row * side, (row + 1) * side), (one) => (one ? '#' : '.')).join(''),
  );

describe('exact checks', () => {
  test.each([
    { grid: [1, 20], mask: 'tokens' },
    { grid: [2, 10], mask: 'tokens' },
    { grid: [1, 20], mask: 'blocks', blockSize: 4 },
    { grid: [2, 10], mask: 'blocks', blockSize: 5 },
  ])('1. one or two frames are dense attention: $mask, $grid', async (given) => {
    const inputs = random(20, 2);
    const tensors = await onDevice(inputs);
    const dense = await attend(tensors.query, tensors.key, tensors.value);
    expectClose(
      radialAttention(inputs, parse(given)).output,
      await dense.output.read(),
      tolerances.f64,
      'reference',
    );
    const { output } = await mechanism(tensors, parse(given));
    expectClose(await output.read(), await dense.output.read(), tolerances.f64, 'mechanism');
  });

  test('1. frames of one token see the first, themselves and powers of two', () => {
    for (let i = 0; i < 70; i++) {
      for (let j = 0; j < 70; j++) {
        const d = Math.abs(i - j);
        const power = d > 0 && Number.isInteger(Math.log2(d));
        expect(tokenAllowed(i, j, 1, true)).toBe(j === 0 || d === 0 || power);
      }
    }
  });

  test('2. without sink the token mask is symmetric, sees itself, and depends on distances only', () => {
    const [frames, s] = [9, 5];
    for (let a = 0; a < frames * s; a++) {
      expect(tokenAllowed(a, a, s, false)).toBe(true);
      for (let b = 0; b < frames * s; b++) {
        const seen = tokenAllowed(a, b, s, false);
        expect(tokenAllowed(b, a, s, false)).toBe(seen);
        const later = Math.max(a, b) + s < frames * s;
        if (later) expect(tokenAllowed(a + s, b + s, s, false)).toBe(seen);
        const inFrame = Math.max(a % s, b % s) + 1 < s;
        if (inFrame) expect(tokenAllowed(a + 1, b + 1, s, false)).toBe(seen);
      }
    }
  });

  test.each([
    [4, 4, 232, 220],
    [8, 4, 712, 652],
    [12, 4, 1296, 1180],
    [16, 8, 8400, 7744],
    [32, 8, 21264, 19648],
    [64, 8, 51152, 47552],
    [128, 4, 28072, 26156],
  ])('3. %i frames of %i tokens: %i pairs with sink, %i without', (frames, perFrame, withSink, without) => {
    const tokens = range(frames * perFrame);
    for (const [sink, expected] of [
      [true, withSink],
      [false, without],
    ] as const) {
      expect(countEntries({ frames, perFrame, sink })).toBe(expected);
      let counted = 0;
      for (const i of tokens) for (const j of tokens) if (tokenAllowed(i, j, perFrame, sink)) counted++;
      expect(counted).toBe(expected);
      expect(expected).toBeLessThanOrEqual(4 * perFrame ** 2 * frames * Math.log2(frames));
    }
  });

  test('4. frames of four tokens: full, band of one, diagonal, then every second frame', () => {
    expect([...bandWidths(13, 4)]).toEqual([3, 3, 1, 1, 0, 0, 0, 0, 0, -1, 0, -1, 0]);
    for (const d of range(13)) {
      for (const k of range(4)) {
        for (const l of range(4)) {
          const expected = d <= 1 || (d <= 3 && Math.abs(k - l) <= 1) || (k === l && (d < 8 || d % 2 === 0));
          expect(tokenAllowed(d * 4 + k, l, 4, false)).toBe(expected);
        }
      }
    }
  });

  test.each([
    { frames: 64, perFrame: 3600, decay: 1, sink: true, sparsity: 0.8083, kept: undefined },
    { frames: 128, perFrame: 3600, decay: 1, sink: true, sparsity: 0.8837, kept: undefined },
    { frames: 30, perFrame: 3840, decay: 0.95, sink: false, sparsity: 0.7254, kept: 222_452 },
    { frames: 18, perFrame: 3840, decay: 0.2, sink: true, sparsity: 0.7129, kept: 83_728 },
    { frames: 18, perFrame: 3840, decay: 1, sink: true, sparsity: 0.5691, kept: undefined },
  ])('5. sparsity $sparsity of $frames frames of $perFrame tokens, decay $decay', (given) => {
    const mask = blockMask({ ...given, blockSize: 128 });
    expect(mask.sparsity).toBeCloseTo(given.sparsity, 4);
    if (given.kept) expect(mask.keptBlocks).toBe(given.kept);
  });

  test('5. sparsity 0.7401 of 41 frames, counted without the tail that the program drops', () => {
    const mask = blockMask({ frames: 41, perFrame: 3600, decay: 1, sink: true, blockSize: 128 });
    expect(mask.side).toBe(1154);
    const tail = 2 * 1153 + 1;
    expect(1 - (mask.keptBlocks - tail) / 1153 ** 2).toBeCloseTo(0.7401, 4);
  });

  test('5. all blocks of the two scripts: 810 000 and 291 600', () => {
    expect(((30 * 3840) / 128) ** 2).toBe(810_000);
    expect(blockMask({ frames: 18, perFrame: 3840, decay: 0.2, sink: true, blockSize: 128 }).side ** 2).toBe(
      291_600,
    );
  });

  test('6. widths and thinning at 3840 tokens a frame', () => {
    const at = (distance: number) => bandWidth(distance, { perFrame: 3840, blockSize: 128, decay: 1 });
    for (let d = 0; d < 128; d++) {
      const kept = d < 32 || (d < 64 ? d % 2 === 0 : d % 4 === 0);
      const width = d < 2 ? 3840 : d < 4 ? 1024 : d < 8 ? 512 : d < 16 ? 256 : 128;
      expect(at(d)).toBe(kept ? width : -1);
    }
  });

  test('6. decay scales widths and never the thinning', () => {
    const geometry = { perFrame: 3840, blockSize: 128 };
    for (let d = 2; d < 128; d++) {
      const [full, half] = [1, 0.5].map((decay) => bandWidth(d, { ...geometry, decay }));
      expect(half).toBe(full < 0 ? -1 : Math.max(128, full / 2));
    }
  });

  test.each([
    {
      given: { frames: 8, perFrame: 256, decay: 1, sink: true },
      kept: 232,
      rows: [
        '##########..##..',
        '##########..##..',
        '############..##',
        '############..##',
        '##############..',
        '##############..',
        ...range(6).map(() => '################'),
        '##..############',
        '##..############',
        '####..##########',
        '####..##########',
      ],
    },
    { given: { frames: 16, perFrame: 256, decay: 1, sink: true }, kept: 704, rows: undefined },
    { given: { frames: 8, perFrame: 256, decay: 0.5, sink: false }, kept: 224, rows: undefined },
    {
      given: { frames: 6, perFrame: 192, decay: 1, sink: true },
      kept: 75,
      rows: [
        '#####.##.',
        '#########',
        '######.##',
        '########.',
        '#########',
        '#########',
        '##.######',
        '#########',
        '###.#####',
      ],
    },
  ])(
    '7. block map of $given.frames frames of $given.perFrame, decay $given.decay',
    ({ given, kept, rows }) => {
      const mask = blockMask({ ...given, blockSize: 128 });
      expect(mask.keptBlocks).toBe(kept);
      if (rows) expect(rowsOf(mask)).toEqual(rows);
    },
  );

  test.each([
    { frames: 7, perFrame: 12, blockSize: 4, decay: 1, sink: true, textTokens: 0 },
    { frames: 9, perFrame: 11, blockSize: 4, decay: 0.7, sink: false, textTokens: 3 },
    { frames: 13, perFrame: 3, blockSize: 8, decay: 1, sink: false, textTokens: 0 },
    { frames: 5, perFrame: 17, blockSize: 5, decay: 0.3, sink: true, textTokens: 9 },
    { frames: 20, perFrame: 5, blockSize: 2, decay: 2, sink: true, textTokens: 1 },
  ])('7. intervals give the map that is drawn pixel by pixel: %j', (given) => {
    const { frames, perFrame, ...rest } = given;
    const { textTokens } = rest;
    const video = frames * perFrame;
    const options = parse({ ...rest, grid: [frames, perFrame], mask: 'blocks' });
    const drawn = drawBlockMask(video + textTokens, video, frames, options);
    expect(rowsOf(blockMask(given))).toEqual(
      drawn.map((row) => row.map((one) => (one ? '#' : '.')).join('')),
    );
  });

  test('7. two geometries in turn: the second does not meet the first one’s mask', () => {
    const first = { frames: 8, perFrame: 256, blockSize: 128, decay: 1, sink: true };
    const alone = blockMask({ ...first, decay: 0.1 }).keptBlocks;
    blockMask(first);
    expect(blockMask({ ...first, decay: 0.1 }).keptBlocks).toBe(alone);
    expect(blockMask(first).keptBlocks).toBe(232);
  });

  test('8. the masked, renormalised row is off by twice the mass outside', () => {
    const [frames, s] = [8, 6];
    const next = randomNumbers(5);
    for (const query of [0, 17, 47]) {
      const weights = range(frames * s).map(() => Math.exp(2 * next()));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const dense = weights.map((weight) => weight / total);
      const seen = dense.map((_, j) => tokenAllowed(query, j, s, true));
      const mass = dense.reduce((sum, weight, j) => sum + (seen[j] ? weight : 0), 0);
      const masked = dense.map((weight, j) => (seen[j] ? weight / mass : 0));
      const l1 = dense.reduce((sum, weight, j) => sum + Math.abs(masked[j] - weight), 0);
      expect(mass).toBeLessThan(1);
      expect(l1).toBeCloseTo(2 * (1 - mass), 6);
    }
  });

  test.each([{ mask: 'tokens' }, { mask: 'blocks' }])(
    '8. gradients equal central differences, $mask',
    async ({ mask }) => {
      const options = parse({ mask, grid: [6, 3], blockSize: 2, sink: false });
      const inputs = random(18, 1, 2);
      const { query, key, value } = await onDevice(inputs);
      const outputGradient = randomArray(9, [18, 2]);
      const gradients = await attendGradientsReference(
        checkAttend(query, key, value, { plan: radialPlan(18, options) }),
        outputGradient,
      );
      const loss = (changed: ReferenceInputs) =>
        radialAttention(changed, options).output.reduce((sum, out, i) => sum + out * outputGradient[i], 0);
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
    },
  );

  test('9. video by the mask and text dense, merged, equal one softmax over the union', async () => {
    const options = parse({ grid: [6, 4], textTokens: 5, blockSize: 4, sink: false });
    const inputs = random(29);
    const { query, key, value } = await onDevice(inputs);
    const whole = radialAttention(inputs, options);
    const layout = { slots: 29, block: 1 };
    const part = (keep: (i: number, j: number) => boolean) =>
      attend(query, key, value, {
        plan: blockListPlan({
          name: 'part',
          queryTokens: 29,
          keyTokens: 29,
          queries: layout,
          keys: layout,
          lists: range(29).map((i) =>
            range(29)
              .filter((j) => keep(i, j))
              .map((block) => ({ block })),
          ),
        }),
      });
    const merged = await mergeAttention([
      await part((i, j) => j < 24 && (i >= 24 || tokenAllowed(i, j, 4, false))),
      await part((_, j) => j >= 24),
    ]);
    expectClose(await merged.output.read(), whole.output, tolerances.f64);
    expectClose(await merged.logSumExp.read(), whole.logSumExp, tolerances.f64);
  });

  test('worked example: four frames of two tokens, with and without sink', async () => {
    const sets = [
      [0, 1, 2, 3, 4, 6],
      [0, 1, 2, 3, 5, 7],
      [0, 1, 2, 3, 4, 5, 6],
      [0, 1, 2, 3, 4, 5, 7],
      range(8),
      range(8),
      [0, 1, 2, 4, 5, 6, 7],
      [0, 1, 3, 4, 5, 6, 7],
    ];
    sets.forEach((set, i) => {
      expect(range(8).filter((j) => tokenAllowed(i, j, 2, true))).toEqual(set);
    });
    const without = [
      [0, 2, 3, 4, 5, 6, 7],
      [1, 2, 3, 4, 5, 6, 7],
      [0, 2, 4, 5, 6, 7],
      [1, 3, 4, 5, 6, 7],
    ];
    without.forEach((set, i) => {
      expect(range(8).filter((j) => tokenAllowed(i + 4, j, 2, false))).toEqual(set);
    });
    const first = [2.995, 2.9378, 3.0563, 3.1429];
    const firstSums = [2.2877, 1.8534, 1.9622, 1.9459];
    for (const [sink, output, logSumExp] of [
      [true, [...first, 3.5711, 3.6029, 3.6073, 3.5986], [...firstSums, 2.233, 2.4892, 2.8029, 3.1717]],
      [false, [...first, 3.9912, 4.6523, 4.019, 5.2141], [...firstSums, 2.0817, 2.2336, 2.6563, 2.8009]],
    ] as const) {
      const options = parse({ grid: [4, 2], sink, blockSize: 3 });
      const slow = radialAttention(worked, options);
      const fast = await mechanism(await onDevice(worked), options);
      for (const [out, sums] of [
        [slow.output, slow.logSumExp],
        [await fast.output.read(), await fast.logSumExp.read()],
      ]) {
        for (const i of range(8)) {
          // rows of the first two frames lose nothing without the sink
          expect(out[i]).toBeCloseTo(output[i], 4);
          expect(sums[i]).toBeCloseTo(logSumExp[i], 4);
        }
      }
    }
  });
});

describe('lists of the token mask', () => {
  test.each([
    [9, 5, 4, 0],
    [3, 17, 8, 3],
    [20, 1, 6, 1],
    [6, 8, 8, 0],
  ])('%i frames of %i tokens in blocks of %i, %i of text', (frames, perFrame, blockSize, textTokens) => {
    for (const sink of [true, false]) {
      const video = frames * perFrame;
      const tokens = video + textTokens;
      const touched = touchedBlocks(tokens, blockSize, { frames, perFrame, sink });
      const side = Math.ceil(tokens / blockSize);
      const inBlock = (block: number) =>
        range(tokens).filter((token) => Math.floor(token / blockSize) === block);
      for (const row of range(side)) {
        for (const column of range(side)) {
          const pairs = inBlock(row).flatMap((i) =>
            inBlock(column).map((j) => i >= video || j >= video || tokenAllowed(i, j, perFrame, sink)),
          );
          const state = touched[row * side + column];
          expect(state !== NOTHING).toBe(pairs.includes(true));
          expect(state === EVERYTHING).toBe(!pairs.includes(false));
        }
      }
    }
  });
});

describe('statistics', () => {
  const geometry = { frames: 32, perFrame: 64 };

  test('windows at the budget of the radial mask, and their densities', () => {
    const reach = equalReach(geometry);
    expect(reach).toEqual({ frames: 6, positions: 13 });
    expect(density('radial', geometry, reach)).toBeCloseTo(0.387, 3);
    expect(density('frames', geometry, reach)).toBeCloseTo(0.39, 3);
    expect(density('diagonal', geometry, reach)).toBeCloseTo(0.397, 3);
    const entries = countEntries({ ...geometry, sink: true });
    expect(entries / (32 * 64) ** 2).toBeCloseTo(density('radial', geometry, reach), 12);
  });

  test('a mask that keeps everything loses nothing', () => {
    const everything = maskWidths('frames', geometry, { frames: 31, positions: 0 });
    const errors = headErrors({ time: 0.1, space: 0.1 }, geometry, [everything], Math.random, 100);
    expect(errors[0]).toBeCloseTo(0, 10);
  });

  test('decays are found again from a map', () => {
    const weights = range(32 * 64).map((token) =>
      Math.exp(-0.3 * Math.abs(Math.floor(token / 64) - 4) - 0.05 * Math.abs((token % 64) - 9)),
    );
    const fit = fitDecay(weights, 4 * 64 + 9, geometry);
    expect(fit.time).toBeCloseTo(0.3, 8);
    expect(fit.space).toBeCloseTo(0.05, 8);
    expect(fit.rSquared).toBeCloseTo(1, 8);
  });

  test('sizes of the video models, and what the mask saves of a whole one', () => {
    expect([latentFrames(117), latentFrames(69), hunyuan.perFrame, wan.perFrame]).toEqual([
      30, 18, 3840, 3840,
    ]);
    // by hand: attention is 115 200 / (115 200 + 6 · 3072) = 0.862 of a layer, 38 of 50 steps are sparse
    expect(modelTimesFewerOperations(hunyuan)).toBeCloseTo(
      1 / (0.24 + 0.76 * (1 - (115_200 / 133_632) * (1 - 222_452 / 810_000))),
      10,
    );
  });
});

describe('bad input and edges', () => {
  test.each([
    [{ grid: [0, 4] }, 'grid'],
    [{ grid: [4, 0] }, 'grid'],
    [{ grid: [4.5] }, 'grid'],
    [{ decay: 0 }, 'decay'],
    [{ decay: -1 }, 'decay'],
    [{ blockSize: 0 }, 'blockSize'],
    [{ textTokens: -1 }, 'textTokens'],
    [{ mask: 'ring' }, 'mask'],
    [{ frames: 4 }, 'frames'],
  ])('%j is refused', (options, words) => {
    const result = paper.options.safeParse(options);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(words);
  });

  test.each([
    [{ grid: [3, 5] }, 'radial-attention: grid is [3, 5], 15 tokens; allowed: a product of 12'],
    [{ grid: [3, 4], textTokens: 2 }, 'allowed: a product of 10: 12 tokens less 2 of text'],
    [{ textTokens: 12 }, 'textTokens is 12; allowed: less than the 12 tokens'],
  ])('%j does not fit 12 tokens', async (given, words) => {
    await expect(mechanism(await onDevice(random(12)), parse(given))).rejects.toThrow(words);
  });

  test('queries and keys of different numbers are refused', async () => {
    const { key, value } = await onDevice(random(12));
    const { query } = await onDevice(random(6));
    await expect(mechanism({ query, key, value }, parse())).rejects.toBeInstanceOf(ArgumentError);
  });

  test('tiny frames: deleted diagonals are forced on, counted and named', async () => {
    const given = { frames: 12, perFrame: 20, blockSize: 128, decay: 1, sink: false };
    const mask = blockMask(given);
    expect(mask.forcedDiagonals).toBeGreaterThan(0);
    for (const row of range(mask.side)) expect(mask.kept[row * mask.side + row]).toBe(1);
    const plan = radialPlan(240, parse({ mask: 'blocks', grid: [12, 20], blockSize: 128, sink: false }));
    expect(plan.name).toContain('forced on');
  });

  test('the tail that is shorter than a block sees and is seen', () => {
    const mask = blockMask({ frames: 5, perFrame: 10, blockSize: 8, decay: 1, sink: false });
    expect(mask.side).toBe(7);
    for (const other of range(7)) {
      expect(mask.kept[6 * 7 + other]).toBe(1);
      expect(mask.kept[other * 7 + 6]).toBe(1);
    }
  });

  test.each([[[12]], [[6, 8]], [[5, 16, 16]]])('the fitted options fit %j', async (grid) => {
    const tokens = grid.reduce((product, length) => product * length, 1);
    expect(radialPlan(tokens, parse(paper.fit(grid))).keyTokens).toBe(tokens);
  });
});
