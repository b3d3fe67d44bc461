import { ArgumentError } from '../errors.ts';
import type { IntExpression, MaskFunction, Positions, TableHandle } from './expression.ts';

/**
 * A mask that reads a bit a pair: bit (column mod 32) of word floor(column / 32) of the query's row keeps the pair.
 * @param words integers [queryTokens, words], or [batch, heads, queryTokens, words] for masks of their own
 * @param column of a pair; default: the key. For bits of key blocks, for instance ({ key }) => key.div(64)
 * @throws ArgumentError if the table holds floats or has other axes
 */
export function bitMask(
  words: TableHandle,
  column: (at: Positions) => IntExpression = ({ key }) => key,
): MaskFunction {
  const { shape, type } = words.table;
  if (type !== 'i32') throw new ArgumentError('bitMask', 'words', 'a table of floats', 'a table of integers');
  if (shape.length !== 2 && shape.length !== 4) {
    throw new ArgumentError(
      'bitMask',
      'words',
      `of shape [${shape.join(', ')}]`,
      '[queryTokens, words] or [batch, heads, queryTokens, words]',
    );
  }
  return (at) => {
    const place = column(at);
    const row = shape.length === 4 ? [at.batch, at.head, at.query] : [at.query];
    const word = at.readInt(words, ...row, place.shiftRight(5));
    return word.shiftRight(place.bitAnd(31)).bitAnd(1).eq(1);
  };
}
