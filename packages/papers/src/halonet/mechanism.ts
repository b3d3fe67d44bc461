import {
  ArgumentError,
  type AttendOptions,
  attend,
  blockMean,
  blockScores,
  type MaskFunction,
  type Plan,
  type ScoreFunction,
  type Tensor,
  table,
} from '@saccade/attention';
import type { Inputs, Outputs, RunContext } from '../kit/paper.ts';
import { remember } from '../kit/remember.ts';
import { type HaloGeometry, haloBlocks, haloGeometry } from './blocks.ts';
import type { Options } from './paper.ts';

/**
 * Halo attention on the engines: select by a rule, attend, nothing to correct. Equation numbers as in reference.ts.
 * @throws ArgumentError where grid, block or position tables do not fit the tensors
 */
export async function haloAttention(
  { query, key, value }: Inputs,
  options: Options,
  run: RunContext = {},
): Promise<Outputs> {
  const tokens = key.shape[2];
  if (query.shape[2] !== tokens)
    throw new ArgumentError('halonet', 'query', `${query.shape[2]} tokens`, `${tokens}, as key`);
  const geometry = haloGeometry(tokens, options);
  checkPosition(query.shape[3], options);
  // select: (1) and (2), one box of keys a block; nothing is copied
  const plan = haloPlan(tokens, options);
  // (3): the position terms of each query with each table entry, two small products; one number is read a pair
  const terms = options.position && (await positionTerms(query, options.position));
  const attended: AttendOptions = {
    plan,
    score: terms && positionScore(terms, geometry, options, query.shape[3]),
    signal: run.signal,
  };
  // attend: (4) and (5)
  try {
    const { output, logSumExp } = await attend(query, key, value, attended);
    return { output, logSumExp, attended, held: terms ? [terms.rows, terms.columns] : [] };
  } catch (error) {
    terms?.rows.dispose();
    terms?.columns.dispose();
    throw error;
  }
}

/** One query block and one box of keys a block. */
export const haloPlan = remember((tokens: number, options: Options): Plan => {
  const geometry = haloGeometry(tokens, options);
  const { rows, columns, querySide, windowSide } = geometry;
  const { order, boxes } = haloBlocks(geometry, options);
  return {
    name: `blocks of ${options.blockSize} x ${options.blockSize}, windows of ${windowSide} x ${windowSide}`,
    queryTokens: tokens,
    keyTokens: tokens,
    queries: { slots: order.length, block: querySide * querySide, order },
    keys: {
      kind: 'boxes',
      grid: [1, rows, columns],
      step: [1, 1, 1],
      boxes,
      outside: options.border === 'zero' ? 'zero' : 'skip',
    },
    keep: centredMask(geometry, options),
    listBatches: 1,
    listHeads: 1,
  };
});

/** The masked variant: |u − h − i| and |v − h − j| at most the radius, places counted in pixels. */
function centredMask(
  { querySide, queryStep, windowSide }: HaloGeometry,
  { halo, centredRadius }: Options,
): MaskFunction | undefined {
  if (centredRadius === undefined) return undefined;
  return ({ querySlot, keySlot }) => {
    const down = keySlot.div(windowSide).sub(halo).sub(querySlot.div(querySide).mul(queryStep));
    const across = keySlot.mod(windowSide).sub(halo).sub(querySlot.mod(querySide).mul(queryStep));
    return down.abs().le(centredRadius).and(across.abs().le(centredRadius));
  };
}

/** q·rh[t] and q·rw[t] for all t, in f32: [batch, heads, tokens, 2K − 1] each. */
async function positionTerms(query: Tensor, position: NonNullable<Options['position']>) {
  const { device, dtype, shape } = query;
  const product = async (entries: readonly (readonly number[])[]) => {
    const flat = entries.flat();
    const all = Array.from({ length: shape[0] }, () => flat).flat();
    const keys = device.tensor(all, [shape[0], 1, entries.length, shape[3]], dtype);
    try {
      return await blockScores(query, keys);
    } finally {
      keys.dispose();
    }
  };
  const rows = await product(position.rows);
  return { rows, columns: await product(position.columns) };
}

function positionScore(
  terms: { rows: Tensor; columns: Tensor },
  { querySide, windowSide }: HaloGeometry,
  { scalePosition }: Options,
  headDim: number,
): ScoreFunction {
  const rows = table(terms.rows, terms.rows.shape);
  const columns = table(terms.columns, terms.columns.shape);
  const factor = scalePosition ? headDim ** -0.5 : 1;
  return ({ batch, head, query, querySlot, keySlot, score, read }) => {
    // K − 1 + u − i, K − 1 + v − j; i and j are places in the (strided) block
    const down = keySlot
      .div(windowSide)
      .sub(querySlot.div(querySide))
      .add(windowSide - 1);
    const across = keySlot
      .mod(windowSide)
      .sub(querySlot.mod(querySide))
      .add(windowSide - 1);
    const position = read(rows, batch, head, query, down).add(read(columns, batch, head, query, across));
    return score.add(factor === 1 ? position : position.mul(factor));
  };
}

function checkPosition(headDim: number, { position }: Options): void {
  for (const [name, entries] of Object.entries(position ?? {})) {
    if (entries[0].length !== headDim)
      throw new ArgumentError(
        'halonet',
        `position.${name}`,
        `entries of ${entries[0].length} numbers`,
        `${headDim}, the headDim of query`,
      );
  }
}

/**
 * The smaller image of a run with stride 2, on the device: the strided queries' rows, or with averageDown the mean of
 * each 2 x 2 pixels.
 * @param output [batch, heads, tokens, valueDim], as haloAttention() returned it
 * @returns [batch, heads, tokens / 4, valueDim] in f32
 * @throws ArgumentError with stride 1, or where the grid does not fit
 */
export async function downsampled(output: Tensor, options: Options): Promise<Tensor> {
  if (options.stride !== 2) throw new ArgumentError('downsampled', 'stride', options.stride, '2');
  const tokens = output.shape[2];
  const { rows, columns } = haloGeometry(tokens, options);
  const offsets = options.averageDown ? [0, 1, columns, columns + 1] : [0];
  const order = new Uint32Array((tokens / 4) * offsets.length);
  let slot = 0;
  for (let row = 0; row < rows; row += 2)
    for (let column = 0; column < columns; column += 2)
      for (const offset of offsets) order[slot++] = row * columns + column + offset;
  return blockMean(output, { slots: order.length, block: offsets.length, order });
}
