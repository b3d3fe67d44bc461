import { wgsl } from '../../wgsl/assemble.ts';
import type { MatrixShape } from './matrix-tile.ts';
import { each } from './text.ts';

/**
 * `weigh`: lanes turn rows of scores into P = 2^(S − m), as halves. A half holds 2^15, so the base m of a row may stay what the
 * maximum of its first keys was, and nothing is rescaled on the way. A row that outgrows its base sets `outgrown`: the
 * workgroup then starts again, first for the exact maxima, then with them as bases.
 */
export function weighStages(shape: MatrixShape): string[] {
  const { lanesPerRow, keyTile, scoreStride, weightStride, weightsOfLane } = shape;
  const vectors = keyTile / 4 / lanesPerRow;
  const names = (letter: string) => Array.from({ length: vectors }, (_, v) => `${letter}${v}`);
  return [
    finishScores(shape),
    wgsl`
const LOWEST = -1e25;
const MOST = 32768.0;
const FIRST = 0u;
const MAXIMA = 1u;
const EXACT = 2u;
var<private> base = -1e30;
var<private> sum = 0.0;

fn weigh(tile: Located, start: u32, count: u32, firstToken: i32, tokensAt: u32, plain: bool, row: u32, part: u32, mode: u32) {
  let at = SCORES_AT + row * ${scoreStride}u + part * ${vectors}u;
  if (!plain) { finishScores(tile, start, count, firstToken, tokensAt, row, part * ${vectors}u); }
  let factor = ${shape.hiding === 'expressions' ? 'select(1.0, abs(shape.scale) * LOG2_E, plain)' : 'abs(shape.scale) * LOG2_E'};
${each(vectors, (v) => `  let s${v} = bitcast<vec4<f32>>(tileMemory[at + ${v}u]);`)}
  if (mode == MAXIMA || (mode == FIRST && subgroupAny(base < LOWEST))) {
    let largest = ${maximum(names('s'))};
    var highest = max(max(largest.x, largest.y), max(largest.z, largest.w)) * factor;
${each(Math.log2(lanesPerRow), (i) => `    highest = max(highest, subgroupShuffleXor(highest, ${2 ** i}u));`)}
    if (mode == MAXIMA) {
      base = max(base, highest);
      return;
    }
    if (base < LOWEST && highest > LOWEST) { base = highest; }
  }
  let minus = vec4<f32>(-max(base, LOWEST));
  let factors = vec4<f32>(factor);
${each(vectors, (v) => `  let p${v} = exp2(fma(s${v}, factors, minus));`)}
  let totals = ${names('p').join(' + ')};
  let total = (totals.x + totals.y) + (totals.z + totals.w);
  if (total > MOST) { atomicStore(&outgrown[0], 1u); }
  sum += total;
${each(
  vectors / 2,
  (w) =>
    `  tileMemory[WEIGHTS_AT + row * ${weightStride}u + part * ${weightsOfLane}u + ${w}u] = vec4<u32>(pack2x16float(p${2 * w}.xy), pack2x16float(p${2 * w}.zw), pack2x16float(p${2 * w + 1}.xy), pack2x16float(p${2 * w + 1}.zw));`,
)}
}`,
  ];
}

/** Pairwise, so that the comparisons do not wait for each other. */
function maximum(names: readonly string[]): string {
  if (names.length === 1) return names[0];
  const middle = names.length >> 1;
  return `max(${maximum(names.slice(0, middle))}, ${maximum(names.slice(middle))})`;
}

/** Hides in memory what the row does not see of a tile that is not plain; expressions leave the scores scaled. */
function finishScores(shape: MatrixShape): string {
  const { lanesPerRow, keyTile, scoreStride, complete, hiding } = shape;
  const body = {
    nothing: complete
      ? 'select(bitcast<vec4<u32>>(vec4<f32>(HIDDEN)), tileMemory[at], keys < vec4<u32>(count - start))'
      : `select(bitcast<vec4<u32>>(vec4<f32>(HIDDEN)), tileMemory[at],
      vec4<i32>(keyTokens[tokensAt + key], keyTokens[tokensAt + key + 1u], keyTokens[tokensAt + key + 2u], keyTokens[tokensAt + key + 3u]) != vec4<i32>(ABSENT))`,
    causal: `select(bitcast<vec4<u32>>(vec4<f32>(HIDDEN)), tileMemory[at],
      (keys < vec4<u32>(count - start)) & (vec4<i32>(keys) <= vec4<i32>(last)))`,
    band: `select(bitcast<vec4<u32>>(vec4<f32>(HIDDEN)), tileMemory[at],
      (keys < vec4<u32>(count - start)) & (vec4<i32>(keys) <= vec4<i32>(last)) &
      ((vec4<i32>(keys) >= vec4<i32>(first)) | (vec4<i32>(keys) < vec4<i32>(sink))))`,
    expressions: `bitcast<vec4<u32>>(vec4<f32>(
      finishPair(tile, query, querySlot, keyTokens[tokensAt + key], start + key, s.x),
      finishPair(tile, query, querySlot, keyTokens[tokensAt + key + 1u], start + key + 1u, s.y),
      finishPair(tile, query, querySlot, keyTokens[tokensAt + key + 2u], start + key + 2u, s.z),
      finishPair(tile, query, querySlot, keyTokens[tokensAt + key + 3u], start + key + 3u, s.w),
    ))`,
  }[hiding];
  const before = {
    nothing: '',
    causal: '  let last = queryToken(tile, row) + shape.causalOffset - (firstToken & TOKEN_BITS);\n',
    band: `  let own = queryToken(tile, row) + i32(rowAt(3u)) - firstToken;
  let first = own - i32(rowAt(1u));
  let last = own + i32(rowAt(2u));
  let sink = i32(rowAt(0u)) - firstToken;
`,
    // products lose the sign that stageQueries gave them
    expressions: `  let query = queryToken(tile, row);
  let querySlot = i32(tile.firstSlot - tile.block * shape.queryBlock + row);
  let turn = select(1.0, -1.0, shape.scale < 0.0);
`,
  }[hiding];
  return wgsl`
fn finishScores(tile: Located, start: u32, count: u32, firstToken: i32, tokensAt: u32, row: u32, firstVector: u32) {
${before}  for (var v = 0u; v < ${keyTile / 4 / lanesPerRow}u; v++) {
    let at = SCORES_AT + row * ${scoreStride}u + firstVector + v;
    let key = 4u * (firstVector + v);
    let keys = vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u);
${hiding === 'expressions' ? '    let s = turn * bitcast<vec4<f32>>(tileMemory[at]);\n' : ''}    tileMemory[at] = ${body};
  }
}`;
}

/** Whether a tile needs no finishing: all keys are there, and every pair is kept as it is. The same for all its rows. */
export function plainTile(
  { contiguous, marked, complete, hiding }: MatrixShape,
  { change, honourFullBlocks }: { change: string | undefined; honourFullBlocks: boolean },
): string {
  if (!complete) return 'false';
  const whole = 'start + KEY_TILE <= count';
  if (hiding === 'nothing') return whole;
  if (!contiguous && !marked) return 'false';
  switch (hiding) {
    // bands walk over such tiles by themselves
    case 'band':
      return 'false';
    case 'causal':
      return `${whole} && (firstToken & TOKEN_BITS) + i32(KEY_TILE) <= firstQuery + shape.causalOffset + 1`;
    case 'expressions':
      return honourFullBlocks && change === undefined ? `${whole} && firstToken >= FULL` : 'false';
  }
}
