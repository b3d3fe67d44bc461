import { wgsl } from '../../wgsl/assemble.ts';
import type { BackwardOptionsOfSide } from './backward-options.ts';
import { COLUMN_TILE, type MatrixBackwardShape } from './matrix-backward-tile.ts';
import { FRAGMENT } from './matrix-tile.ts';
import { each } from './text.ts';

/**
 * `weigh`: lanes turn rows of S and dP into P = 2^(S − L) and dS = P ∘ (dP − mean), as halves in their places. No maximum
 * is needed, the sums are known. P carries the factor 2^WEIGHT_BITS and dS the call's own (gradient-scales.ts), so that
 * both use the range that halves have.
 */
export function weighStages(options: BackwardOptionsOfSide, shape: MatrixBackwardShape): string[] {
  const { columnsOfLane, scoreStride, scoreWords, scoresAt, hiding } = shape;
  const vectors = columnsOfLane / 4;
  const keys = options.side === 'keys';
  const statistics = keys
    ? (v: number) => `  let sum${v} = columnStatistics[part * ${vectors}u + ${v}u];
  let mean${v} = columnStatistics[${COLUMN_TILE / 4}u + part * ${vectors}u + ${v}u];`
    : (v: number) => `  let sum${v} = vec4<f32>(rowSum);\n  let mean${v} = vec4<f32>(rowMean);`;
  return [
    wgsl`
// Of the queries' side, the row's own: the sum as an exponent takes it, and what is added to dP.
var<private> rowSum = -UNSEEN;
var<private> rowMean = 0.0;`,
    ...(hiding === 'expressions' ? [finishWeights(options, shape)] : []),
    wgsl`
fn weigh(tile: Located, start: u32, count: u32, tokensAt: u32, plain: bool, row: u32, part: u32) {
  let at = ${scoresAt}u + row * ${scoreStride}u + part * ${vectors}u;
${hiding === 'expressions' ? '  if (!plain) { finishWeights(tile, start, tokensAt, row, part); }\n' : ''}  let factor = vec4<f32>(shape.scale * LOG2_E);
  let gradientFactor = vec4<f32>(scales[SCORE]);
${each(vectors, statistics)}
${each(
  vectors,
  (v) => `  let s${v} = bitcast<vec4<f32>>(tileMemory[at + ${v}u]);
  let d${v} = bitcast<vec4<f32>>(tileMemory[at + ${scoreWords + v}u]);
  var p${v} = exp2(fma(s${v}, factor, sum${v}));`,
)}
${hide(options, shape)}
${each(vectors, (v) => `  let g${v} = p${v} * fma(d${v}, gradientFactor, mean${v});`)}
${put(shape)}
}`,
  ];
}

/** Sets the weights of pairs that are not there, or that the mask forbids, to zero. */
function hide(
  { side }: BackwardOptionsOfSide,
  { columnsOfLane, hiding, complete, looksUp }: MatrixBackwardShape,
): string {
  const vectors = columnsOfLane / 4;
  const where = (condition: (v: number) => string) =>
    `  if (!plain) {\n${each(vectors, (v) => `    p${v} = select(vec4<f32>(), p${v}, ${condition(v)});`)}\n  }`;
  const column = (v: number) =>
    `(vec4<u32>(part * ${columnsOfLane}u + ${4 * v}u) + vec4<u32>(0u, 1u, 2u, 3u))`;
  if (hiding === 'expressions') return each(vectors, (v) => `  p${v} = select(s${v}, p${v}, plain);`);
  // queries that are not there have a sum that makes their weights zero
  if (side === 'keys')
    return hiding === 'nothing'
      ? ''
      : `  let first = keyTokens[row] - shape.causalOffset - i32(start);\n${where((v) => `vec4<i32>(${column(v)}) >= vec4<i32>(first)`)}`;
  const present = (v: number) => `(${column(v)} < vec4<u32>(count - start))`;
  if (hiding === 'causal')
    return `  let last = queryTokens[row] + shape.causalOffset - i32(start);
${where((v) => `${present(v)} & (vec4<i32>(${column(v)}) <= vec4<i32>(last))`)}`;
  if (complete || !looksUp) return where(present);
  const tokens = (v: number) =>
    [0, 1, 2, 3].map((i) => `keyTokens[tokensAt + part * ${columnsOfLane}u + ${4 * v + i}u]`).join(', ');
  return where((v) => `vec4<i32>(${tokens(v)}) != vec4<i32>(ABSENT)`);
}

