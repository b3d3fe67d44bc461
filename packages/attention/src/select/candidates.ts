import { ArgumentError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import type { Candidates } from './request.ts';

/** Which columns of a row of scores may be chosen, and which always are; everything is a candidate by default. */
export interface CandidateOptions {
  /** Only columns up to the row's own are candidates. */
  causal?: boolean;
  /** The first `sink` columns of a row are always chosen, where they are candidates; they count. Default 0. */
  sink?: number;
  /** The row's own column and the `local - 1` before it are always chosen; they count. Default 0. */
  local?: number;
  /** Rows that share an own column: 1 where rows and columns are blocks alike, the key block size where rows are tokens. */
  rowsPerColumn?: number;
  /** Position of row 0, for rows that are the last of a sequence: the own column of row r is floor((firstRow + r) / rowsPerColumn). */
  firstRow?: number;
}

/** @throws ArgumentError if a number is no count, or if rows lack an own column where one is needed */
export function checkCandidates(where: string, options: CandidateOptions, scores: Tensor): Candidates {
  const { causal = false, sink = 0, local = 0, rowsPerColumn = 1, firstRow = 0 } = options;
  const [, , rows, columns] = scores.shape;
  for (const [name, value, least] of [
    ['sink', sink, 0],
    ['local', local, 0],
    ['rowsPerColumn', rowsPerColumn, 1],
    ['firstRow', firstRow, 0],
  ] as const) {
    if (!Number.isInteger(value) || value < least || value > 0x7fffffff)
      throw new ArgumentError(where, name, value, `an integer of at least ${least}`);
  }
  if (sink > columns) throw new ArgumentError(where, 'sink', sink, `at most the ${columns} columns`);
  if (local > columns) throw new ArgumentError(where, 'local', local, `at most the ${columns} columns`);
  const last = Math.floor((firstRow + rows - 1) / rowsPerColumn);
  if ((causal || local > 0) && rows > 0 && last >= columns) {
    throw new ArgumentError(
      where,
      'scores',
      `of ${rows} rows and ${columns} columns, so that the last row's own column is ${last}`,
      'an own column for each row with causal or local (see rowsPerColumn, firstRow)',
    );
  }
  return { causal, sink, local, rowsPerColumn, firstRow };
}

export function ownColumn({ firstRow, rowsPerColumn }: Candidates, row: number): number {
  return Math.floor((firstRow + row) / rowsPerColumn);
}

/** The candidates of a row are its first columns, this many. */
export function candidateCount(candidates: Candidates, row: number, columns: number): number {
  return candidates.causal ? Math.min(ownColumn(candidates, row) + 1, columns) : columns;
}

export function isForced(candidates: Candidates, row: number, column: number): boolean {
  const own = ownColumn(candidates, row);
  return column < candidates.sink || (column <= own && column + candidates.local > own);
}

/** Pairs of one head that may be chosen, and those of them that must. */
export function countPairs(candidates: Candidates, rows: number, columns: number) {
  let all = 0;
  let forced = 0;
  for (let row = 0; row < rows; row++) {
    const count = candidateCount(candidates, row, columns);
    const own = ownColumn(candidates, row);
    const sink = Math.min(candidates.sink, count);
    const end = Math.min(own + 1, count);
    const start = Math.max(own + 1 - candidates.local, 0);
    all += count;
    forced += sink + Math.max(end - Math.max(start, sink), 0);
  }
  return { all, forced };
}
