import { read, uniform, write } from '../../wgsl/bindings.ts';
import { candidateFields } from './stages.ts';

/** What ends a row's list: a number of columns, or their mass. */
export type RowRule = 'count' | 'mass';

/** Of the kernels that choose columns row by row. */
export const rowBindings = (by: RowRule) => ({
  scores: read('u32'), // bits of f32 [lists, rows, columns]
  ...(by === 'mass' && { weights: read('u32') }),
  rows: write('u32'), // [lists, rows, 2]
  blocks: write('u32'), // [lists, rows, stride]
  shape: uniform({
    ...candidateFields,
    lines: 'u32', // rows of all lists
    stride: 'u32', // most columns of a list
    share: 'u32',
    atLeast: 'u32',
  }),
});
