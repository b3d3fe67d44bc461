import { describe, expect, test } from 'vitest';
import { boxesOf } from '../kit/boxes.ts';
import { type Axis, windowOf } from '../kit/windows.ts';
import { endToEnd, isPerfect, isPerfectByRule, simulate, simulateRuns, strideSearch } from './simulator.ts';

const axes = (n: number[], w: number[], s: number[]): Axis[] =>
  n.map((length, a) => ({ length, window: w[a], stride: s[a], dilation: 1, causal: false }));
const run = (
  n: number[],
  w: number[],
  s: number[],
  queryTile: number[],
  keyTile: number[],
  keyTiling: 'static' | 'dynamic' = 'static',
) => simulate({ axes: axes(n, w, s), queryTile, keyTile, keyTiling });
const worst = (visited: readonly number[]) => visited.reduce((a, b) => Math.max(a, b), 0);

describe('9: settings of the paper', () => {
  test.each([
    [[1, 1, 1], 275, 3.273, 1.73],
    [[2, 1, 1], 250, 3.6, 1.78],
    [[1, 1, 8], 165, 5.455, 1.98],
    [[2, 1, 8], 150, 6, 2.02],
    [[1, 8, 8], 99, 9.091, 2.18],
    [[2, 8, 8], 90, 10, 2.2],
    [[16, 8, 8], 81, 11.111, 2.23],
    [[18, 24, 24], 135, 6.667, 2.07],
  ])('HunyuanVideo, stride %j', (stride, tiles, speedup, end) => {
    const result = run([30, 48, 80], [18, 24, 24], stride, [4, 8, 8], [2, 8, 8]);
    expect(result.dense).toBe(900);
    expect(worst(result.visited)).toBe(tiles);
    expect(result.speedup).toBeCloseTo(speedup, 3);
    expect(endToEnd(result.speedup, 0.607)).toBeCloseTo(end, 2);
    expect(result.perfect).toBe(tiles === 81);
  });
  test.each([
    [[1, 1], 84, 6.095, 1.76],
    [[16, 1], 60, 8.533, 1.84],
    [[16, 16], 50, 10.24, 1.88],
  ])('FLUX, stride %j', (stride, tiles, speedup, end) => {
    const result = run([256, 256], [80, 80], stride, [16, 16], [16, 8]);
    expect(result.dense).toBe(512);
    expect(worst(result.visited)).toBe(tiles);
    expect(result.speedup).toBeCloseTo(speedup, 3);
    expect(endToEnd(result.speedup, 0.518)).toBeCloseTo(end, 2);
    expect(result.perfect).toBe(tiles === 50);
  });
  test.each([
    [[1, 1, 1], 5.24, 1.9],
    [[1, 8, 1], 6.11, 1.96],
    [[1, 1, 16], 7.86, 2.05],
    [[1, 8, 16], 9.17, 2.1],
  ])('Cosmos, stride %j', (stride, speedup, end) => {
    const result = run([16, 44, 80], [16, 24, 16], stride, [8, 4, 8], [4, 4, 8]);
    expect(result.speedup).toBeCloseTo(speedup, 2);
    expect(endToEnd(result.speedup, 0.587)).toBeCloseTo(end, 2);
  });
  test('1-D: 17 tiles at stride 1, and 256 is the smallest perfect stride', () => {
    const at = (s: number) => run([32768], [2048], [s], [128], [128]);
    expect(worst(at(1).visited)).toBe(17);
    expect(at(1).speedup).toBeCloseTo(15.06, 2);
    const perfect = [1, 2, 4, 8, 16, 32, 64, 128, 192, 256].find((s) => at(s).perfect);
    expect(perfect).toBe(256);
    expect(at(256).speedup).toBe(16);
  });
});

describe('10: tiles of 64 tokens on a 64 x 64 grid', () => {
  test('window 16 x 16', () => {
    expect(simulateRuns(axes([64, 64], [16, 16], [1, 1]), 64, 64).speedup).toBeCloseTo(4, 2);
    expect(run([64, 64], [16, 16], [1, 1], [8, 8], [8, 8]).speedup).toBeCloseTo(7.11, 2);
    const blocked = run([64, 64], [16, 16], [16, 16], [8, 8], [8, 8]);
    expect(blocked.speedup).toBe(16);
    expect(blocked.perfect).toBe(true);
    expect(blocked.wasted).toBeCloseTo(0, 12);
  });
  test('window 24 x 24', () => {
    expect(simulateRuns(axes([64, 64], [24, 24], [1, 1]), 64, 64).speedup).toBeCloseTo(2.67, 2);
    const sliding = run([64, 64], [24, 24], [1, 1], [8, 8], [8, 8]);
    expect(sliding.speedup).toBeCloseTo(2.56, 2);
    expect(sliding.speedupMean).toBeCloseTo(3.54, 2);
    expect(run([64, 64], [24, 24], [1, 1], [8, 8], [8, 8], 'dynamic').speedup).toBeCloseTo(4, 2);
    const strided = run([64, 64], [24, 24], [8, 8], [8, 8], [8, 8]);
    expect(strided.speedup).toBeCloseTo(7.11, 2);
    expect(strided.perfect).toBe(true);
  });
});

test('the closed rule for perfect settings is never wrong, and misses 100, to length 32 with tiles of 2 and 4', () => {
  let missed = 0;
  for (let n = 2; n <= 32; n++) {
    for (let w = 2; w <= n; w++) {
      for (let s = 1; s <= w; s++) {
        for (const [queryTile, keyTile] of [
          [2, 2],
          [2, 4],
          [4, 2],
          [4, 4],
        ]) {
          const [axis] = axes([n], [w], [s]);
          const exact = isPerfect({
            axes: [axis],
            queryTile: [queryTile],
            keyTile: [keyTile],
            keyTiling: 'static',
          });
          const rule = isPerfectByRule(axis, queryTile, keyTile);
          if (rule && !exact) throw new Error(`n ${n} w ${w} s ${s}: the rule says perfect`);
          if (exact && !rule) missed++;
        }
      }
    }
  }
  expect(missed).toBe(100);
});

test('every visited count is that of enumerated windows, with dilation too', () => {
  const axis: Axis = { length: 29, window: 6, stride: 3, dilation: 2, causal: false };
  const input = { axes: [axis], queryTile: [4], keyTile: [4], keyTiling: 'static' as const };
  const counted = boxesOf([axis], [4]).map(({ group, first, end }) => {
    const n = Math.ceil((29 - group[0]) / 2);
    const tiles = new Set<number>();
    for (let i = first[0]; i < end[0]; i++) {
      const [from, to] = windowOf(axis, i, n);
      for (let j = from; j < to; j++) tiles.add(Math.floor(j / 4));
    }
    return tiles.size;
  });
  expect(simulate(input).visited).toEqual(counted);
});

test('the stride search keeps only strides that beat every smaller one', () => {
  const input = {
    axes: axes([32, 32], [8, 8], [1, 1]),
    queryTile: [4, 4],
    keyTile: [4, 4],
    keyTiling: 'static' as const,
  };
  const found = strideSearch(input);
  expect(found.map(({ stride }) => stride)).toContainEqual([1, 1]);
  const best = found.reduce((a, b) => (b.simulation.speedup > a.simulation.speedup ? b : a));
  expect(best.simulation.perfect).toBe(true);
});
