import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { read } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import { storeVector } from './access.ts';
import { type BackwardOptionsOfSide, backwardBindings } from './backward-options.ts';
import { GRADIENT_SCALES, WEIGHT_BITS } from './gradient-scales.ts';
import { keyConstants, keyStages } from './keys.ts';
import {
  declareColumns,
  fetchColumns,
  lookUp,
  lookUpStages,
  stageRows,
  storeColumns,
  storeTokens,
  wordStages,
} from './matrix-backward-loads.ts';
import { COLUMN_TILE, type MatrixBackwardShape } from './matrix-backward-tile.ts';
import { plainTile, weighStages } from './matrix-backward-weights.ts';
import { left, load, multiplyAdd, result, right, store } from './matrix-fragments.ts';
import { FRAGMENT } from './matrix-tile.ts';
import { weighPair } from './portable-backward-weights.ts';
import { visitStages } from './portable-visits.ts';
import { queryInOrder, resolveQueries, rowStages } from './rows.ts';
import { each } from './text.ts';

/** Fragments of a tile's columns. */
const SCORE_FRAGMENTS = COLUMN_TILE / FRAGMENT;

/** Where the scores of the half's rows, or what passes through their memory, begin. */
const scoresAt = ({ scoreStride }: MatrixBackwardShape, r: number, c: number) =>
  `halfScores + ${r * FRAGMENT * scoreStride + 4 * c}u`;

/** S = Q Kᵀ by the first half and dP = dO Vᵀ by the second, or their transposes, into the memory of scores. */
const products = (shape: MatrixBackwardShape) => {
  const { fragments, channelFragments, stride, scoreStride } = shape;
  const eachScore = (text: (r: number, c: number) => string) =>
    each(fragments, (r) => each(SCORE_FRAGMENTS, (c) => `        ${text(r, c)}`));
  return `${eachScore((r, c) => `var s${r}_${c} = ${result}();`)}
${each(channelFragments, (k) =>
  each(
    SCORE_FRAGMENTS,
    (
      c,
    ) => `        let x${k}_${c} = ${load(right, 'col_major', `halfColumns + ${c * FRAGMENT * stride + 2 * k}u`, stride)};
${each(fragments, (r) => `        ${multiplyAdd(`a${r}_${k}`, `x${k}_${c}`, `s${r}_${c}`)}`)}`,
  ),
)}
${eachScore((r, c) => store(scoresAt(shape, r, c), `s${r}_${c}`, scoreStride))}`;
};

/** dQ = dQ + dS K; from the keys' side dK = dK + dSᵀ Q by the first half and dV = dV + Pᵀ dO by the second. */
const accumulate = (shape: MatrixBackwardShape) => {
  const { fragments, gradientFragments, stride, scoreStride } = shape;
  const weightsAt = (r: number, j: number) => `halfWeights + ${r * FRAGMENT * scoreStride + 4 * j}u`;
  return each(
    SCORE_FRAGMENTS,
    (
      j,
    ) => `${each(fragments, (r) => `        let p${r}_${j} = ${load(left, 'row_major', weightsAt(r, j), scoreStride)};`)}
${each(
  gradientFragments,
  (
    d,
  ) => `        let y${j}_${d} = ${load(right, 'row_major', `halfChannels + ${j * FRAGMENT * stride + 2 * d}u`, stride)};
${each(fragments, (r) => `        ${multiplyAdd(`p${r}_${j}`, `y${j}_${d}`, `g${r}_${d}`)}`)}`,
)}`,
  );
};

/** The gradients' fragments pass through the memory of scores, as many at a time as fit; lanes store their rows. */
const storeGradients = ({ side, headDim, valueDim }: BackwardOptionsOfSide, shape: MatrixBackwardShape) => {
  const { fragments, gradientFragments, scoreStride, lanesPerRow } = shape;
  const target = (name: string, d: string, channels: number, factor: string) =>
    `if (${d} < ${Math.ceil(channels / 4)}u) { ${name}Store(row, ${d}, ${factor} * numbers); }`;
  return each(Math.ceil(gradientFragments / SCORE_FRAGMENTS), (n) => {
    const here = Math.min(SCORE_FRAGMENTS, gradientFragments - n * SCORE_FRAGMENTS);
    const words = 4 * here; // of a half's share of a row
    const first = 4 * n * SCORE_FRAGMENTS;
    return `  workgroupBarrier();
${each(here, (c) => each(fragments, (r) => `  ${store(scoresAt(shape, r, c), `g${r}_${n * SCORE_FRAGMENTS + c}`, scoreStride)}`))}
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < ${2 * words}u; i += ${lanesPerRow}u) {
      let second = i / ${words}u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + second * SCORE_WORDS + ownRow * ${scoreStride}u + i % ${words}u]);
${
  side === 'queries'
    ? `      let d = second * ${4 * gradientFragments}u + ${first}u + i % ${words}u;
      ${target('queryGradient', 'd', headDim, 'scoreScale')}`
    : `      let d = ${first}u + i % ${words}u;
      if (second == 0u) {
        ${target('keyGradient', 'd', headDim, 'scoreScale')}
      } else {
        ${target('valueGradient', 'd', valueDim, 'weightScale')}
      }`
}
    }
  }`;
  });
};

