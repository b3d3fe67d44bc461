import { wgsl } from '../../wgsl/assemble.ts';
import { type BackwardOptionsOfSide, sides } from './backward-options.ts';
import { COLUMN_TILE, type MatrixBackwardShape } from './matrix-backward-tile.ts';
import { readWord } from './matrix-loads.ts';
import { each } from './text.ts';

const channels = ({ headDim, valueDim }: BackwardOptionsOfSide) =>
  ({ query: headDim, key: headDim, value: valueDim, outputGradient: valueDim }) as Record<string, number>;

/** `rowWord` and `columnWord`: a word of the first or second matrix of a side's rows and columns. */
export function wordStages(options: BackwardOptionsOfSide, { stride }: MatrixBackwardShape): string[] {
  const { own, other } = sides[options.side];
  const choose = (name: string, [first, second]: readonly [string, string]) => wgsl`
fn ${name}(second: bool, row: u32, d: u32) -> vec4<u32> {
  if (second) { return ${second}Word(row, d); }
  return ${first}Word(row, d);
}`;
  return [
    ...[...own, ...other].map((name) => readWord(name, channels(options)[name], stride - 1)),
    choose('rowWord', own),
    choose('columnWord', other),
  ];
}

/** Copies the workgroup's rows of both matrices into memory, from where they become fragments. */
export function stageRows(options: BackwardOptionsOfSide, shape: MatrixBackwardShape): string {
  const { rows, ownRow } = sides[options.side];
  const { rowTile, stride, threads } = shape;
  const words = stride - 1;
  return wgsl`
fn stageRows(tile: Located, lane: u32) {
  for (var i = lane; i < ${2 * rowTile * words}u; i += ${threads}u) {
    let row = (i / ${words}u) % ${rowTile}u;
    let second = i >= ${rowTile * words}u;
    let token = ${rows}[row];
    var numbers = vec4<u32>();
    if (token >= 0) { numbers = rowWord(second, tile.${ownRow} + u32(token), i % ${words}u); }
    tileMemory[select(0u, ${rowTile * stride}u, second) + row * ${stride}u + i % ${words}u] = numbers;
  }
}`;
}

/** Words of a tile of columns, both matrices. */
const total = ({ stride }: MatrixBackwardShape) => 2 * COLUMN_TILE * (stride - 1);

const carried = (shape: MatrixBackwardShape) => Math.ceil(total(shape) / shape.threads);

/** Declares what a thread carries of the next tile: words of its rows and, on the keys' side, statistics of four queries. */
export function declareColumns(side: string, shape: MatrixBackwardShape): string {
  return `${each(carried(shape), (n) => `  var words${n}: vec4<u32>;`)}
${side === 'keys' ? '  var nextSums: vec4<f32>;\n  var nextMeans: vec4<f32>;' : ''}
${shape.looksUp ? `  var tokenOfNext = ABSENT;\n${side === 'keys' ? '  var visitOfNext = 0u;' : ''}` : ''}`;
}

/** What the loads of a tile need to know of it: `first`, the token of its first column, and `end`, that behind its last. */
const place = (side: string, shape: MatrixBackwardShape, start: string) => {
  if (!shape.contiguous) return '';
  return side === 'keys'
    ? `let firstSlot = slotAt(tile, min(${start}, max(count, 1u) - 1u));
      let present = min(count - min(${start}, count), shape.querySlots - min(firstSlot, shape.querySlots));
      let firstRow = tile.queryRow + firstSlot;`
    : `let firstRow = tile.keyRow + u32(keyToken(tile, min(${start}, max(count, 1u) - 1u)) & TOKEN_BITS);
      let present = count - min(${start}, count);`;
};

/**
 * Reads the thread's words of the tile that starts at `start` into registers, so that work goes on meanwhile.
 * @param tokensAt where the tile's tokens begin, if they are looked up
 */
