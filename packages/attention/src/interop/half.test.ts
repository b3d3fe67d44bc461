import { describe, expect, test } from 'vitest';
import { fromHalfBits, fromHalves, toHalfBits, toHalves } from './half.ts';

describe('half precision', () => {
  test.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [Number.POSITIVE_INFINITY, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.0001, 0x0001],
    [1023.4999 * 2 ** -24, 0x03ff],
    [1 / 3, 0x3555],
  ])('%d has the bits %i', (value, bits) => {
    expect(toHalfBits(value)).toBe(bits);
  });

  test('a tie goes to the even neighbour', () => {
    expect(toHalfBits(1 + 2 ** -11)).toBe(0x3c00);
    expect(toHalfBits(1 + 3 * 2 ** -11)).toBe(0x3c02);
  });

  test('NaN stays NaN', () => {
    expect(fromHalfBits(toHalfBits(Number.NaN))).toBeNaN();
  });

  test('every one of the 65,536 patterns comes back as it was', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = fromHalves(bits);
    const back = toHalves(values);
    const wrong = [...bits].filter((i) => back[i] !== i && !Number.isNaN(values[i]));
    expect(wrong).toEqual([]);
  });

  // Node 24 has the built-in to compare with.
  test('agrees with Float16Array on random numbers of all sizes', () => {
    const Native = (globalThis as { Float16Array?: new (n: number[]) => ArrayBufferView }).Float16Array;
    expect(Native).toBeDefined();
    const values = Array.from({ length: 20000 }, (_, i) =>
      Math.fround(Math.sin(i * 12.9898) * 2 ** ((i % 48) - 30)),
    );
    const native = new Native!(values);
    const expected = new Uint16Array(native.buffer, native.byteOffset, values.length);
    expect(toHalves(values)).toEqual(expected);
  });
});
