import { expect, test } from 'vitest';
import { moved, striped } from './retouch.ts';
import { inputsFromPixels, type Pixels } from './tokens.ts';

/** A picture whose every token of a 3 x 4 grid has a colour of its own; wider than the grid, so that its sides are cut. */
function coloured(): Pixels {
  const [width, height] = [28, 18];
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.set([y * 10, x * 9, 0], (y * width + x) * 4);
  return { width, height, data };
}

const grid = [3, 4];
/** Mean red and green of each token, 0 to 1. */
const tokensOf = (pixels: Pixels) => {
  const { value } = inputsFromPixels(pixels, { grid, heads: 1, headDim: 4 });
  return Array.from({ length: 12 }, (_, token) => [value[token * 4], value[token * 4 + 1]]);
};

test('a picture moved by tokens has each token where the other was', () => {
  const before = tokensOf(coloured());
  const after = tokensOf(moved(coloured(), grid, { rows: 1, columns: 1 }));
  for (let row = 1; row < 3; row++)
    for (let column = 1; column < 4; column++) {
      const [red, green] = before[(row - 1) * 4 + column - 1];
      expect(after[row * 4 + column][0]).toBeCloseTo(red, 5);
      expect(after[row * 4 + column][1]).toBeCloseTo(green, 5);
    }
});

test('a picture moved once around is the same, and by nothing the very same', () => {
  const picture = coloured();
  expect(moved(picture, grid, { rows: 3, columns: 0 }).data).toEqual(picture.data);
  expect(moved(picture, grid, { rows: 0, columns: 0 })).toBe(picture);
});

test('a striped rectangle has tokens that look alike, half in each colour; all else stays', () => {
  const picture = coloured();
  const before = tokensOf(picture);
  const box = { top: 1, left: 2, bottom: 2, right: 4 };
  const colours = [
    [255, 0, 0],
    [0, 255, 0],
  ] as const;
  const after = tokensOf(striped(picture, grid, [box], colours));
  after.forEach(([red, green], token) => {
    if (token === 6 || token === 7) {
      expect(red).toBeCloseTo(0.5, 1);
      expect(red + green).toBeCloseTo(1, 5);
    } else expect([red, green]).toEqual(before[token]);
  });
  expect(tokensOf(picture)).toEqual(before);
});
