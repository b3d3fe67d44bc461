import type { TokenRectangle } from '../kit/lab/retouch.ts';
import type { Options } from './paper.ts';

/** Cells a side that the cue can stand in: the regions that most grids are cut into. */
export const CUE_CELLS = 8;

/** Colours of its stripes. */
export const CUE_COLOURS = [
  [214, 0, 190],
  [255, 255, 255],
] as const;

/** The cue at the upper left, and its copy: what the region of the one should find. */
export function cueRectangles(
  [rows, columns]: readonly number[],
  copy: { row: number; column: number },
): TokenRectangle[] {
  const edge = (cell: number, length: number) => Math.round((cell * length) / CUE_CELLS);
  return [{ row: 0, column: 0 }, copy].map(({ row, column }) => ({
    top: edge(row, rows),
    left: edge(column, columns),
    bottom: edge(row + 1, rows),
    right: edge(column + 1, columns),
  }));
}

/** A local convolution that nobody trained: half of what a value has above the mean of its eight neighbours. */
export function sharpening(channels: number): NonNullable<Options['localKernel']> {
  return {
    weights: Array.from({ length: 9 }, (_, place) => Array(channels).fill(place === 4 ? 0.5 : -0.0625)),
  };
}
