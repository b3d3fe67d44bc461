import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { type Bindings, read, type StorageBinding, uniform, write } from '../../wgsl/bindings.ts';
import { elementOf, readVector, rowBinding, type Storage, storeVector } from './access.ts';
import { shapeFields } from './forward-options.ts';
import { type KeyKind, keyConstants, keyStages, type ListPlace } from './keys.ts';
import type { BackwardShape, Channels, Side } from './portable-backward-tile.ts';
import { copy } from './portable-loads.ts';
import { type Gathered, gatherBindings, gatherStages } from './portable-table-gradients.ts';
import { visitStages } from './portable-visits.ts';
import { queryInOrder, resolveKeys, rowStages } from './rows.ts';
import { each } from './text.ts';

/** Everything that changes the text of a kernel of the backward pass. */
export interface BackwardKernelOptions {
  side: Side;
  tile: BackwardShape;
  headDim: number;
  valueDim: number;
  /** Of query, key and value. */
  storage: Storage;
  /** Of the output's gradient. */
  gradientStorage: Storage;
  keys: KeyKind;
  lists: ListPlace;
  queryOrder: boolean;
  /** Of the plan's keys; from the keys' side, of their units. */
  keyOrder: boolean;
  outside: 'skip' | 'zero';
  /** Key 'all' in query order under a causal mask: tiles that no pair of is kept are not visited. */
  causalTiles: boolean;
  /** Side 'keys': gradients are stored by slot, as a token stands in several. */
  bySlot: boolean;
  honourFullBlocks: boolean;
  /** WGSL of `keep`, `change` and `slope`; undefined: nothing is masked, scores stay, the slope is 1. */
  keep: string | undefined;
  change: string | undefined;
  slope: string | undefined;
  tableStages: readonly string[];
  tableBindings: Readonly<Record<string, StorageBinding>>;
  /** Of the side 'tables': what is gathered, and whether this run measures it or adds it up. */
  gathered: Gathered | undefined;
  memoryLimit: number;
}

const backwardFields = {
  ...shapeFields,
  units: 'u32',
  unitTiles: 'u32',
  unitSize: 'u32',
  unitSlots: 'u32',
  unitOrderAt: 'u32',
  inverseLists: 'u32',
  inverseEntriesAt: 'u32',
  /** Rows of a key head in the gradients: tokens, or slots where a token stands in several. */
  keyRows: 'u32',
} as const;

/** Rows and columns of the tile's pairs, as a side has them. */
interface Sides {
  rows: string;
  columns: string;
  ROWS: string;
  COLUMNS: string;
  own: readonly [a: string, b: string];
  other: readonly [a: string, b: string];
  ownRow: string;
  otherRow: string;
}

const fromQueries: Sides = {
  rows: 'queryTokens',
  columns: 'keyTokens',
  ROWS: 'QUERY_TILE',
  COLUMNS: 'KEY_TILE',
  own: ['query', 'outputGradient'],
  other: ['key', 'value'],
  ownRow: 'queryRow',
  otherRow: 'keyRow',
};

const sides: Record<Side, Sides> = {
  queries: fromQueries,
  tables: fromQueries,
  keys: {
    rows: 'keyTokens',
    columns: 'queryTokens',
    ROWS: 'KEY_TILE',
    COLUMNS: 'QUERY_TILE',
    own: fromQueries.other,
    other: fromQueries.own,
    ownRow: 'keyRow',
    otherRow: 'queryRow',
  },
};

function bindingsOf(options: BackwardKernelOptions): Bindings {
  const { side, storage, gradientStorage, headDim, valueDim, keys } = options;
  const listed = keys === 'ranges' || keys === 'boxes';
  const packed = options.lists === 'packed' && (side === 'keys' ? listed : keys !== 'all');
  const needsPlan = packed || options.queryOrder || options.keyOrder;
  return {
    query: rowBinding(storage, headDim), // [batch, heads, queryTokens, headDim]
    key: rowBinding(storage, headDim), // [batch, keyHeads, keyTokens, headDim]
    value: rowBinding(storage, valueDim), // [batch, keyHeads, keyTokens, valueDim]
    outputGradient: rowBinding(gradientStorage, valueDim), // [batch, heads, queryTokens, valueDim]
    rowStats: read('vec2<f32>'), // [batch, heads, queryTokens]: log2 of the sum, rowsum(dO ∘ O) − dL
    shape: uniform({ ...backwardFields, ...options.gathered?.fields }),
    ...(side === 'queries' && { queryGradient: write(elementOf('f32', headDim)) }),
    ...(side === 'keys' && {
      keyGradient: write(elementOf('f32', headDim)), // [batch, keyHeads, keyRows, headDim]
      valueGradient: write(elementOf('f32', valueDim)),
    }),
    ...(needsPlan && { plan: read('u32') }), // orders and host lists
    ...(options.lists === 'tensors' && (side !== 'keys' || listed) && { rows: read('u32') }),
    ...(options.lists === 'tensors' && side !== 'keys' && { blocks: read('u32') }),
    ...(side === 'keys' && keys !== 'all' && { inverse: read('u32') }),
    ...(options.gathered && gatherBindings),
    ...options.tableBindings,
  };
}