/**
 * Visits tiles of columns from `from` to `count`.
 * @param which all tiles; those that need no finishing; or the others, whose tokens are looked up as they come
 */
const walk = (
  options: BackwardOptionsOfSide,
  shape: MatrixBackwardShape,
  from: string,
  which: 'all' | 'plain' | 'others',
) => {
  const { side } = options;
  const { looksUp } = shape;
  const seek = (start: string) =>
    which === 'all' ? start : `seek(tile, ${start}, count, ${which === 'plain'})`;
  const ahead = looksUp && which === 'all';
  const lookUpAt = (start: string, tokensAt: string) =>
    `${lookUp(side, shape, start)}\n${storeTokens(side, shape, tokensAt)}`;
  return wgsl`    let first = ${seek(from)};
${ahead ? `${lookUpAt('first', '0u')}\n${lookUpAt(`first + ${COLUMN_TILE}u`, `${COLUMN_TILE}u`)}\n    workgroupBarrier();` : ''}
${fetchColumns(options, shape, 'first', '0u')}
${storeColumns(side, shape)}
    workgroupBarrier();
    for (var start = first; start < count; ) {
      let next = ${seek(`start + ${COLUMN_TILE}u`)};
      let tokensAt = ${ahead ? `(start - first) % ${2 * COLUMN_TILE}u` : '0u'};
      let plain = ${{ all: plainTile(options, shape), plain: 'true', others: 'false' }[which]};
${which === 'others' ? lookUpAt('start', '0u') : ''}
${fetchColumns(options, shape, 'next', `${COLUMN_TILE}u - tokensAt`)}
${ahead ? lookUp(side, shape, `start + ${2 * COLUMN_TILE}u`) : ''}
      {
${products(shape)}
      }
      workgroupBarrier();
      weigh(tile, start, count, tokensAt, plain, ownRow, part);
      workgroupBarrier();
      {
${accumulate(shape)}
      }
      workgroupBarrier();
${storeColumns(side, shape)}
${ahead ? storeTokens(side, shape, 'tokensAt') : ''}
      start = next;
      workgroupBarrier();
    }`;
};

/**
 * All tiles. Where expressions leave some alone, those come first, in a loop of their own: finishing a tile takes registers
 * from the fragments of every tile of its loop.
 */
const walks = (options: BackwardOptionsOfSide, shape: MatrixBackwardShape, from: string) =>
  partsPlain(options, shape)
    ? `    {\n${walk(options, shape, from, 'plain')}\n    }\n    {\n${walk(options, shape, from, 'others')}\n    }`
    : walk(options, shape, from, 'all');

const partsPlain = (options: BackwardOptionsOfSide, shape: MatrixBackwardShape) =>
  shape.hiding === 'expressions' && plainTile(options, shape) !== 'false';

const seekStage = (options: BackwardOptionsOfSide, shape: MatrixBackwardShape) => wgsl`
// The first tile, from that at begin on, that is as plain as wanted.
fn seek(tile: Located, begin: u32, count: u32, wanted: bool) -> u32 {
  var start = begin;
  for (; start < count; start += ${COLUMN_TILE}u) {
    let plain = ${plainTile(options, shape)};
    if (plain == wanted) { break; }
  }
  return start;
}`;

const mains: Record<
  'queries' | 'keys',
  (
    options: BackwardOptionsOfSide,
    shape: MatrixBackwardShape,
  ) => { rows: string; visits: string; row: string }
> = {
  queries: (options, shape) => ({
    rows: `  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);`,
    visits: `  if (queryTokens[ownRow] >= 0) {
    let statistics = rowStats[tile.queryRow + u32(queryTokens[ownRow])];
    rowSum = WEIGHT_BITS - statistics.x;
    rowMean = -statistics.y * scales[OUTPUT] * scales[SCORE];
  }
  {
${walks(options, shape, '0u')}
  }
  let token = queryTokens[ownRow];`,
    row: 'tile.queryRow + u32(token)',
  }),
  keys: (options, shape) => ({
    rows: `  var tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  resolveKeys(tile, lane);`,
    visits: `  for (var member = 0u; member < shape.heads / shape.keyHeads; member++) {
    tile = withHead(tile, member);
    let count = queryCount(tile);
${walks(options, shape, 'firstQuery(tile)')}
  }
  let token = keyTokens[ownRow];`,
    row: '(tile.batch * shape.keyHeads + tile.keyHead) * shape.keyRows + select(u32(token), tile.firstSlot + ownRow, BY_SLOT == 1u)',
  }),
};

/**
 * One side of softmax attention's gradients on the GPU's matrix units, walked as the portable kernels walk it: f16 factors, f32 sums.
 * The rows' own operands stay in fragments; scores and products pass through workgroup memory once a tile, where lanes turn
 * them into weights and score gradients. Each half of the subgroups has one of each pair of products, told apart by
 * where it reads and writes: no branch passes through a fragment.
 */
