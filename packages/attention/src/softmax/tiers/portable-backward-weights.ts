import { wgsl } from '../../wgsl/assemble.ts';
import type { BackwardKernelOptions, BackwardOptionsOfSide } from './backward-options.ts';
import type { BackwardShape } from './portable-backward-tile.ts';
import { each } from './text.ts';

/** The statistics of the thread's rows stay in its registers where rows are queries. */
export const rowStatistics = ({ rowsPerThread }: BackwardShape) => wgsl`
fn loadStatistics(tile: Located, lane: u32) {
  let rowLane = (lane % THREADS) / COLUMN_LANES;
${each(
  rowsPerThread,
  (r) => `  {
    let token = queryTokens[rowLane + ${r}u * ROW_LANES];
    if (token >= 0) {
      let row = rowStats[tile.queryRow + u32(token)];
      l${r} = row.x;
      m${r} = row.y;
    }
  }`,
)}
}`;

const ofColumns = (array: string, type = 'vec4<f32>') =>
  `${type}(${[0, 1, 2, 3].map((j) => `${array}[columnLane + ${j}u * COLUMN_LANES]`).join(', ')})`;

/** P = 2^(S log₂e scale − L), 0 where there is no pair or the key is later than a causal mask lets through. */
export const weighPlain = ({ side, tile, onlyCausal }: BackwardKernelOptions) => {
  const row = (r: number) => `rowLane + ${r}u * ROW_LANES`;
  const weights = (r: number) =>
    `weightsOf(s${r} * (shape.scale * LOG2_E) - ${side === 'keys' ? 'sum' : `l${r}`})`;
  const hidden = {
    keys: (r: number) => (onlyCausal ? `vec4<i32>(keyTokens[${row(r)}]) > last` : 'vec4<bool>()'),
    queries: (r: number) =>
      onlyCausal ? `absent | (keys > vec4<i32>(queryTokens[${row(r)}] + shape.causalOffset))` : 'absent',
  }[side === 'keys' ? 'keys' : 'queries'];
  const columns = {
    keys: `  let sum = ${ofColumns('sums')};
  let last = ${ofColumns('queryTokens', 'vec4<i32>')} + vec4<i32>(shape.causalOffset);`,
    queries: `  let keys = ${ofColumns('keyTokens', 'vec4<i32>')};
  let absent = keys == vec4<i32>(ABSENT);`,
  }[side === 'keys' ? 'keys' : 'queries'];
  return wgsl`
fn weigh(tile: Located, start: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
${columns}
${each(tile.rowsPerThread, (r) => `  s${r} = select(${weights(r)}, vec4<f32>(), ${hidden(r)});`)}
}

fn weightsOf(x: vec4<f32>) -> vec4<f32> { return select(exp2(x), vec4<f32>(), x < vec4<f32>(HIDDEN)); }`;
};

/** What the expressions are told of the pair in a row and a column of the tile. */
const pairs = {
  queries: wgsl`
fn pairAt(tile: Located, start: u32, row: u32, column: u32) -> Pair {
  let token = keyTokens[column];
  var pair: Pair;
  pair.query = queryTokens[row];
  pair.querySlot = i32(tile.firstSlot - tile.block * shape.queryBlock + row);
  pair.key = select(token & TOKEN_BITS, ZERO, token == ZERO);
  pair.keySlot = i32(start + column);
  pair.seen = token != ABSENT && pair.query != ABSENT;
  pair.full = token >= FULL;
  return pair;
}`,
  keys: wgsl`
fn pairAt(tile: Located, start: u32, row: u32, column: u32) -> Pair {
  var pair: Pair;
  pair.query = queryTokens[column];
  pair.querySlot = i32((start + column) % shape.queryBlock);
  pair.key = keyTokens[row];
  pair.keySlot = keySlotOf(tile, row, visits[column]);
  pair.seen = pair.query != ABSENT && pair.key != ABSENT && pair.keySlot >= 0;
  pair.full = isMarked(visits[column]);
  return pair;
}`,
};

export const pairArguments =
  'i32(tile.batch), i32(tile.head), pair.query, pair.key, pair.querySlot, pair.keySlot';

export const weighPair = (
  options: Pick<BackwardOptionsOfSide, 'side' | 'keep' | 'change' | 'honourFullBlocks'>,
) => wgsl`
struct Pair {
  query: i32,
  key: i32,
  querySlot: i32,
  keySlot: i32,
  seen: bool,
  full: bool,
}
${pairs[options.side === 'keys' ? 'keys' : 'queries']}

fn weighPair(tile: Located, pair: Pair, product: f32, sum: f32) -> f32 {
  if (!pair.seen) { return 0.0; }
  let score = product * shape.scale;
${options.keep ? `  if (${options.honourFullBlocks ? '!pair.full && ' : ''}!keep(${pairArguments}, score)) { return 0.0; }` : ''}
  let x = ${options.change ? `change(${pairArguments}, score)` : 'score'} * LOG2_E - sum;
  return select(exp2(x), 0.0, x < HIDDEN);
}`;

/**
 * The same with a mask, a changed score or lists that name part of a tile. The rows pass through the thread's own places
 * in \`weights\`, so that the expressions stand in the text four times, not once for each pair of the thread.
 */
export const weighChanged = ({ side, tile, slope }: BackwardKernelOptions) => {
  const { rowsPerThread } = tile;
  const sum = (j: number) => (side === 'keys' ? `sums[columnLane + ${j}u * COLUMN_LANES]` : 'rowSums[r]');
  const through = (registers: string, pair: (j: number) => string) => wgsl`
${each(rowsPerThread, (r) => `  weights[(rowLane + ${r}u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s${r};`)}
  for (var r = 0u; r < ROWS; r++) {
    let row = rowLane + r * ROW_LANES;
    let s = weights[row * (COLUMN_LANES + 1u) + columnLane];
    var numbers: vec4<f32>;
${each(4, (j) => `    {\n      let pair = pairAt(tile, start, row, columnLane + ${j}u * COLUMN_LANES);\n      numbers[${j}] = ${pair(j)};\n    }`)}
    weights[row * (COLUMN_LANES + 1u) + columnLane] = numbers;
  }
${each(rowsPerThread, (r) => `  ${registers}${r} = weights[(rowLane + ${r}u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane];`)}`;
  return wgsl`
fn weigh(tile: Located, start: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
${side === 'keys' ? '' : `  var rowSums = array<f32, ROWS>(${Array.from({ length: rowsPerThread }, (_, r) => `l${r}`).join(', ')});`}
${slope ? through('g', (j) => `slope(${pairArguments}, s[${j}] * shape.scale)`) : ''}
${through('s', (j) => `weighPair(tile, pair, s[${j}], ${sum(j)})`)}
}`;
};

/** dS = P ∘ (dP − rowsum(dO ∘ O) + dL), times the slope of the score expression. */
export const scoreGradients = ({ side, tile, slope }: BackwardKernelOptions) => wgsl`
fn scoreGradients(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
${side === 'keys' ? `  let mean = ${ofColumns('means')};` : ''}
${each(
  tile.rowsPerThread,
  (r) =>
    `  d${r} = select(s${r} * (d${r} - ${side === 'keys' ? 'mean' : `m${r}`})${slope ? ` * g${r}` : ''}, vec4<f32>(), s${r} == vec4<f32>());`,
)}
}`;