export function fetchColumns(
  options: BackwardOptionsOfSide,
  shape: MatrixBackwardShape,
  start: string,
  tokensAt: string,
): string {
  const { side } = options;
  const { columns, otherRow } = sides[side];
  const { stride, threads, contiguous } = shape;
  const words = stride - 1;
  const all = total(shape);
  const word = (n: number) => {
    const i = `(lane + ${n * threads}u)`;
    const row = `(${i} / ${words}u) % ${COLUMN_TILE}u`;
    const [firstAt, endAt] = [n * threads, (n + 1) * threads];
    const second = endAt <= all / 2 ? 'false' : firstAt >= all / 2 ? 'true' : `${i} >= ${all / 2}u`;
    const inside = all % threads === 0 ? 'true' : `${i} < ${all}u`;
    return contiguous
      ? `      words${n} = vec4<u32>();
      if (${inside} && ${row} < present) { words${n} = columnWord(${second}, firstRow + ${row}, ${i} % ${words}u); }`
      : `      words${n} = vec4<u32>();
      if (${inside}) {
        let token = ${columns}[${tokensAt} + ${row}];
        if (token >= 0) { words${n} = columnWord(${second}, tile.${otherRow} + u32(token & TOKEN_BITS), ${i} % ${words}u); }
      }`;
  };
  const statistics = wgsl`      if (lane < ${COLUMN_TILE / 4}u) {
${each(4, (i) =>
  contiguous
    ? `        if (4u * lane + ${i}u < present) {
          let row = statisticsOf(firstRow + 4u * lane + ${i}u);
          nextSums[${i}] = row.x;
          nextMeans[${i}] = row.y;
        } else {
          nextSums[${i}] = -UNSEEN;
          nextMeans[${i}] = 0.0;
        }`
    : `        {
          let token = queryTokens[${tokensAt} + 4u * lane + ${i}u];
          nextSums[${i}] = -UNSEEN;
          nextMeans[${i}] = 0.0;
          if (token >= 0) {
            let row = statisticsOf(tile.queryRow + u32(token));
            nextSums[${i}] = row.x;
            nextMeans[${i}] = row.y;
          }
        }`,
)}
      }`;
  return `      {
      ${place(side, shape, start)}
${each(carried(shape), word)}
${side === 'keys' ? statistics : ''}
      }`;
}

/** Puts what fetchColumns read into memory. */
export function storeColumns(side: string, shape: MatrixBackwardShape): string {
  const { stride, threads } = shape;
  const words = stride - 1;
  const all = total(shape);
  return `${each(carried(shape), (n) => {
    const i = `(lane + ${n * threads}u)`;
    // the second matrix follows the first without a gap: rows of both count on
    const put = `tileMemory[(${i} / ${words}u) * ${stride}u + ${i} % ${words}u] = words${n};`;
    return all % threads === 0 ? `      ${put}` : `      if (${i} < ${all}u) { ${put} }`;
  })}
${
  side === 'keys'
    ? `      if (lane < ${COLUMN_TILE / 4}u) {
        columnStatistics[lane] = nextSums;
        columnStatistics[${COLUMN_TILE / 4}u + lane] = nextMeans;
      }`
    : ''
}`;
}

/** Looks the thread's column of the tile at `start` up, into registers. */
export function lookUp(side: string, { looksUp }: MatrixBackwardShape, start: string): string {
  if (!looksUp) return '';
  return side === 'keys'
    ? `      if (lane < ${COLUMN_TILE}u) {
        let found = queryAt(tile, ${start} + lane, count);
        tokenOfNext = bitcast<i32>(found.x);
        visitOfNext = found.y;
      }`
    : `      if (lane < ${COLUMN_TILE}u) { tokenOfNext = keyAt(tile, ${start} + lane, count); }`;
}

/** Puts what lookUp found into memory. */
export function storeTokens(side: string, { looksUp }: MatrixBackwardShape, tokensAt: string): string {
  if (!looksUp) return '';
  return side === 'keys'
    ? `      if (lane < ${COLUMN_TILE}u) {
        queryTokens[${tokensAt} + lane] = tokenOfNext;
        visits[${tokensAt} + lane] = visitOfNext;
      }`
    : `      if (lane < ${COLUMN_TILE}u) { keyTokens[${tokensAt} + lane] = tokenOfNext; }`;
}

/** The functions that the texts above call. */
export function lookUpStages(
  options: BackwardOptionsOfSide,
  { looksUp, contiguous }: MatrixBackwardShape,
): string[] {
  if (options.side === 'queries')
    return looksUp
      ? [
          wgsl`
fn keyAt(tile: Located, slot: u32, count: u32) -> i32 {
  if (slot < count) { return keyToken(tile, slot); }
  return ABSENT;
}`,
        ]
      : [];
  return [
    wgsl`
// (L, mean) of a row as exponents and gradients of scores take them.
fn statisticsOf(row: u32) -> vec2<f32> {
  let statistics = rowStats[row];
  return vec2<f32>(WEIGHT_BITS - statistics.x, -statistics.y * scales[OUTPUT] * scales[SCORE]);
}`,
    ...(contiguous
      ? [
          options.keys === 'all'
            ? 'fn slotAt(tile: Located, at: u32) -> u32 { return at; }'
            : wgsl`
fn slotAt(tile: Located, at: u32) -> u32 {
  return visitAt(tile, at / shape.queryBlock).x * shape.queryBlock + at % shape.queryBlock;
}`,
        ]
      : []),
    ...(looksUp
      ? [
          wgsl`
fn queryAt(tile: Located, at: u32, count: u32) -> vec2<u32> {
  var found = vec2<u32>(bitcast<u32>(ABSENT), 0u);
  if (at < count) {
    let visit = visitAt(tile, at / shape.queryBlock);
    let slot = visit.x * shape.queryBlock + at % shape.queryBlock;
    found.y = visit.y;
    if (slot < shape.querySlots) { found.x = bitcast<u32>(queryInOrder(slot)); }
  }
  return found;
}`,
        ]
      : []),
  ];
}
