import { expect, test } from 'vitest';
import { errorsByDistance } from './blocks.ts';

test('means by the distance from the rim of a block', () => {
  // blocks of 3 on 3 x 6 pixels: two rings of eight pixels, two middles
  const numbers = Array.from({ length: 18 }, (_, i) => (i === 7 ? 10 : i === 10 ? 20 : 1));
  expect(errorsByDistance(numbers, [3, 6], 3)).toEqual([1, 15]);
});

test('a block of an even side has two middles, and a block of one is all rim', () => {
  const inside = (i: number) => (i === 1 || i === 2 ? 4 : 2);
  const numbers = Array.from({ length: 16 }, (_, i) => Math.min(inside(i % 4), inside(Math.floor(i / 4))));
  expect(errorsByDistance(numbers, [4, 4], 4)).toEqual([2, 4]);
  expect(errorsByDistance(numbers, [4, 4], 1)).toEqual([2.5]);
});

test('a block that the image cuts has its rim where it would be', () => {
  // 1 x 4 pixels in blocks of 3: the fourth pixel begins a block
  expect(errorsByDistance([1, 5, 1, 1], [1, 4], 3)).toEqual([2, 0]);
});
