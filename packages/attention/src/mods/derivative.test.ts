import { describe, expect, test } from 'vitest';
import { differentiate } from './derivative.ts';
import { type ScoreFunction, table, traceScore } from './expression.ts';
import { compileToJs } from './to-js.ts';

const numbers = Float32Array.of(0.5, -1.25, 2, 0.75);
const bias = table(numbers, [4]);

/** One function for each operation that floats have. */
const functions: Record<string, ScoreFunction> = {
  'a sum': ({ score, read, key }) => score.add(read(bias, key)).add(1),
  'a difference': ({ score, read, key }) => read(bias, key).sub(score),
  'a product of both': ({ score, read, key }) => score.mul(read(bias, key)).mul(score),
  'a quotient': ({ score, read, key }) => read(bias, key).div(score.mul(score).add(2)),
  'a soft cap': ({ score }) => score.div(3).tanh().mul(3),
  'exp, log, sqrt': ({ score, read, key }) =>
    score
      .mul(score)
      .add(1)
      .sqrt()
      .add(score.exp().add(read(bias, key).abs()).log()),
  'min, max, neg, abs': ({ score, read, key }) =>
    score
      .neg()
      .max(read(bias, key))
      .add(score.abs().min(read(bias, key.add(1)).mul(2))),
  'a choice': ({ score, read, key, query }) =>
    query.lt(key).select(score.mul(2), score.mul(score).mul(read(bias, query))),
  'floor and integers': ({ score, read, key }) =>
    score
      .floor()
      .add(score.toInt().toFloat())
      .add(score.mul(read(bias, key.mul(2)))),
  'one read used twice': ({ score, read, key }) => {
    const number = read(bias, key);
    return score.mul(number).add(number.mul(number));
  },
};

describe('the derivative of a score expression', () => {
  test.each(Object.entries(functions))('is the slope of %s', (_name, score) => {
    const traced = traceScore(score);
    const tables = traced.tables.map(({ data }) => Float64Array.from(data as Float32Array));
    const value = compileToJs(traced, tables);
    const { slope, reads } = differentiate(traced);
    for (const at of [
      { score: 0.7, query: 1, key: 2 },
      { score: -1.3, query: 2, key: 0 },
      { score: 2.6, query: 0, key: 3 },
    ].map((some) => ({ batch: 0, head: 0, querySlot: 0, keySlot: 0, ...some }))) {
      const numeric =
        (value({ ...at, score: at.score + 1e-6 }) - value({ ...at, score: at.score - 1e-6 })) / 2e-6;
      const exact = slope ? compileToJs(slope, tables)(at) : 1;
      expect(exact).toBeCloseTo(numeric, 6);
      const gradient = new Float64Array(4);
      for (const { index, partial } of reads) {
        const place = compileToJs({ node: index, tables: traced.tables }, tables)(at);
        gradient[Math.min(Math.max(place, 0), 3)] += compileToJs(
          { node: partial, tables: traced.tables },
          tables,
        )(at);
      }
      if (tables.length === 0) continue;
      for (let i = 0; i < 4; i++) {
        const original = tables[0][i];
        tables[0][i] = original + 1e-6;
        const above = value(at);
        tables[0][i] = original - 1e-6;
        const below = value(at);
        tables[0][i] = original;
        expect(gradient[i]).toBeCloseTo((above - below) / 2e-6, 6);
      }
    }
  });

  test('of a bias is 1 and needs no expression', () => {
    const { slope, reads } = differentiate(traceScore(functions['a sum']));
    expect(slope).toBeUndefined();
    expect(reads.map(({ partial }) => partial)).toEqual([{ kind: 'constant', type: 'f32', value: 1 }]);
  });

  test('of an expression without the score is 0', () => {
    const { slope } = differentiate(traceScore(({ read, key }) => read(bias, key)));
    expect(slope?.node).toEqual({ kind: 'constant', type: 'f32', value: 0 });
  });
});
