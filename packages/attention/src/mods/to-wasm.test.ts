import { describe, expect, it } from 'vitest';
import { type ScoreFunction, traceMask, traceScore } from './expression.ts';
import { compileToJs } from './to-js.ts';
import { compileToWasm } from './to-wasm.ts';

/** Applies a score expression to one tile whose scores are `inputs`, eight to a key. */
async function apply(score: ScoreFunction, inputs: readonly number[], relaxed: boolean): Promise<number[]> {
  const { bytes } = compileToWasm(undefined, traceScore(score), { shared: false, relaxed });
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory, log: Math.log } });
  const keys = Math.ceil(inputs.length / 8);
  const scores = new Float32Array(memory.buffer, 1024, keys * 8);
  scores.set(inputs);
  const modify = instance.exports.modify as (...words: number[]) => void;
  modify(1024, keys, 32768, 34816, 36864, 38912, 40960, 0, 0, 0);
  return [...scores.subarray(0, inputs.length)];
}

const inputs = [
  ...[0, -0, 1e-30, 1e-4, 0.3, 0.6249, 0.6251, 1, 2.5, 9, 20, 80, 88.5, 90, 1e30, Infinity],
  ...[-1e-4, -0.3, -0.6249, -0.6251, -1, -2.5, -9, -20, -80, -87, -90, -1e30, -Infinity, Number.NaN],
];

describe.each([false, true])('expressions as WASM, relaxed SIMD: %s', (relaxed) => {
  const functions: [string, ScoreFunction, (x: number) => number][] = [
    ['exp', ({ score }) => score.exp(), Math.exp],
    ['tanh', ({ score }) => score.tanh(), Math.tanh],
    ['log', ({ score }) => score.log(), Math.log],
    ['sqrt', ({ score }) => score.sqrt(), Math.sqrt],
    ['floor', ({ score }) => score.floor(), Math.floor],
    ['a product and a sum', ({ score }) => score.mul(3).add(score.neg()), (x) => 3 * x - x],
  ];
  it.each(functions)('%s is right to 3e-7 everywhere', async (_name, score, exact) => {
    const results = await apply(score, inputs, relaxed);
    inputs.forEach((input, i) => {
      const wanted = Math.fround(exact(Math.fround(input)));
      const result = results[i];
      // Below the smallest normal number 0 is as good.
      if (!Number.isFinite(wanted) || Math.abs(wanted) < 1.2e-38)
        expect([input, result]).toEqual([
          input,
          Math.abs(wanted) < 1.2e-38 && result === 0 ? result : wanted,
        ]);
      else
        expect(Math.abs(result - wanted), `${input}: ${result} for ${wanted}`).toBeLessThanOrEqual(
          3e-7 * Math.abs(wanted),
        );
    });
  });

  it('integers wrap and truncate as in JavaScript', async () => {
    const score: ScoreFunction = ({ score: s }) => {
      const n = s.toInt();
      const parts = [
        n.div(3),
        n.mod(3),
        n.div(-7),
        n.mul(123456789).shiftRight(20),
        n.bitOr(5),
        n.shiftLeft(n.bitAnd(3)),
      ];
      return parts
        .reduce((sum, part) => sum.mul(3).add(part))
        .bitAnd(0xfffff)
        .toFloat();
    };
    const numbers = [-1000, -10, -9, -3, -2, -1, 0, 1, 2, 3, 9, 10, 1000, 40000, -40000, 123456];
    const js = compileToJs(traceScore(score), []);
    const at = { batch: 0, head: 0, query: 0, key: 0, querySlot: 0, keySlot: 0, score: 0 };
    expect(await apply(score, numbers, relaxed)).toEqual(
      numbers.map((number) => js({ ...at, score: number })),
    );
  });
});

it('a module says which memory it is given', () => {
  const mask = traceMask(({ query, key }) => key.le(query));
  const shared = compileToWasm(mask, undefined, { shared: true, relaxed: false });
  const own = compileToWasm(mask, undefined, { shared: false, relaxed: false });
  expect(WebAssembly.validate(shared.bytes)).toBe(true);
  expect(shared.bytes).not.toEqual(own.bytes);
});
