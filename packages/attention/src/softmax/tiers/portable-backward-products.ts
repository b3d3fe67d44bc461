import { wgsl } from '../../wgsl/assemble.ts';
import { type BackwardKernelOptions, sides } from './backward-options.ts';
import { copy } from './copy.ts';
import type { BackwardShape, Channels } from './portable-backward-tile.ts';
import { each } from './text.ts';

/** Per thread: weights s and their gradients d of each of its rows, later P and dS; gradients a and b of its own rows. */
export const registers = ({ side, tile, slope }: BackwardKernelOptions) => {
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

export const capital = (name: string) => name[0].toUpperCase() + name.slice(1);

/** Rows into workgroup memory: a chunk of channels of the tile's rows and columns, or all channels of some columns. */
export const loads = ({ side, tile }: BackwardKernelOptions) => {
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
fn putRow(i: u32, numbers: vec4<f32>) {
  operands[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putColumn(i: u32, numbers: vec4<f32>) {
  operands[COLUMNS_AT + (i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putStaged(i: u32, numbers: vec4<f32>) {
  operands[i] = numbers;
}
${chunks.join('\n')}
${side === 'tables' ? '' : stageOf(other[0], head)}
${side === 'keys' ? stageOf(other[1], value) : ''}`;
};

/** S = S + rows columnsᵀ over one chunk of channels, into the registers \`to\`. */
export const products = (name: string, to: string, { rowsPerThread }: BackwardShape) => wgsl`
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

/** Lets the other threads of a row see this thread's part of it. */
export const put = (name: string, from: string, { rowsPerThread }: BackwardShape) => wgsl`
fn ${name}(lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
${each(rowsPerThread, (r) => `  weights[(rowLane + ${r}u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = ${from}${r};`)}
}`;

/** gradient = gradient + weights columns over the staged columns. */
export const accumulate = (
  name: string,
  to: string,
  tile: BackwardShape,
  { stage, columns }: Channels,
) => wgsl`
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

export const startTile = ({ rowsPerThread }: BackwardShape) => wgsl`
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

export const store = {
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
