import type { Gpu } from '../../device/gpu.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { kept } from '../../wgsl/kept.ts';
import { rowBindings } from './row-bindings.ts';
import { candidateStage, rankStage } from './stages.ts';

const THREADS = 64;
/** Keys that a lane keeps in registers. */
const MOST_KEYS = 32;

const text = (count: number, line: (i: number) => string, by = '\n') =>
  Array.from({ length: count }, (_, i) => line(i)).join(by);

/** Lanes of every subgroup, if kernels may use subgroups of one size only that hold rows of this length; else undefined. */
export function subgroupOfRows(gpu: Gpu, columns: number): number | undefined {
  const { subgroups, tier } = gpu;
  if (tier === 'portable' || !subgroups || subgroups.min !== subgroups.max) return undefined;
  const { min: size } = subgroups;
  return size <= 32 && THREADS % size === 0 && columns <= size * MOST_KEYS ? size : undefined;
}

/**
 * The k best columns of each row, lower ones first among equals: a subgroup has a row, its lanes every size-th column in
 * registers. The k-th largest key is found bit by bit from the top, each bit by one sum over the lanes; no memory is shared
 * and nothing waits at a barrier.
 */
export const subgroupsKernel = kept(({ size, keys }: { size: number; keys: number }) =>
  assemble({
    name: 'row-subgroups-by-count',
    enables: ['subgroups'],
    // every lane of a subgroup has the same row, whose number follows from the lane's own
    diagnostics: ['subgroup_uniformity'],
    bindings: rowBindings('count'),
    constants: { SIZE: size, ROWS: THREADS / size },
    stages: [
      rankStage,
      candidateStage,
      wgsl`
// A forced column ranks above all others; what is no column ranks below all.
fn keyOf(row: u32, column: u32, candidates: u32) -> u32 {
  if (column >= candidates) { return 0u; }
  return select(rankOf(scores[row * shape.columns + column]), FORCED, isForced(row, column));
}

// Lanes before this one that say yes.
fn before(votes: u32, place: u32) -> u32 { return countOneBits(votes & ((1u << place) - 1u)); }`,
    ],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let place = lane % SIZE;
  let line = workgroup * ROWS + lane / SIZE;
  let row = min(line, shape.lines - 1u);
  let candidates = candidateCount(row);
  let most = min(shape.stride, candidates);
${text(keys, (i) => `  let k${i} = keyOf(row, ${i}u * SIZE + place, candidates);`)}
  var threshold = 0u;
  for (var bit = 0u; bit < 32u; bit++) {
    let tried = threshold | (0x80000000u >> bit);
    let mine = ${text(keys, (i) => `u32(k${i} >= tried)`, ' + ')};
    if (subgroupAdd(mine) >= most) { threshold = tried; }
  }
  // of the equals of the threshold the first, as many as what is above leaves
  let above = subgroupAdd(${text(keys, (i) => `u32(k${i} > threshold)`, ' + ')});
  let equals = most - min(above, most);
  var seen = 0u;
  var count = 0u;
  var isChosen = false;
  var votes = 0u;
${text(
  keys,
  (i) => `  votes = subgroupBallot(k${i} == threshold).x;
  isChosen = k${i} > threshold || (k${i} == threshold && k${i} > 0u && seen + before(votes, place) < equals);
  seen += countOneBits(votes);
  votes = subgroupBallot(isChosen).x;
  if (isChosen && line < shape.lines) { blocks[row * shape.stride + count + before(votes, place)] = ${i}u * SIZE + place; }
  count += countOneBits(votes);`,
)}
  if (place == 0u && line < shape.lines) {
    rows[2u * row] = row * shape.stride;
    rows[2u * row + 1u] = count;
  }`,
  }),
);

/** Workgroups that take `lines` rows, and the kernel for rows of `columns`. */
export function subgroupsLaunch(size: number, lines: number, columns: number) {
  const keys = Math.max(1, Math.ceil(columns / size));
  return { kernel: subgroupsKernel({ size, keys }), groups: Math.ceil(lines / (THREADS / size)) };
}
