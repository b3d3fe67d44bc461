import { describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { ArgumentError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { listsOf } from '../testing/cases.ts';
import { randomArray } from '../testing/close.ts';
import { blockMean, blockMoments, blockScores } from './blocks.ts';
import { assignClusters, updateCentroids } from './clusters.ts';
import { compact, groupBySegment, invertLists, segmentMean } from './lists.ts';
import { gatherRows, mergeSlots } from './slots.ts';
import { headThreshold, topK, topP } from './top.ts';
import { massOfShare, WEIGHT_ONE, weightOf } from './weights.ts';

const device = await openDevice('reference');
const tensor = (...shape: number[]) => device.tensor(randomArray(1, shape), shape, 'f32');
const row = (scores: readonly number[]) => device.tensor(scores, [1, 1, 1, scores.length], 'f32');
const scores = tensor(1, 2, 6, 6);

describe('what is chosen', () => {
  test('top k takes the lower of equals, and NaN last', async () => {
    const selected = await topK(row([1, Number.NaN, 2, 2, 2, -Infinity]), { k: 2 });
    expect((await listsOf(selected)).entries).toEqual([2, 3]);
    const all = await topK(row([Number.NaN, -1, -Infinity]), { k: 2 });
    expect((await listsOf(all)).entries).toEqual([0, 1]);
  });

  test('forced columns count, and stay within the candidates', async () => {
    const selected = await topK(tensor(1, 1, 9, 9), { k: 3, causal: true, sink: 1, local: 2 });
    const { counts, entries } = await listsOf(selected);
    expect(counts).toEqual([1, 2, 3, 3, 3, 3, 3, 3, 3]);
    let at = 0;
    counts.forEach((count, own) => {
      const list = entries.slice(at, at + count);
      at += count;
      expect(list).toContain(0);
      expect(list).toContain(own);
      expect(list).toContain(Math.max(own - 1, 0));
      expect(Math.max(...list)).toBeLessThanOrEqual(own);
    });
  });

  test('top p takes the fewest columns that reach the mass', async () => {
    const logs = [0.5, 0.1, 0.25, 0.15].map(Math.log);
    for (const [p, expected] of [
      [0.4, [0]],
      [0.6, [0, 2]],
      [0.8, [0, 2, 3]],
      [1, [0, 1, 2, 3]],
    ] as const)
      expect((await listsOf(await topP(row(logs), { p }))).entries).toEqual(expected);
  });

  test('a row that may see nothing takes nothing by mass', async () => {
    const nothing = row([-Infinity, Number.NaN]);
    expect((await listsOf(await topP(nothing, { p: 0.5, atLeast: 0 }))).counts).toEqual([0]);
    expect((await listsOf(await topP(nothing, { p: 0.5 }))).counts).toEqual([1]);
  });

  test('a head threshold leaves rows without any', async () => {
    const data = Float32Array.of(9, 8, 7, 1, 1, 1, 5, 1, 6);
    const selected = await headThreshold(device.tensor(data, [1, 1, 3, 3], 'f32'), { keep: 5 });
    expect(await listsOf(selected)).toEqual({ counts: [3, 0, 2], entries: [0, 1, 2, 0, 2] });
  });

  test('a fraction is of the candidates', async () => {
    const counts = async (fraction: number) =>
      (await listsOf(await headThreshold(tensor(1, 1, 8, 8), { fraction, causal: true }))).entries.length;
    expect(await counts(0.5)).toBe(18); // of 36
    expect(await counts(0.001)).toBe(1);
  });
});

describe('weights', () => {
  test('follow the exponential within 2^-16 of themselves and 2^-24', () => {
    for (let d = 0; d < 20; d += 0.0137) {
      const exact = Math.exp(-d) * WEIGHT_ONE;
      expect(Math.abs(weightOf(-d, 0) - exact)).toBeLessThan(exact * 2 ** -15 + 1.5);
    }
    expect(weightOf(Number.NaN, 3)).toBe(0);
    expect(weightOf(Infinity, Infinity)).toBe(WEIGHT_ONE);
    expect(weightOf(3, Infinity)).toBe(0);
  });

  test('a share of a total is exact', () => {
    const total = 2 ** 43 + 12345;
    expect(BigInt(massOfShare(total, 58982))).toBe((BigInt(total) * 58982n) >> 16n);
    expect(massOfShare(total, 65536)).toBe(total);
  });
});

describe('bad input', () => {
  const ids = device.tensor(Uint32Array.of(0, 1, 1), [1, 1, 3]);
  const twoHeads = device.tensor(Uint32Array.of(0, 1), [1, 2, 1]);
  const lists = async () => topK(scores, { k: 2 });
  const disposed = tensor(1, 1, 2, 2);
  disposed.dispose();
  test.each<[string, () => Promise<unknown>, string]>([
    ['k beyond the columns', () => topK(scores, { k: 7 }), 'k is 7; allowed: an integer from 1 to 6'],
    ['k of 0', () => topK(scores, { k: 0 }), 'k is 0'],
    ['k that is no number', () => topK(scores, { k: Number.NaN }), 'k is NaN'],
    [
      'more forced than k',
      () => topK(scores, { k: 2, sink: 1, local: 2 }),
      'k is 2; allowed: at least the 3',
    ],
    ['a sink beyond the columns', () => topK(scores, { k: 6, sink: 7 }), 'sink is 7; allowed: at most the 6'],
    ['a local window below 0', () => topK(scores, { k: 2, local: -1 }), 'local is -1'],
    ['rows without own column', () => topK(tensor(1, 1, 7, 6), { k: 2, causal: true }), 'own column is 6'],
    ['rows per column of 0', () => topK(scores, { k: 2, rowsPerColumn: 0 }), 'rowsPerColumn is 0'],
    ['scores of three axes', () => topK(tensor(1, 6, 6), { k: 2 }), 'scores is of shape [1, 6, 6]'],
    ['scores of whole numbers', () => compactScores(), 'scores is of dtype u32'],
    ['a disposed tensor', () => topK(disposed, { k: 1 }), 'a disposed tensor'],
    ['a p of 0', () => topP(scores, { p: 0 }), 'p is 0; allowed: a number from 2^-16 to 1'],
    ['a p above 1', () => topP(scores, { p: 1.1 }), 'p is 1.1'],
    ['a p that is NaN', () => topP(scores, { p: Number.NaN }), 'p is NaN'],
    ['atLeast beyond atMost', () => topP(scores, { p: 0.5, atLeast: 4, atMost: 3 }), 'atLeast is 4'],
    ['forced beyond atMost', () => topP(scores, { p: 0.5, atMost: 1, sink: 2 }), 'atMost is 1'],
    ['a head threshold without a number', () => headThreshold(scores, {}), 'keep is undefined'],
    ['two numbers', () => headThreshold(scores, { keep: 3, fraction: 0.5 }), 'keep is 3 with fraction 0.5'],
    [
      'more than the pairs',
      () => headThreshold(scores, { keep: 37 }),
      'keep is 37; allowed: an integer from 0 to 36',
    ],
    ['fewer than the forced', () => headThreshold(scores, { keep: 5, local: 1 }), 'keep is 5'],
    ['a fraction above 1', () => headThreshold(scores, { fraction: 2 }), 'fraction is 2'],
    ['a mask of numbers', () => compact(scores), 'mask is of dtype f32; allowed: u32'],
    ['columns that are none', async () => invertLists(await lists(), -1), 'columns is -1'],
    [
      'lists whose sizes disagree',
      async () => invertLists({ ...(await lists()), listHeads: 1 }, 6),
      'lists.rows is of shape [1, 2, 6, 2]',
    ],
    ['ids of other heads', () => gatherRows(tensor(1, 3, 4, 2), twoHeads), 'heads of ids is 2'],
    [
      'odd rows of f16',
      () => gatherRows(device.tensor([1, 2, 3], [1, 1, 1, 3], 'f16'), ids),
      'input is f16 with headDim 3; allowed: an even headDim',
    ],
    [
      'sums of other slots',
      async () => mergeSlots({ output: tensor(1, 2, 5, 2), logSumExp: tensor(1, 2, 4) }, await lists()),
      'logSumExp is of shape [1, 2, 4]; allowed: [1, 2, 5]',
    ],
    ['segments of 0', () => groupBySegment(ids, 0), 'segments is 0'],
    ['ids of numbers', () => groupBySegment(tensor(1, 1, 3), 2), 'ids is of dtype f32'],
    [
      'members of other heads',
      async () => segmentMean(tensor(1, 3, 6, 2), await lists()),
      'heads of members is 2; allowed: a divisor of the 3 heads',
    ],
    [
      'centroids of another headDim',
      () => assignClusters(tensor(1, 1, 5, 4), tensor(1, 1, 2, 3)),
      'centroids is of shape [1, 1, 2, 3]; allowed: [1, 1, 2, 4]',
    ],
    [
      'clusters of other points',
      () => updateCentroids(tensor(1, 1, 5, 4), ids, tensor(1, 1, 2, 4)),
      'clusters is of shape [1, 1, 3]',
    ],
    ['a block of 0', () => blockMean(tensor(1, 1, 4, 2), { slots: 4, block: 0 }), 'layout.block is 0'],
    ['too many slots', () => blockMoments(tensor(1, 1, 4, 2), { slots: 5, block: 2 }), 'layout.slots is 5'],
    [
      'heads that do not divide',
      () => blockScores(tensor(1, 4, 2, 2), tensor(1, 3, 2, 2)),
      'key is of shape [1, 3, 2, 2]',
    ],
    [
      'a scale that is not finite',
      () => blockScores(tensor(1, 1, 2, 2), tensor(1, 1, 2, 2), { scale: Infinity }),
      'scale is Infinity',
    ],
  ])('%s', async (_name, call, message) => {
    await expect(call()).rejects.toThrow(ArgumentError);
    await expect(call()).rejects.toThrow(message);
  });

  function compactScores(): Promise<unknown> {
    const whole: Tensor = device.tensor(Uint32Array.of(1, 2), [1, 1, 1, 2]);
    return topK(whole, { k: 1 });
  }
});
