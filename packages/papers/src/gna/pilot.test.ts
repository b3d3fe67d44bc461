import { expect, test } from 'vitest';
import { windowError } from './pilot.ts';

const pilot = { side: 12, window: 5, stride: 1, sigma: 1.5, seed: 3 };

test('a window as large as the picture differs from dense by nothing', () => {
  expect(windowError({ ...pilot, window: 12 })).toBe(0);
});

test('the error falls as the window grows, and rises as scores reach further', () => {
  const byWindow = [3, 5, 7, 9].map((window) => windowError({ ...pilot, window }));
  expect(byWindow).toEqual([...byWindow].sort((a, b) => b - a));
  const bySigma = [0.5, 1, 2, 4].map((sigma) => windowError({ ...pilot, sigma }));
  expect(bySigma).toEqual([...bySigma].sort((a, b) => a - b));
});

test('scores that reach one token need no more than the nearest three', () => {
  expect(windowError({ ...pilot, sigma: 0.2, window: 3 })).toBeLessThan(1e-3);
});

test('separate blocks lose more than a window that slides: queries at their rims see one side only', () => {
  const sliding = windowError({ ...pilot, window: 4, stride: 1 });
  const blocked = windowError({ ...pilot, window: 4, stride: 4 });
  expect(blocked).toBeGreaterThan(1.2 * sliding);
});

test('the same seed gives the same number, another seed another', () => {
  expect(windowError(pilot)).toBe(windowError(pilot));
  expect(windowError({ ...pilot, seed: 4 })).not.toBe(windowError(pilot));
});
