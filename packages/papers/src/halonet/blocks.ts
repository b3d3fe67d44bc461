import { ArgumentError } from '@saccade/attention';
import { boxLayout } from '../kit/boxes.ts';
import { imageGrid } from '../kit/image-grid.ts';
import type { Options } from './paper.ts';

/** Where blocks, queries and windows lie. */
export interface HaloGeometry {
  rows: number;
  columns: number;
  blocksDown: number;
  blocksAcross: number;
  /** K = b + 2h: side of a window. */
  windowSide: number;
  /** Distance of neighbouring queries in a block: 2 with strided queries, else 1. */
  queryStep: number;
  /** Queries on a side of a block: b / queryStep. */
  querySide: number;
}

/**
 * Geometry of the options on `tokens` pixels.
 * @throws ArgumentError where the grid does not fit the tokens, or the block the grid (without pad)
 */
export function haloGeometry(tokens: number, options: Options): HaloGeometry {
  const [rows, columns] = imageGrid('halonet', tokens, options.grid);
  const { blockSize, halo, stride, averageDown, pad } = options;
  if (!pad && (rows % blockSize !== 0 || columns % blockSize !== 0)) {
    throw new ArgumentError(
      'halonet',
      'blockSize',
      blockSize,
      `a divisor of both sides of the grid [${rows}, ${columns}], or pad: true`,
    );
  }
  if (stride === 2 && (rows % 2 !== 0 || columns % 2 !== 0))
    throw new ArgumentError('halonet', 'grid', `[${rows}, ${columns}]`, 'even sides with stride 2');
  const queryStep = stride === 2 && !averageDown ? 2 : 1;
  return {
    rows,
    columns,
    blocksDown: Math.ceil(rows / blockSize),
    blocksAcross: Math.ceil(columns / blockSize),
    windowSide: blockSize + 2 * halo,
    queryStep,
    querySide: blockSize / queryStep,
  };
}

/**
 * Query slots, block by block, and the window of each block.
 * With strided queries the pixels in between follow in blocks whose window is empty: their rows become zeros.
 * @returns order [slots]; boxes [slots / querySide²][6] as KeyRule 'boxes' wants them, leading axis 1
 */
export function haloBlocks(
  geometry: HaloGeometry,
  options: Options,
): { order: Uint32Array; boxes: Int32Array } {
  const { rows, columns, blocksDown, blocksAcross, windowSide, queryStep, querySide } = geometry;
  const { blockSize, halo } = options;
  // the pixels that ask are the first group of a grid dilated by the stride: their blocks come first
  const axes = [rows, columns].map((length) => ({ length, dilation: queryStep }));
  const { order } = boxLayout(axes, [querySide, querySide]);
  const boxes = new Int32Array((order.length / querySide ** 2) * 6);
  for (let block = 0; block < blocksDown * blocksAcross; block++) {
    const top = Math.floor(block / blocksAcross) * blockSize;
    const left = (block % blocksAcross) * blockSize;
    boxes.set([0, top - halo, left - halo, 1, windowSide, windowSide], block * 6);
  }
  return { order, boxes };
}

/** Block, window (cut to the image) and counts around one pixel: what a page draws. */
export function neighbourhood(tokens: number, options: Options, pixel: number) {
  const geometry = haloGeometry(tokens, options);
  const { rows, columns, windowSide, queryStep } = geometry;
  const { blockSize, halo, centredRadius } = options;
  const [row, column] = [Math.floor(pixel / columns), pixel % columns];
  const top = Math.floor(row / blockSize) * blockSize;
  const left = Math.floor(column / blockSize) * blockSize;
  const cut = (firstRow: number, firstColumn: number, side: number) => ({
    top: Math.max(firstRow, 0),
    left: Math.max(firstColumn, 0),
    bottom: Math.min(firstRow + side, rows),
    right: Math.min(firstColumn + side, columns),
  });
  return {
    /** false for pixels between strided queries. */
    asks: (row - top) % queryStep === 0 && (column - left) % queryStep === 0,
    block: cut(top, left, blockSize),
    window: cut(top - halo, left - halo, windowSide),
    centred:
      centredRadius === undefined
        ? undefined
        : cut(row - centredRadius, column - centredRadius, 2 * centredRadius + 1),
    keysPerQuery: windowSide * windowSide,
    overlap: (windowSide * windowSide) / (blockSize * blockSize),
  };
}

/**
 * Means of a number a pixel by the pixel's distance from the rim of its block. A block that the image cuts has its rim
 * where it would be.
 * @param numbers [rows * columns]
 * @returns one mean a distance, from 0 at the rim
 */
export function errorsByDistance(
  numbers: ArrayLike<number>,
  [rows, columns]: readonly number[],
  blockSize: number,
): number[] {
  const distances = Math.ceil(blockSize / 2);
  const sums = new Float64Array(distances);
  const counts = new Float64Array(distances);
  const inside = (i: number) => Math.min(i % blockSize, blockSize - 1 - (i % blockSize));
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const distance = Math.min(inside(row), inside(column));
      sums[distance] += numbers[row * columns + column];
      counts[distance]++;
    }
  }
  return Array.from(sums, (sum, distance) => sum / Math.max(counts[distance], 1));
}