/** Per thread: weights s and their gradients d of each of its rows, later P and dS; gradients a and b of its own rows. */
const registers = ({ side, tile, slope }: BackwardKernelOptions) => {
  const { rowsPerThread, head, value } = tile;
  const gradients = (name: string, r: number, { columns }: Channels) =>
    each(columns, (c) => `var<private> ${name}${r}_${c}: vec4<f32>;`);
  return each(rowsPerThread, (r) =>
    [
      `var<private> s${r}: vec4<f32>;\nvar<private> d${r}: vec4<f32>;`,
      ...(slope && side !== 'tables' ? [`var<private> g${r}: vec4<f32>;`] : []),
      ...(side === 'keys' ? [] : [`var<private> l${r} = UNSEEN;\nvar<private> m${r} = 0.0;`]),
      ...(side === 'tables' ? [] : [gradients('a', r, head)]),
      ...(side === 'keys' ? [gradients('b', r, value)] : []),
    ].join('\n'),
  );
};

const capital = (name: string) => name[0].toUpperCase() + name.slice(1);

/** Rows into workgroup memory: a chunk of channels of the tile's rows and columns, or all channels of some columns. */
const loads = ({ side, tile }: BackwardKernelOptions) => {
  const { rowTile, columnTile, threads, chunk, columnLanes, head, value } = tile;
  const { rows, columns, ROWS, COLUMNS, own, other, ownRow, otherRow } = sides[side];
  const chunkOf = (matrix: string, tokens: string, row: string, TILE: string, vectors: number) => wgsl`
fn ${matrix}At(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = ${tokens}[min(i / CHUNK, ${TILE} - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < ${vectors}u) { return ${matrix}Vector(tile.${row} + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}`;
  const chunks = (['head', 'value'] as const).map(
    (channels, i) => wgsl`
${chunkOf(own[i], rows, ownRow, ROWS, tile[channels].vectors)}
${chunkOf(other[i], columns, otherRow, COLUMNS, tile[channels].vectors)}
${copy({ name: `load${capital(own[i])}`, total: rowTile * chunk, threads, read: `${own[i]}At`, write: 'putRow' })}
${copy({ name: `load${capital(other[i])}`, total: columnTile * chunk, threads, read: `${other[i]}At`, write: 'putColumn' })}`,
  );
  const stageOf = (matrix: string, { stage, columns: each, vectors }: Channels) => wgsl`
// The columns of a thread are COLUMN_LANES apart; rows lie in the order in which the weights name them.
fn ${matrix}Staged(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let k = min(i / ${each * columnLanes}u, ${stage - 1}u);
  let token = ${columns}[chunk * ${stage / 4}u + k / 4u + (k % 4u) * COLUMN_LANES];
  let d = i % ${each * columnLanes}u;
  if (token >= 0 && d < ${vectors}u) { return ${matrix}Vector(tile.${otherRow} + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}
${copy({ name: `stage${capital(matrix)}`, total: stage * each * columnLanes, threads, read: `${matrix}Staged`, write: 'putStaged' })}`;
  return wgsl`
fn putRow(i: u32, numbers: vec4<f32>, generation: u32) {
  operands[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putColumn(i: u32, numbers: vec4<f32>, generation: u32) {
  operands[COLUMNS_AT + (i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putStaged(i: u32, numbers: vec4<f32>, generation: u32) {
  operands[i] = numbers;
}
${chunks.join('\n')}
${side === 'tables' ? '' : stageOf(other[0], head)}
${side === 'keys' ? stageOf(other[1], value) : ''}`;
};

