import { ArgumentError, type BlockLayout } from '@saccade/attention';
import { boxLayout } from '../kit/boxes.ts';
import { imageGrid } from '../kit/image-grid.ts';
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
  const [rows, columns] = imageGrid('biformer', tokens, options.grid);
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

/** Tokens region by region; slots of a cut region that hold no pixel are padding. */
export const regionLayout = remember(
  ({ rows, columns, regionRows, regionColumns }: RegionGeometry): BlockLayout =>
    boxLayout(
      [rows, columns].map((length) => ({ length, dilation: 1 })),
      [regionRows, regionColumns],
    ),
);

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
