import { cropOf, DETAIL, type Pixels } from './tokens.ts';

/** A rectangle of tokens of a grid; bottom and right are exclusive. */
export interface TokenRectangle {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

/** The picture moved by whole tokens of a grid; what leaves on one side comes in on the other. */
export function moved(
  pixels: Pixels,
  [height, width]: readonly number[],
  by: { rows: number; columns: number },
): Pixels {
  if (by.rows === 0 && by.columns === 0) return pixels;
  const { scale } = cropOf(pixels, width * DETAIL, height * DETAIL);
  const shift = (tokens: number, size: number) =>
    ((Math.round(tokens * DETAIL * scale) % size) + size) % size;
  const down = shift(by.rows, pixels.height);
  const right = shift(by.columns, pixels.width);
  const data = new Uint8ClampedArray(pixels.data.length);
  for (let y = 0; y < pixels.height; y++) {
    const from = ((y - down + pixels.height) % pixels.height) * pixels.width;
    for (let x = 0; x < pixels.width; x++) {
      const source = (from + ((x - right + pixels.width) % pixels.width)) * 4;
      const at = (y * pixels.width + x) * 4;
      for (let c = 0; c < 4; c++) data[at + c] = pixels.data[source + c];
    }
  }
  return { width: pixels.width, height: pixels.height, data };
}

type Colour = readonly [red: number, green: number, blue: number];

/**
 * The picture with rectangles of tokens in upright stripes of two colours, each half a token wide: all tokens of a
 * rectangle look alike, and like nothing in a photograph.
 */
export function striped(
  pixels: Pixels,
  [height, width]: readonly number[],
  rectangles: readonly TokenRectangle[],
  colours: readonly [Colour, Colour],
): Pixels {
  const { scale, left, top } = cropOf(pixels, width * DETAIL, height * DETAIL);
  const data = Uint8ClampedArray.from(pixels.data);
  for (const box of rectangles) {
    const [y0, y1] = [box.top, box.bottom].map((row) => Math.round(top + row * DETAIL * scale));
    const [x0, x1] = [box.left, box.right].map((column) => Math.round(left + column * DETAIL * scale));
    for (let y = Math.max(0, y0); y < Math.min(y1, pixels.height); y++) {
      for (let x = Math.max(0, x0); x < Math.min(x1, pixels.width); x++) {
        const half = Math.floor((2 * (x + 0.5 - left)) / (DETAIL * scale));
        data.set(colours[half & 1], (y * pixels.width + x) * 4);
      }
    }
  }
  return { width: pixels.width, height: pixels.height, data };
}
