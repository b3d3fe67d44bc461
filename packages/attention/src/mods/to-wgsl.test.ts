import { describe, expect, test } from 'vitest';
import { table, traceMask, traceScore } from './expression.ts';
import { compileToWgsl } from './to-wgsl.ts';

const noTable = () => {
  throw new Error('no table is expected');
};

describe('expressions as WGSL', () => {
  test('a causal window', () => {
    const traced = traceMask(({ query, key }) => key.le(query).and(query.sub(key).lt(128)));
    expect(compileToWgsl('keep', traced, noTable)).toBe(
      `fn keep(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> bool {
  let t0 = (key <= query);
  let t1 = (query - key);
  let t2 = (t1 < i32(128));
  let t3 = (t0 && t2);
  return t3;
}`,
    );
  });

  test('what is used twice is computed once', () => {
    const traced = traceScore(({ score }) => {
      const halved = score.mul(0.5);
      return halved.mul(halved);
    });
    const text = compileToWgsl('change', traced, noTable);
    expect(text.match(/score \* 0\.5f/g)).toHaveLength(1);
    expect(text).toContain('(t0 * t0)');
  });

  test('tables are read through the caller, with the flattened index', () => {
    const bias = table(new Float32Array(6), [2, 3]);
    const traced = traceScore(({ score, head, key, read }) => score.add(read(bias, head, key)));
    const text = compileToWgsl('change', traced, (read, index) => `biasOf${read.shape.join('by')}(${index})`);
    expect(text).toContain('(head * i32(3))');
    expect(text).toContain('biasOf2by3(t1)');
  });

  test('numbers are literals that WGSL takes', () => {
    const numbers = [1, -1, 0.5, 1e-20, -3e38, Infinity].map(
      (value) =>
        compileToWgsl(
          'change',
          traceScore(({ score }) => score.add(value)),
          noTable,
        ).match(/score \+ (.*)\);/)?.[1],
    );
    expect(numbers).toEqual([
      '1.0f',
      '-1.0f',
      '0.5f',
      '9.999999682655225e-21f',
      '-3.0000000054977558e+38f',
      '3.4028234663852886e+38f',
    ]);
  });

  test('a select takes its second branch first', () => {
    const traced = traceScore(({ score, key }) => key.lt(0).select(1, score));
    expect(compileToWgsl('change', traced, noTable)).toContain('select(score, 1.0f, t0)');
  });
});
