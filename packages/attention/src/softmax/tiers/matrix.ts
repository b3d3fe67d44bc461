import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { storeVector } from './access.ts';
import { epilogueStages, finishedRows } from './epilogue.ts';
import { type ForwardOptions, forwardBindings, forwardConstants, forwardNumbers } from './forward-options.ts';
import { keyConstants, keyStages } from './keys.ts';
import { bandStages } from './matrix-band.ts';
import { left, load, multiplyAdd, result, right, store } from './matrix-fragments.ts';
import { declareWords, fetchWords, loadStages, storeWords } from './matrix-loads.ts';
import { plainTile, weighStages } from './matrix-softmax.ts';
import { spoiledStages } from './matrix-spoiled.ts';
import { FRAGMENT, type MatrixShape } from './matrix-tile.ts';
import { pairStages } from './pairs.ts';
import { resolveQueries, rowStages } from './rows.ts';
import { each } from './text.ts';

const scoresAt = (r: number, c: number, { scoreStride }: MatrixShape) =>
  `SCORES_AT + (firstRow + ${r * FRAGMENT}u) * ${scoreStride}u + firstKey / 4u + ${4 * c}u`;

/** S = Q Kᵀ for the subgroup's rows and its keys of a tile, into the scores' memory. */
const scores = (shape: MatrixShape) => {
  const { fragments, keyFragments, headFragments, keyStride, scoreStride } = shape;
  return `${each(fragments, (r) => each(keyFragments, (c) => `        var s${r}_${c} = ${result}();`))}
${each(headFragments, (k) =>
  each(
    keyFragments,
    (
      c,
    ) => `        let k${k}_${c} = ${load(right, 'col_major', `(firstKey + ${c * FRAGMENT}u) * ${keyStride}u + ${2 * k}u`, keyStride)};
${each(fragments, (r) => `        ${multiplyAdd(`q${r}_${k}`, `k${k}_${c}`, `s${r}_${c}`)}`)}`,
  ),
)}
${each(fragments, (r) => each(keyFragments, (c) => `        ${store(scoresAt(r, c, shape), `s${r}_${c}`, scoreStride)}`))}`;
};

/** O = O + P V for the subgroup's rows and channels. */
const accumulate = (shape: MatrixShape) => {
  const { fragments, keyTile, lanesPerRow, valueFragments, valueStride, weightStride, weightsOfLane } = shape;
  // a lane that weighs 16 keys or more keeps whole fragments; the words of lanes that weigh fewer join
  const ofLane = Math.max(1, keyTile / FRAGMENT / lanesPerRow);
  const words = Math.max(2, weightsOfLane);
  const place = (j: number) => Math.floor(j / ofLane) * words + 2 * (j % ofLane);
  const weightsAt = (r: number, j: number) =>
    `WEIGHTS_AT + (firstRow + ${r * FRAGMENT}u) * ${weightStride}u + ${place(j)}u`;
  return each(
    keyTile / FRAGMENT,
    (
      j,
    ) => `${each(fragments, (r) => `        let p${r}_${j} = ${load(left, 'row_major', weightsAt(r, j), weightStride)};`)}
${each(
  valueFragments,
  (
    d,
  ) => `        let v${j}_${d} = ${load(right, 'row_major', `VALUES_AT + ${j * FRAGMENT * valueStride + 2 * d}u + firstChannel / 8u`, valueStride)};
${each(fragments, (r) => `        ${multiplyAdd(`p${r}_${j}`, `v${j}_${d}`, `o${r}_${d}`)}`)}`,
)}`,
  );
};

const eachOutput = ({ fragments, valueFragments }: MatrixShape, text: (name: string) => string) =>
  each(fragments, (r) => each(valueFragments, (d) => text(`o${r}_${d}`)));

/** O / l: the fragments pass through the scores' memory, as many at a time as fit; lanes store their rows. */
const storeOutput = (shape: MatrixShape) => {
  const { fragments, columns, keyFragments, valueFragments, scoreStride, lanesPerRow } = shape;
  return each(Math.ceil(valueFragments / keyFragments), (n) => {
    const here = Math.min(keyFragments, valueFragments - n * keyFragments);
    return `  workgroupBarrier();
${each(here, (c) => each(fragments, (r) => `  ${store(scoresAt(r, c, shape), `o${r}_${n * keyFragments + c}`, scoreStride)}`))}
  workgroupBarrier();
  if (token >= 0) {
    for (var i = part; i < ${4 * here * columns}u; i += ${lanesPerRow}u) {
      let column = i / ${4 * here}u;
      let d = column * ${4 * valueFragments}u + ${4 * n * keyFragments}u + i % ${4 * here}u;
      let numbers = bitcast<vec4<f32>>(tileMemory[SCORES_AT + row * ${scoreStride}u + column * ${4 * keyFragments}u + i % ${4 * here}u]);
      storeColumn(tile.queryRow + u32(token), d, spoiledNumbers(row, d, inverse * numbers));
    }
  }`;
  });
};

