import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { kept } from '../../wgsl/kept.ts';
import { massStage, weightStage } from './mass.ts';
import { type RowRule, rowBindings } from './row-bindings.ts';
import { candidateStage, rankStage } from './stages.ts';

const LANES = 64;
/** The work grows with the square of a row, but there are next to no barriers. */
export const MOST_PAIRED = 256;

const rules = {
  count: wgsl`
fn prepare(candidates: u32, lane: u32) {}
fn weightAt(column: u32) -> vec2<u32> { return vec2<u32>(); }
fn isChosen(column: u32, better: u32, before: vec2<u32>) -> bool { return better < shape.stride; }`,
  mass: wgsl`
var<private> goal: vec2<u32>;

// Weights of all columns, and the part of their sum that must be reached. Holds barriers.
fn prepare(candidates: u32, lane: u32) {
  var maximum = 0u;
  for (var column = 0u; column < candidates; column++) { maximum = max(maximum, ranks[column]); }
  for (var column = lane; column < candidates; column += LANES) {
    let weight = weightOf(ranks[column], maximum);
    high[column] = weight.x;
    low[column] = weight.y;
  }
  workgroupBarrier();
  var total = vec2<u32>();
  for (var column = 0u; column < candidates; column++) { total += weightAt(column); }
  goal = shareOf(normal(total));
}
fn weightAt(column: u32) -> vec2<u32> { return vec2<u32>(high[column], low[column]); }
fn isChosen(column: u32, better: u32, before: vec2<u32>) -> bool {
  let isNeeded = !reaches(normal(before), goal) || better < shape.atLeast || keys[column] == FORCED;
  return isNeeded && better < shape.stride;
}`,
};

/**
 * The best columns of short rows, lower ones first among equals, by number or by mass: each column counts, and weighs,
 * those that are better. One workgroup a row.
 */
export const pairsKernel = kept((by: RowRule) =>
  assemble({
    name: `row-pairs-by-${by}`,
    bindings: rowBindings(by),
    constants: { LANES },
    memory: {
      ranks: { type: 'u32', length: MOST_PAIRED }, // 1 KiB
      keys: { type: 'u32', length: MOST_PAIRED }, // 1 KiB
      chosen: { type: 'u32', length: MOST_PAIRED }, // 1 KiB
      ...(by === 'mass' && {
        high: { type: 'u32', length: MOST_PAIRED }, // 1 KiB
        low: { type: 'u32', length: MOST_PAIRED }, // 1 KiB
      }),
    },
    stages: [rankStage, candidateStage, ...(by === 'mass' ? [massStage, weightStage] : []), rules[by]],
    threads: LANES,
    memoryLimit: 16_384,
    main: wgsl`
  let row = workgroup;
  let candidates = candidateCount(row);
  for (var column = lane; column < candidates; column += LANES) {
    ranks[column] = rankOf(scores[row * shape.columns + column]);
    keys[column] = select(ranks[column], FORCED, isForced(row, column));
  }
  workgroupBarrier();
  prepare(candidates, lane);
  for (var column = lane; column < candidates; column += LANES) {
    let key = keys[column];
    var better = 0u;
    var before = vec2<u32>();
    for (var other = 0u; other < candidates; other++) {
      if (keys[other] > key || (keys[other] == key && other < column)) {
        better++;
        before += weightAt(other);
      }
    }
    chosen[column] = u32(isChosen(column, better, before));
  }
  workgroupBarrier();
  for (var column = lane; column < candidates; column += LANES) {
    if (chosen[column] == 1u) {
      var place = row * shape.stride;
      for (var other = 0u; other < column; other++) { place += chosen[other]; }
      blocks[place] = column;
    }
  }
  if (lane == 0u) {
    var count = 0u;
    for (var column = 0u; column < candidates; column++) { count += chosen[column]; }
    rows[2u * row] = row * shape.stride;
    rows[2u * row + 1u] = count;
  }`,
  }),
);