/** S = S + rows columnsᵀ over one chunk of channels, into the registers \`to\`. */
const products = (name: string, to: string, { rowsPerThread }: BackwardShape) => wgsl`
fn ${name}(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  for (var d = 0u; d < CHUNK; d++) {
${each(4, (j) => `    let k${j} = operands[COLUMNS_AT + (columnLane + ${j}u * COLUMN_LANES) * (CHUNK + 1u) + d];`)}
    let x = vec4<f32>(k0.x, k1.x, k2.x, k3.x);
    let y = vec4<f32>(k0.y, k1.y, k2.y, k3.y);
    let z = vec4<f32>(k0.z, k1.z, k2.z, k3.z);
    let w = vec4<f32>(k0.w, k1.w, k2.w, k3.w);
${each(
  rowsPerThread,
  (r) => `    let q${r} = operands[(rowLane + ${r}u * ROW_LANES) * (CHUNK + 1u) + d];
    ${to}${r} += q${r}.x * x;
    ${to}${r} += q${r}.y * y;
    ${to}${r} += q${r}.z * z;
    ${to}${r} += q${r}.w * w;`,
)}
  }
}`;

/** The statistics of the thread's rows stay in its registers where rows are queries. */
const rowStatistics = ({ rowsPerThread }: BackwardShape) => wgsl`
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

const ofColumns = (array: string) =>
  `vec4<f32>(${[0, 1, 2, 3].map((j) => `${array}[columnLane + ${j}u * COLUMN_LANES]`).join(', ')})`;

/** P = 2^(S log₂e scale − L), 0 where there is no pair. */
const weighPlain = ({ side, tile }: BackwardKernelOptions) => wgsl`
fn weigh(tile: Located, start: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
${side === 'keys' ? `  let sum = ${ofColumns('sums')};` : `  let absent = vec4<bool>(${[0, 1, 2, 3].map((j) => `keyTokens[columnLane + ${j}u * COLUMN_LANES] == ABSENT`).join(', ')});`}
${each(tile.rowsPerThread, (r) =>
  side === 'keys'
    ? `  s${r} = weightsOf(s${r} * (shape.scale * LOG2_E) - sum);`
    : `  s${r} = select(weightsOf(s${r} * (shape.scale * LOG2_E) - l${r}), vec4<f32>(), absent);`,
)}
}

fn weightsOf(x: vec4<f32>) -> vec4<f32> { return select(exp2(x), vec4<f32>(), x < vec4<f32>(HIDDEN)); }`;

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
  pair.full = LISTS_BLOCKS == 1u && (visits[column] >> 31u) == 1u;
  return pair;
}`,
};

const pairArguments = 'i32(tile.batch), i32(tile.head), pair.query, pair.key, pair.querySlot, pair.keySlot';

const weighPair = (options: BackwardKernelOptions) => wgsl`
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
const weighChanged = ({ side, tile, slope }: BackwardKernelOptions) => {
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
const scoreGradients = ({ side, tile, slope }: BackwardKernelOptions) => wgsl`
fn scoreGradients(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
${side === 'keys' ? `  let mean = ${ofColumns('means')};` : ''}
${each(
  tile.rowsPerThread,
  (r) =>
    `  d${r} = select(s${r} * (d${r} - ${side === 'keys' ? 'mean' : `m${r}`})${slope ? ` * g${r}` : ''}, vec4<f32>(), s${r} == vec4<f32>());`,
)}
}`;

/** Lets the other threads of a row see this thread's part of it. */
const put = (name: string, from: string, { rowsPerThread }: BackwardShape) => wgsl`
fn ${name}(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
${each(rowsPerThread, (r) => `  weights[(rowLane + ${r}u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = ${from}${r};`)}
}`;

/** gradient = gradient + weights columns over the staged columns. */
const accumulate = (name: string, to: string, tile: BackwardShape, { stage, columns }: Channels) => wgsl`
fn ${name}(chunk: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  for (var k = 0u; k < ${stage / 4}u; k++) {
    let at = chunk * ${stage / 4}u + k;
${each(tile.rowsPerThread, (r) => `    let p${r} = weights[(rowLane + ${r}u * ROW_LANES) * (COLUMN_LANES + 1u) + at];`)}
${each(4, (j) =>
  each(
    columns,
    (
      c,
    ) => `    let v${j}_${c} = operands[(4u * k + ${j}u) * ${columns * tile.columnLanes}u + ${c}u * COLUMN_LANES + columnLane];
${each(tile.rowsPerThread, (r) => `    ${to}${r}_${c} += p${r}[${j}] * v${j}_${c};`)}`,
  ),
)}
  }
}`;

const startTile = ({ rowsPerThread }: BackwardShape) => wgsl`
fn startTile() {
${each(rowsPerThread, (r) => `  s${r} = vec4<f32>();\n  d${r} = vec4<f32>();`)}
}`;

const storeColumns = (
  row: string,
  matrix: string,
  from: string,
  factor: string,
  { columns, vectors }: Channels,
) =>
  each(
    columns,
    (c) =>
      `      if (columnLane + ${c}u * COLUMN_LANES < ${vectors}u) { ${matrix}Store(${row}, columnLane + ${c}u * COLUMN_LANES, ${factor}${from}_${c}); }`,
  );

const store = {
  queries: ({ rowsPerThread, head }: BackwardShape) => wgsl`
