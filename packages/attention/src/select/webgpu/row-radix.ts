import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { kept } from '../../wgsl/kept.ts';
import { massStage, weightStage } from './mass.ts';
import { digitStage, digits, narrowStage } from './narrow.ts';
import { type RowRule, rowBindings } from './row-bindings.ts';
import { type Scan, scanEnables, scanMemory, scanStage } from './scan.ts';
import { candidateStage, rankStage, THREADS } from './stages.ts';

/** Rows up to this long are ranked once, into workgroup memory. */
export const MOST_CACHED = 2048;

const ranks = {
  cached: wgsl`
fn loadRanks(row: u32, candidates: u32, lane: u32) {
  for (var column = lane; column < candidates; column += THREADS) {
    ranks[column] = rankOf(scores[row * shape.columns + column]);
  }
}
fn rankAt(row: u32, column: u32) -> u32 { return ranks[column]; }`,
  streamed: wgsl`
fn loadRanks(row: u32, candidates: u32, lane: u32) {}
fn rankAt(row: u32, column: u32) -> u32 { return rankOf(scores[row * shape.columns + column]); }`,
};

/** A forced column ranks above all others. */
const keyStage = wgsl`
fn keyAt(row: u32, column: u32) -> u32 { return select(rankAt(row, column), FORCED, isForced(row, column)); }`;

const histograms = {
  count: wgsl`
fn clear(bin: u32) { atomicStore(&histogram[bin], 0u); }
fn add(bin: u32, rank: u32, byMass: bool) { atomicAdd(&histogram[bin], 1u); }
fn binAt(bin: u32) -> vec2<u32> { return vec2<u32>(atomicLoad(&histogram[bin]), 0u); }
fn take(left: vec2<u32>, key: u32, candidates: u32, byMass: bool) -> u32 { return left.x; }`,
  mass: wgsl`
fn clear(bin: u32) {
  atomicStore(&histogram[bin], 0u);
  atomicStore(&fine[bin], 0u);
}
fn add(bin: u32, rank: u32, byMass: bool) {
  let weight = select(vec2<u32>(1u, 0u), weightOf(rank, atomicLoad(&highest[0])), byMass);
  atomicAdd(&histogram[bin], weight.x);
  if (weight.y > 0u) { atomicAdd(&fine[bin], weight.y); }
}
fn binAt(bin: u32) -> vec2<u32> { return normal(vec2<u32>(atomicLoad(&histogram[bin]), atomicLoad(&fine[bin]))); }
// The fewest equals of the threshold whose weights reach what is left.
fn take(left: vec2<u32>, key: u32, candidates: u32, byMass: bool) -> u32 {
  if (!byMass) { return left.x; }
  let weight = weightOf(key, atomicLoad(&highest[0]));
  var least = 0u;
  var most = candidates;
  while (most - least > 1u) {
    let middle = least + (most - least) / 2u;
    if (reaches(normal(weight * middle), left)) { most = middle; } else { least = middle; }
  }
  return most;
}`,
};

const totalStage = wgsl`
// Sum of the weights of a row, beside its highest rank.
fn totalMass(row: u32, candidates: u32, lane: u32) -> vec2<u32> {
  if (lane == 0u) { atomicStore(&highest[0], 0u); }
  workgroupBarrier();
  var maximum = 0u;
  for (var column = lane; column < candidates; column += THREADS) { maximum = max(maximum, rankAt(row, column)); }
  atomicMax(&highest[0], maximum);
  workgroupBarrier();
  maximum = atomicLoad(&highest[0]);
  var mine = vec2<u32>();
  for (var column = lane; column < candidates; column += THREADS) { mine = plus(mine, weightOf(rankAt(row, column), maximum)); }
  let before = scanLanes(lane, mine);
  return normal(scanTotal());
}`;

