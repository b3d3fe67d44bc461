import { ArgumentError } from '@saccade/attention';

/**
 * Rows and columns of an image of `tokens` pixels; without a grid it is a square.
 * @param where who complains
 * @throws ArgumentError if the grid is not `tokens` pixels, or there is none and the tokens make no square
 */
export function imageGrid(
  where: string,
  tokens: number,
  grid: readonly number[] | undefined,
): [rows: number, columns: number] {
  if (grid) {
    const [rows, columns] = grid;
    if (rows * columns !== tokens)
      throw new ArgumentError(
        where,
        'grid',
        `[${grid.join(', ')}], ${rows * columns} tokens`,
        `a product of ${tokens}, the tokens of the tensors`,
      );
    return [rows, columns];
  }
  const side = Math.round(Math.sqrt(tokens));
  if (side * side !== tokens)
    throw new ArgumentError(where, 'grid', 'not given', `rows and columns whose product is ${tokens}`);
  return [side, side];
}