fn store(tile: Located, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
${each(
  rowsPerThread,
  (r) => `  {
    let token = queryTokens[rowLane + ${r}u * ROW_LANES];
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
${storeColumns('row', 'queryGradient', `a${r}`, 'shape.scale * ', head)}
    }
  }`,
)}
}`,
  keys: ({ rowsPerThread, head, value }: BackwardShape) => wgsl`
fn store(tile: Located, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  let firstRow = (tile.batch * shape.keyHeads + tile.keyHead) * shape.keyRows;
${each(
  rowsPerThread,
  (r) => `  {
    let token = keyTokens[rowLane + ${r}u * ROW_LANES];
    if (token >= 0) {
      let row = firstRow + select(u32(token), tile.firstSlot + rowLane + ${r}u * ROW_LANES, BY_SLOT == 1u);
${storeColumns('row', 'keyGradient', `a${r}`, 'shape.scale * ', head)}
${storeColumns('row', 'valueGradient', `b${r}`, '', value)}
    }
  }`,
)}
}`,
};

/** S = Q Kᵀ and dP = dO Vᵀ of a tile, then P and, on two of the sides, dS. */
const tileOfPairs = ({ side, tile }: BackwardKernelOptions) => {
  const { own, other } = sides[side];
  const over = (i: 0 | 1, chunks: number, stage: string) => wgsl`
    for (var chunk = 0u; chunk < ${chunks}u; chunk++) {
      load${capital(own[i])}(tile, chunk, 0u, lane);
      load${capital(other[i])}(tile, chunk, 0u, lane);
      workgroupBarrier();
      ${stage}(lane);
      workgroupBarrier();
    }`;
  return {
    scores: over(0, tile.head.chunks, 'scores'),
    weights: over(1, tile.value.chunks, 'weightProducts'),
  };
};

const gradientOver = (matrix: string, name: string, columnTile: number, { stage }: Channels) => wgsl`
    for (var chunk = 0u; chunk < ${columnTile / stage}u; chunk++) {
      stage${capital(matrix)}(tile, chunk, 0u, lane);
      workgroupBarrier();
      ${name}(chunk, lane);
      workgroupBarrier();
    }`;

const mains: Record<Side, (options: BackwardKernelOptions) => string> = {
  queries: (options) => {
    const { scores, weights } = tileOfPairs(options);
    const { columnTile, head } = options.tile;
    return wgsl`
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  workgroupBarrier();
  loadStatistics(tile, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    resolveKeys(tile, start, count, lane);
    startTile();
    workgroupBarrier();
${scores}
    weigh(tile, start, lane);
${weights}
    scoreGradients(lane);
    putScoreGradients(lane);
${gradientOver('key', 'accumulateKeys', columnTile, head)}
  }
  store(tile, lane);`;
  },
  keys: (options) => {
    const { scores, weights } = tileOfPairs(options);
    const { columnTile, head, value } = options.tile;
    return wgsl`
  var tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  resolveKeys(tile, lane);
  for (var member = 0u; member < shape.heads / shape.keyHeads; member++) {
    tile = withHead(tile, member);
    let count = queryCount(tile);
    for (var start = firstQuery(tile); start < count; start += QUERY_TILE) {
    resolveQueries(tile, start, count, lane);
    startTile();
    workgroupBarrier();
${scores}
    weigh(tile, start, lane);
${weights}
    scoreGradients(lane);
    putWeights(lane);
${gradientOver('outputGradient', 'accumulateGradients', columnTile, value)}
    putScoreGradients(lane);
${gradientOver('query', 'accumulateQueries', columnTile, head)}
    }
  }
  store(tile, lane);`;
  },
  tables: (options) => {
    const { scores, weights } = tileOfPairs(options);
    return wgsl`
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  workgroupBarrier();
  loadStatistics(tile, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    resolveKeys(tile, start, count, lane);
    startTile();
    workgroupBarrier();
${scores}
${weights}
    gather(tile, start, lane);
    workgroupBarrier();
  }
  flushAll();`;
  },
};

/**
 * One side of softmax attention's gradients in plain f32. From the queries' side a workgroup owns query rows and walks
 * the keys they see (dQ = scale dS K); from the keys' side it owns key rows and walks the queries that see them
 * (dV = Pᵀ dO, dK = scale dSᵀ Q), so that nothing is ever added by two workgroups. Scores are made again from Q and K;
 * with the log-sum-exp known P needs no running maximum. Threads divide rows and columns as in the forward pass.
 */
export function portableBackward(options: BackwardKernelOptions): Kernel {
  const key = JSON.stringify(options);
  let kernel = kernels.get(key);
  if (!kernel) {
    if (kernels.size >= MOST_KERNELS) kernels.clear();
    kernel = makeBackward(options);
    kernels.set(key, kernel);
  }
  return kernel;
}

/** Texts by their options, which are data alone. */
const kernels = new Map<string, Kernel>();
const MOST_KERNELS = 256;

function makeBackward(options: BackwardKernelOptions): Kernel {
  const { side, tile, storage, headDim, valueDim, keys } = options;
  const { rowTile, columnTile } = tile;
  const partly = side === 'keys' && (keys === 'ranges' || keys === 'boxes');
  const changed =
    partly || options.keep !== undefined || options.change !== undefined || options.slope !== undefined;
  const expressions = [
    ...options.tableStages,
    ...[options.keep, options.change, side === 'tables' ? undefined : options.slope].filter(
      (text) => text !== undefined,
    ),
  ];
  return assemble({
    name: `softmax-backward-portable-${side}`,
    bindings: bindingsOf(options),
    constants: {
      QUERY_TILE: side === 'keys' ? columnTile : rowTile,
      KEY_TILE: side === 'keys' ? rowTile : columnTile,
      ROWS: tile.rowsPerThread,
      COLUMN_LANES: tile.columnLanes,
      ROW_LANES: tile.rowLanes,
      THREADS: tile.threads,
      CHUNK: tile.chunk,
      COLUMNS_AT: rowTile * (tile.chunk + 1),
      NO_TOKEN: 0xffffffff,
      BY_SLOT: Number(options.bySlot),
      LISTS_BLOCKS: Number(keys === 'blocks'),
    },
    memory: tile.memory,
    registers: `const LOG2_E = 1.4426950408889634;
