import { NO_TOKEN } from '@saccade/attention';
import { expect, test } from 'vitest';
import { boxesOf, boxLayout, groupLength, product } from './boxes.ts';

const grids = [
  { axes: [{ length: 17, dilation: 1 }], tile: [8] },
  { axes: [{ length: 17, dilation: 3 }], tile: [4] },
  {
    axes: [
      { length: 5, dilation: 2 },
      { length: 9, dilation: 1 },
    ],
    tile: [2, 4],
  },
  {
    axes: [
      { length: 3, dilation: 1 },
      { length: 4, dilation: 2 },
      { length: 7, dilation: 3 },
    ],
    tile: [2, 1, 2],
  },
] as const;

test.each(grids)(
  'every token of $axes lies in one box of $tile, with tokens of its group',
  ({ axes, tile }) => {
    const boxes = boxesOf(axes, tile);
    const { slots, block, order } = boxLayout(axes, tile);
    expect([slots, block]).toEqual([order.length, tile.reduce<number>((size, length) => size * length, 1)]);
    const tokens = axes.reduce<number>((size, { length }) => size * length, 1);
    expect([...order].filter((token) => token !== NO_TOKEN).sort((a, b) => a - b)).toEqual(
      Array.from({ length: tokens }, (_, token) => token),
    );
    order.forEach((token, slot) => {
      if (token === NO_TOKEN) return;
      const { group, first, end } = boxes[Math.floor(slot / block)];
      let rest = token;
      for (let a = axes.length - 1; a >= 0; a--) {
        const { length, dilation } = axes[a];
        const x = rest % length;
        rest = Math.floor(rest / length);
        expect(x % dilation).toBe(group[a]);
        expect(Math.floor(x / dilation)).toBeGreaterThanOrEqual(first[a]);
        expect(Math.floor(x / dilation)).toBeLessThan(end[a]);
      }
    });
  },
);

test('slots of a box are row-major, and what the border cuts is padding', () => {
  const plain = (length: number) => ({ length, dilation: 1 });
  const none = NO_TOKEN;
  expect([...boxLayout([plain(3), plain(3)], [2, 2]).order]).toEqual([
    0,
    1,
    3,
    4,
    2,
    none,
    5,
    none,
    6,
    7,
    none,
    none,
    8,
    none,
    none,
    none,
  ]);
});

test('groups of a dilation come one after the other, and the first are the longer ones', () => {
  const axis = { length: 7, dilation: 3 };
  expect([0, 1, 2].map((group) => groupLength(axis, group))).toEqual([3, 2, 2]);
  expect([...boxLayout([axis], [3]).order]).toEqual([0, 3, 6, 1, 4, NO_TOKEN, 2, 5, NO_TOKEN]);
});

test('a grid without tokens has no boxes', () => {
  expect(boxesOf([{ length: 0, dilation: 1 }], [4])).toEqual([]);
  expect(product([2, 0, 3])).toEqual([]);
  expect(product([])).toEqual([[]]);
});