export const matrixBackward = kept(
  ([options, shape]: readonly [
    BackwardOptionsOfSide & { side: 'queries' | 'keys' },
    MatrixBackwardShape,
  ]): Kernel => {
    const { side, headDim, valueDim } = options;
    const {
      fragments,
      rows: half,
      rowTile,
      channelFragments,
      gradientFragments,
      stride,
      scoreStride,
    } = shape;
    const keys = side === 'keys';
    const { rows, visits, row } = mains[side](options, shape);
    const eachGradient = (text: (name: string) => string) =>
      each(fragments, (r) => each(gradientFragments, (d) => text(`g${r}_${d}`)));
    return assemble({
      name: `softmax-backward-matrix-${side}`,
      enables: ['f16', 'subgroups', 'chromium_experimental_subgroup_matrix'],
      // uniform by construction: places follow from the subgroup's number, loops from the plan
      diagnostics: ['chromium.subgroup_matrix_uniformity', 'subgroup_uniformity'],
      builtins: { subgroup: 'subgroup_id' },
      bindings: { ...backwardBindings(options, { wide: true }), scales: read('f32') },
      constants: {
        QUERY_TILE: keys ? COLUMN_TILE : rowTile,
        KEY_TILE: keys ? rowTile : COLUMN_TILE,
        THREADS: shape.threads,
        SUBGROUPS: 2 * half,
        SCORES_AT: shape.scoresAt,
        SCORE_WORDS: shape.scoreWords,
        NO_TOKEN: 0xffffffff,
        BY_SLOT: Number(options.bySlot),
        ...GRADIENT_SCALES,
      },
      memory: shape.memory,
      registers: `const LOG2_E = 1.4426950408889634;
const WEIGHT_BITS = ${WEIGHT_BITS}.0;
// A row that sees no key has this for a sum, so that its weights are 0; sums and scores from here on are never real.
const UNSEEN = 1e30;
const HIDDEN = -1e29;`,
      stages: [
        keyConstants,
        ...wordStages(options, shape),
        ...(keys
          ? [storeVector('keyGradient', 'f32', headDim), storeVector('valueGradient', 'f32', valueDim)]
          : [storeVector('queryGradient', 'f32', headDim)]),
        ...(keys
          ? [
              queryInOrder(options),
              ...visitStages({
                keys: options.keys,
                lists: options.lists,
                unitOrder: options.keyOrder,
                startLate: options.causalTiles,
              }),
            ]
          : [
              rowStages({ ...options, stopEarly: options.causalTiles }),
              resolveQueries,
              ...keyStages({ ...options, stopEarly: options.causalTiles }),
            ]),
        stageRows(options, shape),
        ...lookUpStages(options, shape),
        ...(shape.hiding === 'expressions'
          ? [
              ...options.tableStages,
              ...[options.keep, options.change].filter((text) => text !== undefined),
              weighPair(options),
            ]
          : []),
        ...(partsPlain(options, shape) ? [seekStage(options, shape)] : []),
        ...weighStages(options, shape),
      ],
      threads: shape.threads,
      memoryLimit: options.memoryLimit,
      main: wgsl`
  let subgroupAt = min(subgroup, SUBGROUPS - 1u);
  let isSecond = subgroupAt >= ${half}u;
  let ownRow = lane / ${shape.lanesPerRow}u;
  let part = lane % ${shape.lanesPerRow}u;
  let firstRow = subgroupAt % ${half}u * ${fragments * FRAGMENT}u;
  // what the subgroup reads and writes: operands of scores, scores, weights and operands of gradients
  let halfColumns = select(0u, ${shape.operandWords}u, isSecond);
  let halfScores = SCORES_AT + select(0u, SCORE_WORDS, isSecond) + firstRow * ${scoreStride}u;
  let halfWeights = ${keys ? `select(${shape.gradientsAt}u, ${shape.weightsAt}u, isSecond)` : `${shape.gradientsAt}u`} + firstRow * ${scoreStride}u;
  let halfChannels = select(0u, ${keys ? shape.operandWords : 2 * gradientFragments}u, isSecond);
${rows}
  workgroupBarrier();
  stageRows(tile, lane);
  workgroupBarrier();
  let rowsAt = select(0u, ${rowTile * stride}u, isSecond) + firstRow * ${stride}u;
${each(fragments, (r) => each(channelFragments, (k) => `  let a${r}_${k} = ${load(left, 'row_major', `rowsAt + ${r * FRAGMENT * stride + 2 * k}u`, stride)};`))}
  workgroupBarrier();
${eachGradient((g) => `  var ${g} = ${result}();`)}
${declareColumns(side, shape)}
${visits}
  let scoreScale = shape.scale * scales[SCORE_UNDONE] * scales[OUTPUT_UNDONE];
${keys ? `  let weightScale = ${2 ** -WEIGHT_BITS} * scales[OUTPUT_UNDONE];` : ''}
  let row = ${row};
${storeGradients(options, shape)}`,
    });
  },
);