// A row that sees no key has this for a sum, so that its weights are 0; sums and scores from here on are never real.
const UNSEEN = 1e30;
const HIDDEN = -1e29;
${registers(options)}`,
    stages: [
      keyConstants,
      readVector('query', storage, headDim),
      readVector('key', storage, headDim),
      readVector('value', storage, valueDim),
      readVector('outputGradient', options.gradientStorage, valueDim),
      ...(side === 'queries' ? [storeVector('queryGradient', 'f32', headDim)] : []),
      ...(side === 'keys'
        ? [storeVector('keyGradient', 'f32', headDim), storeVector('valueGradient', 'f32', valueDim)]
        : []),
      ...(side === 'keys'
        ? [
            queryInOrder(options),
            ...visitStages({
              keys,
              lists: options.lists,
              unitOrder: options.keyOrder,
              startLate: options.causalTiles,
            }),
          ]
        : [
            rowStages(options),
            resolveKeys,
            ...keyStages({
              kind: keys,
              place: options.lists,
              ordered: options.keyOrder,
              stopEarly: options.causalTiles,
              outside: options.outside,
            }),
            rowStatistics(tile),
          ]),
      loads(options),
      products('scores', 's', tile),
      products('weightProducts', 'd', tile),
      startTile(tile),
      ...expressions,
      ...(side === 'tables'
        ? [weighPair(options), ...gatherStages(options, pairArguments)]
        : [
            ...(changed ? [weighPair(options), weighChanged(options)] : [weighPlain(options)]),
            scoreGradients(options),
            put('putScoreGradients', 'd', tile),
          ]),
      ...(side === 'queries' ? [accumulate('accumulateKeys', 'a', tile, tile.head)] : []),
      ...(side === 'keys'
        ? [
            put('putWeights', 's', tile),
            accumulate('accumulateGradients', 'b', tile, tile.value),
            accumulate('accumulateQueries', 'a', tile, tile.head),
          ]
        : []),
      ...(side === 'tables' ? [] : [store[side](tile)]),
    ],
    threads: tile.threads,
    memoryLimit: options.memoryLimit,
    main: mains[side](options),
  });
}