/** Weights of a tile with expressions, into the places of its scores. */
function finishWeights(
  { side }: BackwardOptionsOfSide,
  { columnsOfLane, scoresAt, scoreStride }: MatrixBackwardShape,
): string {
  const vectors = columnsOfLane / 4;
  return wgsl`
fn finishWeights(tile: Located, start: u32, tokensAt: u32, row: u32, part: u32) {
  for (var v = part * ${vectors}u; v < (part + 1u) * ${vectors}u; v++) {
    let at = ${scoresAt}u + row * ${scoreStride}u + v;
    let products = bitcast<vec4<f32>>(tileMemory[at]);
    let sums = ${side === 'keys' ? '-columnStatistics[v]' : 'vec4<f32>(-rowSum)'};
    var weights: vec4<f32>;
${each(4, (i) => `    weights[${i}] = weighPair(tile, pairAt(tile, start - tokensAt, row, tokensAt + 4u * v + ${i}u), products[${i}], sums[${i}]);`)}
    tileMemory[at] = bitcast<vec4<u32>>(weights);
  }
}`;
}

/**
 * The halves of both, where the lane's scores and products were. A fragment needs 16 neighbours of a row: where a lane has
 * eight, pairs of lanes trade, and the first has the weights of both, the second the gradients.
 */
function put({ columnsOfLane, scoreStride, weightsAt, gradientsAt }: MatrixBackwardShape): string {
  const word = (name: string, v: number) =>
    `vec4<u32>(pack2x16float(${name}${v}.xy), pack2x16float(${name}${v}.zw), pack2x16float(${name}${v + 1}.xy), pack2x16float(${name}${v + 1}.zw))`;
  if (columnsOfLane === FRAGMENT)
    return `  let to = row * ${scoreStride}u + part * 4u;
${each(2, (w) => `  tileMemory[${weightsAt + w}u + to] = ${word('p', 2 * w)};\n  tileMemory[${gradientsAt + w}u + to] = ${word('g', 2 * w)};`)}`;
  return `  let weights = ${word('p', 0)};
  let gradients = ${word('g', 0)};
  let isFirst = part % 2u == 0u;
  let received = subgroupShuffleXor(select(weights, gradients, isFirst), 1u);
  let to = select(${gradientsAt}u, ${weightsAt}u, isFirst) + row * ${scoreStride}u + part / 2u * 4u;
  tileMemory[to] = select(received, weights, isFirst);
  tileMemory[to + 1u] = select(gradients, received, isFirst);`;
}

/** Whether a tile needs no finishing: all columns are there, and every pair is kept as it is. The same for all its rows. */
export function plainTile(
  options: BackwardOptionsOfSide,
  { contiguous, complete, hiding }: MatrixBackwardShape,
): string {
  const { side, change, honourFullBlocks } = options;
  const whole = `start + ${COLUMN_TILE}u <= count`;
  if (side === 'keys') {
    if (hiding === 'nothing') return 'true';
    if (hiding === 'causal') return 'i32(tile.firstSlot + KEY_TILE) - 1 <= i32(start) + shape.causalOffset';
    return contiguous && options.keys === 'blocks' && honourFullBlocks && change === undefined
      ? 'isMarked(visitAt(tile, start / shape.queryBlock).y)'
      : 'false';
  }
  if (!complete) return 'false';
  if (hiding === 'nothing') return whole;
  if (!contiguous) return 'false';
  if (hiding === 'causal')
    return `${whole} && i32(start) + i32(KEY_TILE) <= i32(tile.firstSlot) + shape.causalOffset + 1`;
  return honourFullBlocks && change === undefined
    ? `${whole} && keyToken(tile, min(start, max(count, 1u) - 1u)) >= FULL`
    : 'false';
}
