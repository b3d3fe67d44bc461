import { expect, test } from 'vitest';
import { kept } from './kept.ts';

test('equal options are made once, others each', () => {
  let made = 0;
  const make = kept(({ headDim }: { headDim: number }) => ({ headDim, number: ++made }));
  const first = make({ headDim: 64 });
  expect(make({ headDim: 64 })).toBe(first);
  expect(make({ headDim: 32 }).number).toBe(2);
});

test('what many options made is let go', () => {
  let made = 0;
  const make = kept((_number: number) => ++made);
  for (let number = 0; number < 300; number++) make(number);
  make(299);
  expect(made).toBe(300);
  make(0);
  expect(made).toBe(301);
});