/** A prefix of a row's columns, best first: all keys above x, and the first y of its equals. */
const prefixStage = wgsl`
fn longer(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return select(b, a, a.x < b.x || (a.x == b.x && a.y > b.y)); }
fn shorter(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return select(a, b, a.x < b.x || (a.x == b.x && a.y > b.y)); }

// The shortest prefix that reaches the goal; with a goal of 0 the forced columns alone. Holds barriers.
fn reach(row: u32, candidates: u32, lane: u32, byMass: bool, goal: vec2<u32>) -> vec2<u32> {
  workgroupBarrier();
  if (lane == 0u) {
    found[0] = 0u;
    found[1] = goal.x;
    found[2] = goal.y;
  }
  for (var round = 0u; round < PASSES; round++) {
    for (var bin = lane; bin < BINS; bin += THREADS) { clear(bin); }
    workgroupBarrier();
    for (var column = lane; column < candidates; column += THREADS) {
      let key = keyAt(row, column);
      if (((key ^ found[0]) & knownBits(round)) == 0u) { add(digitOf(key, round), rankAt(row, column), byMass); }
    }
    workgroupBarrier();
    narrow(lane, shiftOf(round));
  }
  let key = found[0];
  let isShortest = key == FORCED || (goal.x == 0u && goal.y == 0u);
  let equals = take(vec2<u32>(found[1], found[2]), key, candidates, byMass);
  return select(vec2<u32>(key, equals), vec2<u32>(FORCED, FORCED), isShortest);
}

fn mostOf(most: u32, candidates: u32) -> vec2<u32> { return vec2<u32>(min(most, candidates), 0u); }`;

const rules = {
  count: wgsl`
  let prefix = reach(row, candidates, lane, false, mostOf(shape.stride, candidates));`,
  mass: wgsl`
  let goal = shareOf(totalMass(row, candidates, lane));
  var prefix = reach(row, candidates, lane, true, goal);
  if (shape.atLeast > 0u) { prefix = longer(prefix, reach(row, candidates, lane, false, mostOf(shape.atLeast, candidates))); }
  if (shape.stride < shape.columns) { prefix = shorter(prefix, reach(row, candidates, lane, false, mostOf(shape.stride, candidates))); }`,
};

/**
 * The best columns of each row, lower ones first among equals, by number or by mass. Scores become u32 keys in the same
 * order; the threshold is found by its bits, a digit at a time from the top, from histograms; then everything above it
 * and the first of its equals are written in ascending order. One workgroup a row; rows of any length.
 */
export const radixKernel = kept(
  ({ by, place, scan }: { by: RowRule; place: 'cached' | 'streamed'; scan: Scan }) => {
    const digit = digits(by === 'count' && place === 'streamed' ? 11 : 8);
    return assemble({
      name: `row-radix-by-${by}`,
      enables: scanEnables[scan],
      bindings: rowBindings(by),
      constants: { THREADS, ...digit },
      memory: {
        ...scanMemory,
        histogram: { type: 'atomic<u32>', length: digit.BINS }, // 1 KiB, or 8
        found: { type: 'u32', length: 3 }, // digits so far, what is left to reach
        ...(by === 'mass' && {
          fine: { type: 'atomic<u32>', length: digit.BINS }, // 1 KiB
          highest: { type: 'atomic<u32>', length: 1 },
        }),
        ...(place === 'cached' && { ranks: { type: 'u32', length: MOST_CACHED } }), // 8 KiB
      },
      stages: [
        rankStage,
        candidateStage,
        ranks[place],
        keyStage,
        scanStage(scan),
        massStage,
        ...(by === 'mass' ? [weightStage, totalStage] : []),
        histograms[by],
        digitStage,
        narrowStage,
        prefixStage,
      ],
      threads: THREADS,
      memoryLimit: 16_384,
      main: wgsl`
  let row = workgroup;
  let candidates = candidateCount(row);
  loadRanks(row, candidates, lane);
  workgroupBarrier();${rules[by]}
  // each lane owns a run of columns, so that places ascend with columns
  let run = (candidates + THREADS - 1u) / THREADS;
  let start = min(lane * run, candidates);
  let end = min(start + run, candidates);
  var mine = vec2<u32>();
  for (var column = start; column < end; column++) {
    let key = keyAt(row, column);
    mine += vec2<u32>(u32(key > prefix.x), u32(key == prefix.x));
  }
  var before = scanLanes(lane, mine);
  for (var column = start; column < end; column++) {
    let key = keyAt(row, column);
    if (key > prefix.x || (key == prefix.x && before.y < prefix.y)) {
      blocks[row * shape.stride + before.x + min(before.y, prefix.y)] = column;
    }
    before += vec2<u32>(u32(key > prefix.x), u32(key == prefix.x));
  }
  if (lane == THREADS - 1u) {  // before is now the sum over all lanes
    rows[2u * row] = row * shape.stride;
    rows[2u * row + 1u] = before.x + min(before.y, prefix.y);
  }`,
    });
  },
);
