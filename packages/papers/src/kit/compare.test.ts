import { type AttendOptions, attend, type Device, openDevice } from '@saccade/attention';
import { expect, test } from 'vitest';
import { type CompareRun, compare, relativeError } from './compare.ts';
import type { Inputs, Mechanism } from './paper.ts';
import { disposeInputs, randomInputs } from './random-inputs.ts';

/** A window of `radius` tokens to both sides, by a mask. */
const windowed: Mechanism<{ radius: number; causal?: boolean }> = async (
  { query, key, value },
  { radius, causal },
) => {
  const attended: AttendOptions = { mask: (at) => at.query.sub(at.key).abs().le(radius), causal };
  return { ...(await attend(query, key, value, attended)), attended };
};

async function on(
  options: { radius: number; causal?: boolean },
  change: Partial<CompareRun> = {},
  make: (device: Device) => Inputs = (device) => randomInputs(device, [1, 2, 17, 8]),
) {
  const device = await openDevice('reference');
  const inputs = make(device);
  const inputBytes = device.memory.currentBytes;
  const run = {
    samples: 3,
    patienceMs: 1000,
    signal: new AbortController().signal,
    progress: () => {},
    ...change,
  };
  const work = compare(device, inputs, windowed, options, run);
  return { device, inputs, inputBytes, work };
}

test('a window that holds everything keeps all mass and differs from dense by nothing', async () => {
  const { numbers, rows } = await (await on({ radius: 40 })).work;
  expect(numbers.massKept).toBeCloseTo(1, 12);
  expect(numbers.relativeError).toBe(0);
  const { dense, mechanism } = rows(5, 'all');
  expect(Array.from(mechanism)).toEqual(Array.from(dense));
});

test('a narrow window keeps less, and its row is zero outside; the tensors are freed, the inputs stay', async () => {
  const { device, inputs, inputBytes, work } = await on({ radius: 1 });
  const { numbers, rows, output, logSumExp } = await work;
  expect(numbers.massKept).toBeLessThan(0.999);
  expect(numbers.massKept).toBeGreaterThan(0);
  expect(numbers.relativeError).toBeGreaterThan(0.01);
  expect(numbers.samples.dense).toHaveLength(3);
  expect([output.length, logSumExp.length]).toEqual([2 * 17 * 8, 2 * 17]);
  rows(5, 0).mechanism.forEach((weight, key) => {
    if (Math.abs(key - 5) > 1) expect(weight).toBe(0);
    else expect(weight).toBeGreaterThan(0);
  });
  expect(device.memory.currentBytes).toBe(inputBytes);
  disposeInputs(inputs);
  expect(device.memory.currentBytes).toBe(0);
});

test('what looks only back is compared with dense attention that looks only back', async () => {
  const { rows } = await (await on({ radius: 40, causal: true })).work;
  expect(Array.from(rows(3, 0).dense.subarray(4))).toEqual(Array(13).fill(0));
});

test('values of zeros: two outputs of zeros do not differ', async () => {
  const { work } = await on({ radius: 1 }, {}, (device) => {
    const inputs = randomInputs(device, [1, 2, 17, 8]);
    const value = device.tensor(new Float32Array(2 * 17 * 8), [1, 2, 17, 8]);
    inputs.value.dispose();
    return { ...inputs, value };
  });
  expect((await work).numbers.relativeError).toBe(0);
});

test('a cancelled run ends with the reason and frees its tensors', async () => {
  const abort = new AbortController();
  const { device, inputBytes, work } = await on(
    { radius: 2 },
    {
      signal: abort.signal,
      progress: (fraction) => fraction > 0.3 && abort.abort(new DOMException('enough', 'AbortError')),
    },
  );
  await expect(work).rejects.toThrow('enough');
  expect(device.memory.currentBytes).toBe(inputBytes);
});

test.each([
  ['equal arrays', [1, 2], [1, 2], 0],
  ['zeros', [0, 0], [0, 0], 0],
  ['something beside zeros', [1, 0], [0, 0], Number.POSITIVE_INFINITY],
  ['a broken run', [Number.NaN], [1], Number.NaN],
  ['a broken run beside zeros', [Number.NaN], [0], Number.NaN],
  ['half as long', [1.5, 2], [3, 4], 0.5],
])('the relative error of %s', (_, a, b, expected) => {
  expect(relativeError(a, b)).toBe(expected);
});
