import { wgsl } from '../../wgsl/assemble.ts';
import type { Storage } from './access.ts';
import { type ForwardOptions, hasExpressions } from './forward-options.ts';
import { pairStages } from './pairs.ts';
import { laneOfTile } from './rows.ts';
import type { SubgroupShape } from './subgroup-tile.ts';
import { each } from './text.ts';

/** Four or eight neighbouring numbers of a workgroup array as \`<name>a\` and \`<name>b\`. `at` counts its elements. */
export const unpacked = {
  f16: (name: string, array: string, at: string) => `    let ${name} = ${array}[${at}];
    let ${name}a = vec4<f32>(unpack2x16float(${name}.x), unpack2x16float(${name}.y));
    let ${name}b = vec4<f32>(unpack2x16float(${name}.z), unpack2x16float(${name}.w));`,
  f32: (name: string, array: string, at: string) => `    let ${name}a = ${array}[${at}];`,
  f32Twice: (name: string, array: string, at: string) => `    let ${name}a = ${array}[${at}];
    let ${name}b = ${array}[${at} + 1u];`,
};

/** S = S + Q Kᵀ: all channels of the tile, eight at a time where one side holds halves, else four. */
const scores = ({ rowsPerThread, keysPerThread, queriesAs, keysAs, arrays }: SubgroupShape) => {
  const octets = queriesAs === 'f16' || keysAs === 'f16';
  const reader = (as: Storage) => (as === 'f16' ? 'f16' : octets ? 'f32Twice' : 'f32');
  const step = (as: Storage) => (octets && as === 'f32' ? '2u * d' : 'd');
  const parts = octets ? ['a', 'b'] : ['a'];
  const groups = keysPerThread / 4;
  const transposed = (group: number, part: string, c: string) =>
    `    let ${c}${group}${part} = vec4<f32>(${[0, 1, 2, 3].map((j) => `k${4 * group + j}${part}.${c}`).join(', ')});`;
  return wgsl`
fn scores(lane: u32) {${laneOfTile}
  for (var d = 0u; d < HEAD_STEPS; d++) {
${each(keysPerThread, (j) => unpacked[reader(keysAs)](`k${j}`, arrays.keys, `(keyLane + ${j}u * KEY_LANES) * KEY_STRIDE + ${step(keysAs)}`))}
${parts.map((part) => each(groups, (g) => ['x', 'y', 'z', 'w'].map((c) => transposed(g, part, c)).join('\n'))).join('\n')}
${each(
  rowsPerThread,
  (
    r,
  ) => `${unpacked[reader(queriesAs)](`q${r}`, 'queries', `(rowLane + ${r}u * ROW_LANES) * QUERY_STRIDE + ${step(queriesAs)}`)}
${parts
  .map((part) =>
    ['x', 'y', 'z', 'w']
      .map((c) => each(groups, (g) => `    s${r}_${g} += q${r}${part}.${c} * ${c}${g}${part};`))
      .join('\n'),
  )
  .join('\n')}`,
)}
  }
}`;
};

const allScores = ({ rowsPerThread, keysPerThread }: SubgroupShape, text: (r: number, g: number) => string) =>
  each(rowsPerThread, (r) => each(keysPerThread / 4, (g) => text(r, g)));

/** S = scale log₂e S, HIDDEN where there is no key. */
const finishPlain = (shape: SubgroupShape) => wgsl`
fn finishScores(tile: Located, start: u32, half: u32, lane: u32) {${laneOfTile}
${each(
  shape.keysPerThread / 4,
  (g) => `  let absent${g} = vec4<bool>(
${[0, 1, 2, 3].map((j) => `    keyTokens[half + keyLane + ${4 * g + j}u * KEY_LANES] == ABSENT,`).join('\n')}
  );`,
)}
${allScores(shape, (r, g) => `  s${r}_${g} = select(s${r}_${g} * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent${g});`)}
}`;

/**
 * The same with a mask or a changed score; a lane all of whose pairs are kept only scales. The others pass through an
 * array, so that the expressions stand in the text four times, not once for each score of the lane.
 */
const finishChanged = (shape: SubgroupShape) => {
  const groups = shape.keysPerThread / 4;
  return wgsl`
fn finishScores(tile: Located, start: u32, half: u32, lane: u32) {${laneOfTile}
  if (allKept(tile, start, half, keyLane)) {
${allScores(shape, (r, g) => `    s${r}_${g} *= shape.scale * LOG2_E;`)}
    return;
  }
  var products = array<vec4<f32>, ${shape.rowsPerThread * groups}>(${Array.from({ length: shape.rowsPerThread * groups }, (_, i) => `s${Math.floor(i / groups)}_${i % groups}`).join(', ')});
  for (var i = 0u; i < ${shape.rowsPerThread * groups}u; i++) {
    let row = rowLane + (i / ${groups}u) * ROW_LANES;
    let first = keyLane + (i % ${groups}u) * 4u * KEY_LANES;
    let query = queryTokens[row];
    let querySlot = i32(tile.firstSlot - tile.block * shape.queryBlock + row);
    let s = products[i];
    products[i] = vec4<f32>(
${each(4, (j) => `      finishPair(tile, query, querySlot, keyTokens[half + first + ${j}u * KEY_LANES], start + first + ${j}u * KEY_LANES, s[${j}]),`)}
    );
  }
${allScores(shape, (r, g) => `  s${r}_${g} = products[${r * groups + g}];`)}
}`;
};

/** Whether no pair of the lane's keys and the tile's queries is masked, told without looking at the pairs. */
const kept = {
  unknown: 'fn allKept(tile: Located, start: u32, half: u32, keyLane: u32) -> bool { return false; }',
  /** The tile's last key does not come after its first query. */
  causal: wgsl`
fn allKept(tile: Located, start: u32, half: u32, keyLane: u32) -> bool {
  let end = i32(start + KEY_TILE);
  return end <= i32(shape.keyTokens) && end <= i32(tile.firstSlot) + 1 + shape.causalOffset;
}`,
  /** The plan says so of the blocks in which the keys are. */
  blocks: (keysPerThread: number) => wgsl`
fn allKept(tile: Located, start: u32, half: u32, keyLane: u32) -> bool {
  var least = keyTokens[half + keyLane];
${each(keysPerThread - 1, (j) => `  least = min(least, keyTokens[half + keyLane + ${j + 1}u * KEY_LANES]);`)}
  return least >= FULL;
}`,
};

function keptStage(options: ForwardOptions, { keysPerThread }: SubgroupShape): string {
  if (options.change !== undefined) return kept.unknown;
  if (options.maskIsCausal && options.stopEarly) return kept.causal;
  return options.honourFullBlocks ? kept.blocks(keysPerThread) : kept.unknown;
}

/** `scores(lane)` and `finishScores(tile, start, half, lane)`, with what they call. */
export function scoreStages(options: ForwardOptions, shape: SubgroupShape): string[] {
  return [
    scores(shape),
    ...options.tableStages,
    ...(hasExpressions(options)
      ? [...pairStages(options), keptStage(options, shape), finishChanged(shape)]
      : [finishPlain(shape)]),
  ];
}
