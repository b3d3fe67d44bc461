import { describe, expect, test } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { type MaskFunction, type ScoreFunction, table, traceMask, traceScore } from './expression.ts';
import { compileToJs, type PairInputs } from './to-js.ts';

const at = (pair: Partial<PairInputs>): PairInputs => ({
  batch: 0,
  head: 0,
  query: 0,
  key: 0,
  querySlot: 0,
  keySlot: 0,
  score: 0,
  ...pair,
});

describe('masks', () => {
  const window: MaskFunction = ({ query, key }) => key.le(query).and(query.sub(key).lt(2));
  test.each([
    [0, 0, 1],
    [1, 2, 0],
    [2, 1, 1],
    [3, 1, 0],
  ])('a causal window of 2: query %i, key %i -> %i', (query, key, kept) => {
    expect(compileToJs(traceMask(window), [])(at({ query, key }))).toBe(kept);
  });

  test('integer division and remainder truncate towards zero', () => {
    const run = (mask: MaskFunction, query: number) => compileToJs(traceMask(mask), [])(at({ query }));
    expect(run(({ query }) => query.div(2).eq(-3), -7)).toBe(1);
    expect(run(({ query }) => query.mod(2).eq(-1), -7)).toBe(1);
  });

  test('products wrap at 32 bits', () => {
    const mask: MaskFunction = ({ query }) => query.mul(query).eq(0);
    expect(compileToJs(traceMask(mask), [])(at({ query: 65536 }))).toBe(1);
  });
});

describe('scores', () => {
  test('read tables row-major, one index an axis', () => {
    const bias = table(Float32Array.of(0, 1, 2, 3, 4, 5), [2, 3]);
    const score: ScoreFunction = ({ score, head, key, read }) => score.add(read(bias, head, key));
    const traced = traceScore(score);
    expect(compileToJs(traced, [bias.table.data as Float32Array])(at({ head: 1, key: 2, score: 10 }))).toBe(
      15,
    );
  });

  test('an index beyond the table reads its end', () => {
    const bias = table(Float32Array.of(7, 9), [2]);
    const traced = traceScore(({ key, read }) => read(bias, key));
    const run = compileToJs(traced, [bias.table.data as Float32Array]);
    expect([run(at({ key: -1 })), run(at({ key: 5 }))]).toEqual([7, 9]);
  });

  test('one table read twice is bound once', () => {
    const bias = table(Float32Array.of(1), [1]);
    expect(traceScore(({ read, score }) => score.add(read(bias, 0)).mul(read(bias, 0))).tables).toHaveLength(
      1,
    );
  });
});

describe('bad input', () => {
  const bias = table(Float32Array.of(1, 2), [2]);
  const cases: [string, () => unknown][] = [
    ['a fraction where an integer belongs', () => traceMask(({ query }) => query.lt(0.5))],
    ['a mask that answers with a number', () => traceMask(((p: { query: unknown }) => p.query) as never)],
    ['too many indices', () => traceScore(({ read }) => read(bias, 0, 0))],
    ['a float table read as integers', () => traceMask(({ readInt }) => readInt(bias, 0).eq(0))],
    ['a table of the wrong size', () => table(Float32Array.of(1), [2])],
    ['NaN as a constant', () => traceScore(({ score }) => score.add(Number.NaN))],
  ];
  test.each(cases)('%s', (_, run) => {
    expect(run).toThrow(ArgumentError);
  });
});
