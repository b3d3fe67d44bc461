import { expect, test } from 'vitest';
import { remember } from './remember.ts';

test('equal arguments give the same object, others their own', () => {
  const made: string[] = [];
  const plan = remember((tokens: number, options: { grid: number[] }) => {
    made.push(`${tokens}`);
    return { tokens, options };
  });
  const first = plan(8, { grid: [2, 4] });
  expect(plan(8, { grid: [2, 4] })).toBe(first);
  expect(plan(8, { grid: [4, 2] }).options.grid).toEqual([4, 2]);
  expect(made).toHaveLength(2);
});

test('the result that was not used for longest goes first', () => {
  let made = 0;
  const double = remember((number: number) => {
    made++;
    return 2 * number;
  }, 2);
  for (const number of [1, 2, 1, 3, 1]) expect(double(number)).toBe(2 * number);
  expect(made).toBe(3);
  expect(double(2)).toBe(4);
  expect(made).toBe(4);
});

test('what throws is not kept', () => {
  let calls = 0;
  const fails = remember((number: number) => {
    calls++;
    throw new Error(`no ${number}`);
  });
  expect(() => fails(1)).toThrow('no 1');
  expect(() => fails(1)).toThrow('no 1');
  expect(calls).toBe(2);
});
