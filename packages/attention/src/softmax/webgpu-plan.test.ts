import { expect, test } from 'vitest';
import { FULL_BLOCK } from '../plan.ts';
import { fullFirst } from './webgpu-plan.ts';

const full = (block: number) => (block | FULL_BLOCK) >>> 0;

test('full blocks come first in each list, in the order given', () => {
  const rows = Uint32Array.of(0, 3, 3, 2, 5, 0);
  const entries = Uint32Array.of(7, full(2), full(1), full(4), 9);
  expect([...Array.from(fullFirst(rows, entries))]).toEqual([full(2), full(1), 7, full(4), 9]);
});

test('lists that share entries stay as they are', () => {
  const rows = Uint32Array.of(0, 3, 1, 2);
  const entries = Uint32Array.of(7, full(2), 1);
  expect(fullFirst(rows, entries)).toBe(entries);
});