const keyOrAbsent = wgsl`
fn keyOrAbsent(tile: Located, slot: u32, count: u32) -> i32 {
  if (slot < count) { return keyToken(tile, slot); }
  return ABSENT;
}`;

/** The mark of the block that a slot lies in: the bit that tokens carry too. */
const blockMark = wgsl`
fn blockMark(tile: Located, slot: u32) -> i32 {
  return select(0, FULL, (blockAt(rowAt(2u * tile.row) + slot / shape.keyBlock) >> 31u) == 1u);
}`;

/** Text of the tile's first token, for tiles of neighbours, or of its block's mark. */
const tokenAt = ({ hiding, marked }: MatrixShape, start: string) =>
  hiding === 'band'
    ? `bandToken(band, ${start})`
    : `${marked ? 'blockMark' : 'keyToken'}(tile, min(${start}, max(count, 1u) - 1u))`;

/**
 * Visits the tiles from `from` to `to`: scores, weights, product.
 * @param plain WGSL that says whether a tile needs no finishing
 * @param leaves whether the walk ends at the first tile that needs it, with `start` there
 */
const walk = (shape: MatrixShape, from: string, to: string, plain: string, leaves = false) => {
  const { contiguous, marked, looksUp } = shape;
  const mayHide = shape.hiding !== 'nothing' && plain !== 'true' && !leaves;
  return wgsl`    ${leaves ? `var start = ${from};\n    for (; start < ${to}; start += KEY_TILE) {` : `for (var start = ${from}; start < ${to}; start += KEY_TILE) {`}
${
  contiguous || marked
    ? `      let firstToken = thisToken;
      let tokenAfter = ${tokenAt(shape, 'start + 2u * KEY_TILE')};`
    : '      let firstToken = ABSENT;'
}
      let tokensAt = start % (2u * KEY_TILE);
${leaves ? `      if (!(${plain})) { break; }\n      let plain = true;` : `      let plain = ${plain};`}
      workgroupBarrier();
${looksUp ? '      var tokenOfNext = ABSENT;\n      if (lane < KEY_TILE) { tokenOfNext = keyOrAbsent(tile, start + KEY_TILE + lane, count); }' : ''}
${mayHide ? '      if (!plain) { clearSpoiled(lane); }' : ''}
${fetchWords(shape, 'value', 'start', contiguous ? 'firstToken' : 'tokensAt')}
      {
${scores(shape)}
      }
      workgroupBarrier();
      weigh(tile, start, count, firstToken, tokensAt, plain, row, part, mode);
${mayHide ? `      if (plain) {\n${storeWords(shape, 'value')}\n      } else {\n${storeWords(shape, 'value', 'finite')}\n      }` : storeWords(shape, 'value')}
${looksUp ? '      if (lane < KEY_TILE) { keyTokens[KEY_TILE - tokensAt + lane] = tokenOfNext; }' : ''}
      workgroupBarrier();
${fetchWords(shape, 'key', 'start + KEY_TILE', contiguous ? 'nextToken' : 'KEY_TILE - tokensAt')}
      if (mode != MAXIMA) {
${mayHide ? '        if (!plain) { spoilRow(start, row, part); }' : ''}
${accumulate(shape)}
      }
${storeWords(shape, 'key')}
${contiguous || marked ? '      thisToken = nextToken;\n      nextToken = tokenAfter;' : ''}
      // a row that has outgrown its base makes the rest of a first attempt useless
      if (mode == FIRST && (start / KEY_TILE) % 16u == 15u) {
        if (workgroupUniformLoad(&outgrown[0]) != 0u) { break; }
      }
    }`;
};

/**
 * All tiles. Those that need no finishing come first, in a loop without what the others need: under a causal mask those before
 * the diagonal, in a band those between its edges, in block lists the full blocks (which blockListPlan puts first; in another
 * order the rule still holds, later).
 */
const walks = (options: ForwardOptions, shape: MatrixShape) => {
  const plain = plainTile(shape, options);
  if (shape.hiding === 'causal' && options.keys === 'all' && !options.queryOrder)
    return `    let diagonal = u32(clamp(i32(tile.firstSlot) + shape.causalOffset + 1, 0, i32(count))) / KEY_TILE * KEY_TILE;
${walk(shape, '0u', 'diagonal', 'true')}
${walk(shape, 'diagonal', 'count', 'false')}`;
  if (shape.hiding === 'band')
    return `${walk(shape, '0u', 'band.lead', 'false')}
${walk(shape, 'band.lead', 'band.diagonal', 'true')}
${walk(shape, 'band.diagonal', 'count', 'false')}`;
  if (shape.hiding === 'expressions' && options.keys === 'blocks' && plain !== 'false')
    return `${walk(shape, '0u', 'count', plain, true)}
${walk(shape, 'start', 'count', plain)}`;
  return walk(shape, '0u', 'count', plain);
};

/**
 * Softmax attention on the GPU's matrix units: f16 factors, f32 sums (Dao 2023, FlashAttention-2, each subgroup its own query
 * rows). Fragments are opaque, so scores pass through workgroup memory once a tile, where lanes weigh whole rows.
 */
export function matrixForward(options: ForwardOptions, shape: MatrixShape): Kernel {
  const { contiguous, marked, looksUp, hiding } = shape;
  return assemble({
    name: 'softmax-forward-matrix',
    enables: ['f16', 'subgroups', 'chromium_experimental_subgroup_matrix'],
    // uniform by construction: places follow from the subgroup's number, loops from the plan, votes are of a subgroup
    diagnostics: ['chromium.subgroup_matrix_uniformity', 'subgroup_uniformity'],
    builtins: { subgroup: 'subgroup_id' },
    bindings: forwardBindings(options, { wide: true }),
    constants: {
      QUERY_TILE: shape.queryTile,
      KEY_TILE: shape.keyTile,
      THREADS: shape.threads,
      SUBGROUPS: shape.subgroups,
      VALUE_VECTORS: Math.ceil(options.valueDim / 4),
      VALUES_AT: shape.valuesAt,
      SCORES_AT: shape.scoresAt,
      WEIGHTS_AT: shape.weightsAt,
      ...forwardConstants,
    },
    memory: shape.memory,
    registers: forwardNumbers,
    stages: [
      keyConstants,
      ...loadStages(options, shape),
      storeVector('output', options.outputStorage, options.valueDim),
      rowStages(options),
      ...(options.queryOrder ? [resolveQueries] : []),
      ...(hiding === 'band' ? bandStages : keyStages(options)),
      ...(hiding === 'expressions' ? [...options.tableStages, ...pairStages(options)] : []),
      ...(looksUp ? [keyOrAbsent] : []),
      ...(marked ? [blockMark] : []),
      ...weighStages(shape),
      ...spoiledStages(options, shape),
      ...epilogueStages(options),
      finishedRows,
    ],
    threads: shape.threads,
    memoryLimit: options.memoryLimit,
    main: wgsl`
  let subgroupAt = min(subgroup, SUBGROUPS - 1u);
  let firstRow = subgroupAt / ${shape.columns}u * ${shape.fragments * FRAGMENT}u;
  let firstKey = subgroupAt % ${shape.columns}u * ${shape.keyFragments * FRAGMENT}u;
  let firstChannel = subgroupAt % ${shape.columns}u * ${shape.valueFragments * FRAGMENT}u;
  let row = lane / ${shape.lanesPerRow}u;
  let part = lane % ${shape.lanesPerRow}u;
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
${hiding === 'band' ? '  let band = bandOf(tile);\n  let count = band.count;' : '  let count = keyCount(tile);'}
${hiding === 'causal' ? `  let firstQuery = ${options.queryOrder ? '-2147483647 / 2' : 'i32(tile.firstSlot)'};\n` : ''}${options.queryOrder ? '  resolveQueries(tile, lane);\n  workgroupBarrier();\n' : ''}  stageQueries(tile, lane);
  workgroupBarrier();
${each(shape.fragments, (r) => each(shape.headFragments, (k) => `  let q${r}_${k} = ${load(left, 'row_major', `(firstRow + ${r * FRAGMENT}u) * ${shape.keyStride}u + ${2 * k}u`, shape.keyStride)};`))}
  workgroupBarrier();
${eachOutput(shape, (o) => `  var ${o} = ${result}();`)}
${declareWords(shape, 'key')}
${declareWords(shape, 'value')}
${contiguous || marked ? '  // lists are read a tile ahead of the keys that they name\n  var thisToken = 0;\n  var nextToken = 0;\n' : ''}  var mode = FIRST;
  loop {
    {
${looksUp ? `      workgroupBarrier();\n      if (lane < KEY_TILE) { keyTokens[lane] = keyOrAbsent(tile, lane, count); }\n      workgroupBarrier();` : ''}
${
  contiguous || marked
    ? `      thisToken = ${tokenAt(shape, '0u')};
      nextToken = ${tokenAt(shape, 'KEY_TILE')};`
    : ''
}
${fetchWords(shape, 'key', '0u', contiguous ? 'thisToken' : '0u')}
${storeWords(shape, 'key')}
    }
${walks(options, shape)}
    if (mode == EXACT) { break; }
    if (mode == FIRST) {
      if (workgroupUniformLoad(&outgrown[0]) == 0u) { break; }
      base = -1e30;
      sum = 0.0;
${eachOutput(shape, (o) => `      ${o} = ${result}();`)}
    }
    mode++;
  }
${each(Math.log2(shape.lanesPerRow), (i) => `  sum += subgroupShuffleXor(sum, ${2 ** i}u);`)}
  let token = queryToken(tile, row);
  let empty = base < LOWEST;
  let inverse = select(1.0 / sum, 0.0, empty);
  if (token >= 0 && part == 0u) { logSumExp[tile.queryRow + u32(token)] = sumBits(base, sum, empty); }
${storeOutput(shape)}`,
  });
}
