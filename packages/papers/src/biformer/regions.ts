import { ArgumentError, type BlockLayout, NO_TOKEN } from '@saccade/attention';
import { remember } from '../kit/remember.ts';
import type { Options } from './paper.ts';

/** How the image is cut: equation (1). */
export interface RegionGeometry {
  rows: number;
  columns: number;
  /** Side lengths of a region; the last ones may be cut by the image's border. */
  regionRows: number;
  regionColumns: number;
  regionsDown: number;
  regionsAcross: number;
  regionCount: number;
  /** k, lowered to the number of regions where the image is too small for as many. */
  topk: number;
}

/** @throws ArgumentError where the grid does not fit the tokens, or there are more regions a side than pixels */
export function regionGeometry(tokens: number, options: Options): RegionGeometry {
  const [rows, columns] = gridOf(tokens, options.grid);
  const { regions, topk } = options;
  if (tokens > 0 && regions > Math.min(rows, columns))
    throw new ArgumentError(
      'biformer',
      'regions',
      regions,
      `1 to ${Math.min(rows, columns)}, the shorter side of the grid [${rows}, ${columns}]`,
    );
  const regionRows = Math.max(Math.ceil(rows / regions), 1);
  const regionColumns = Math.max(Math.ceil(columns / regions), 1);
  const regionsDown = Math.ceil(rows / regionRows);
  const regionsAcross = Math.ceil(columns / regionColumns);
  const regionCount = regionsDown * regionsAcross;
  return {
    rows,
    columns,
    regionRows,
    regionColumns,
    regionsDown,
    regionsAcross,
    regionCount,
    topk: Math.min(topk, Math.max(regionCount, 1)),
  };
}

function gridOf(tokens: number, grid: readonly number[] | undefined): [number, number] {
  if (grid) {
    const product = grid[0] * grid[1];
    if (product !== tokens)
      throw new ArgumentError(
        'biformer',
        'grid',
        `[${grid.join(', ')}], ${product} tokens`,
        `a product of ${tokens}, the tokens of the tensors`,
      );
    return [grid[0], grid[1]];
  }
  const side = Math.round(Math.sqrt(tokens));
  if (side * side !== tokens)
    throw new ArgumentError('biformer', 'grid', 'not given', `rows and columns whose product is ${tokens}`);
  return [side, side];
}

/** Tokens region by region; slots of a cut region that hold no pixel are padding. */
export const regionLayout = remember((geometry: RegionGeometry): BlockLayout => {
  const { rows, columns, regionRows, regionColumns, regionsAcross, regionCount } = geometry;
  const block = regionRows * regionColumns;
  const order = new Uint32Array(regionCount * block).fill(NO_TOKEN);
  for (let slot = 0; slot < order.length; slot++) {
    const region = Math.floor(slot / block);
    const place = slot % block;
    const row = Math.floor(region / regionsAcross) * regionRows + Math.floor(place / regionColumns);
    const column = (region % regionsAcross) * regionColumns + (place % regionColumns);
    if (row < rows && column < columns) order[slot] = row * columns + column;
  }
  return { slots: order.length, block, order };
});

/** The region of a pixel and its rectangle: what a page draws. */
export function regionOf(geometry: RegionGeometry, pixel: number): number {
  const { columns, regionRows, regionColumns, regionsAcross } = geometry;
  return (
    Math.floor(Math.floor(pixel / columns) / regionRows) * regionsAcross +
    Math.floor((pixel % columns) / regionColumns)
  );
}

/** Rectangle of a region, cut to the image; bottom and right are exclusive. */
export function regionRectangle(geometry: RegionGeometry, region: number) {
  const { rows, columns, regionRows, regionColumns, regionsAcross } = geometry;
  const top = Math.floor(region / regionsAcross) * regionRows;
  const left = (region % regionsAcross) * regionColumns;
  return {
    top,
    left,
    bottom: Math.min(top + regionRows, rows),
    right: Math.min(left + regionColumns, columns),
  };
}
