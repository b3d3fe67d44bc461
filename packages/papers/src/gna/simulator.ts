import { ArgumentError } from '@saccade/attention';
import { boxesOf, groupLength, product } from '../kit/boxes.ts';
import { type Axis, neededRange, windowOf } from '../kit/windows.ts';

/** What the simulator is asked: a grid with windows, and the tiles of a kernel. */
export interface SimulatorInput {
  axes: readonly Axis[];
  queryTile: readonly number[];
  keyTile: readonly number[];
  /** static: key tiles on a fixed grid; dynamic: the needed keys are cut out first, then tiled. */
  keyTiling: 'static' | 'dynamic';
}

export interface Simulation {
  /** Key tiles that each query tile visits, in the order of boxesOf(). */
  visited: readonly number[];
  /** Key tiles of dense attention. */
  dense: number;
  /** dense over the worst query tile: what the paper prints. */
  speedup: number;
  /** dense over the mean query tile: what a kernel that balances its tiles can reach. */
  speedupMean: number;
  /** tokens / window size: what counting operations promises. */
  flopwise: number;
  /** Share of the computed scores that the mask throws away. */
  wasted: number;
  /** No score is thrown away: no mask is needed. */
  perfect: boolean;
}

/**
 * Counts the key tiles that a tiled kernel must visit: tiles are boxes of the grid, and the union of the windows of a
 * query tile is one range on each axis. With dilation the worst group decides.
 * @throws ArgumentError if a tile has not one entry an axis
 */
export function simulate({ axes, queryTile, keyTile, keyTiling }: SimulatorInput): Simulation {
  for (const [name, tile] of [
    ['queryTile', queryTile],
    ['keyTile', keyTile],
  ] as const) {
    if (tile.length !== axes.length || !tile.every((size) => Number.isInteger(size) && size >= 1))
      throw new ArgumentError(
        'simulate',
        name,
        `[${tile.join(', ')}]`,
        `${axes.length} integers of at least 1, one an axis`,
      );
  }
  const boxes = boxesOf(axes, queryTile);
  const tileSize = volume(queryTile) * volume(keyTile);
  const visited = boxes.map(({ group, first, end }) =>
    volume(
      axes.map((axis, a) => {
        const [from, to] = neededRange(axis, first[a], end[a], groupLength(axis, group[a]));
        return keyTiling === 'static'
          ? Math.ceil(to / keyTile[a]) - Math.floor(from / keyTile[a])
          : Math.ceil((to - from) / keyTile[a]);
      }),
    ),
  );
  const tokens = volume(axes.map(({ length }) => length));
  const window = volume(axes.map((axis) => axis.window));
  // dense attention sees all groups, each in its own tiles
  const dense = product(axes.map(({ dilation }) => dilation)).reduce(
    (sum, group) => sum + volume(axes.map((axis, a) => Math.ceil(groupLength(axis, group[a]) / keyTile[a]))),
    0,
  );
  const total = visited.reduce((sum, count) => sum + count, 0);
  const kept = keptPairs(axes);
  return {
    visited,
    dense,
    speedup: dense / visited.reduce((worst, count) => Math.max(worst, count), 0),
    speedupMean: (dense * boxes.length) / total,
    flopwise: tokens / window,
    wasted: 1 - kept / (total * tileSize),
    perfect: isPerfect({ axes, queryTile, keyTile, keyTiling }),
  };
}

/** The same count where tiles are runs of row-major tokens, as a kernel that knows no axes has them. Static tiles only, no dilation. */
export function simulateRuns(
  axes: readonly Axis[],
  queryTile: number,
  keyTile: number,
): { speedup: number; speedupMean: number } {
  const lengths = axes.map(({ length }) => length);
  const tokens = volume(lengths);
  const dense = Math.ceil(tokens / keyTile);
  let worst = 0;
  let total = 0;
  const tiles = Math.ceil(tokens / queryTile);
  for (let tile = 0; tile < tiles; tile++) {
    const needed = new Set<number>();
    for (let token = tile * queryTile; token < Math.min((tile + 1) * queryTile, tokens); token++) {
      let rest = token;
      const at: number[] = [];
      for (let a = axes.length - 1; a >= 0; a--) {
        at[a] = rest % lengths[a];
        rest = Math.floor(rest / lengths[a]);
      }
      const ranges = axes.map((axis, a) => windowOf(axis, at[a], axis.length));
      // runs along the last axis are contiguous: only their ends and the tiles between matter
      for (const lead of product(ranges.slice(0, -1).map(([from, to]) => to - from))) {
        let row = 0;
        lead.forEach((offset, a) => {
          row = row * lengths[a] + ranges[a][0] + offset;
        });
        const [from, to] = ranges[axes.length - 1];
        const start = row * lengths[axes.length - 1];
        for (let t = Math.floor((start + from) / keyTile); t <= Math.floor((start + to - 1) / keyTile); t++)
          needed.add(t);
      }
    }
    worst = Math.max(worst, needed.size);
    total += needed.size;
  }
  return { speedup: dense / worst, speedupMean: (dense * tiles) / total };
}

/**
 * No score is computed in vain: on every axis, every key of every visited tile is in the window of every query of the
 * tile. This is the definition, tested tile by tile; isPerfectByRule() is the paper's sufficient condition.
 */
export function isPerfect({ axes, queryTile, keyTile, keyTiling }: SimulatorInput): boolean {
  return boxesOf(axes, queryTile).every(({ group, first, end }) =>
    axes.every((axis, a) => {
      const n = groupLength(axis, group[a]);
      const [from, to] = neededRange(axis, first[a], end[a], n);
      const tile = keyTile[a];
      // keys beyond the end of the grid do not count: nothing is computed for them
      const [low, high] =
        keyTiling === 'static'
          ? [Math.floor(from / tile) * tile, Math.min(Math.ceil(to / tile) * tile, n)]
          : [from, Math.min(from + Math.ceil((to - from) / tile) * tile, n)];
      for (let i = first[a]; i < end[a]; i++) {
        const [start, stop] = windowOf(axis, i, n);
        if (low < start || high > stop) return false;
      }
      return true;
    }),
  );
}

/** The paper's closed form for static tiles on one axis without dilation: sufficient, not necessary. */
export function isPerfectByRule(axis: Axis, queryTile: number, keyTile: number): boolean {
  const { length: n, window: w, stride: s, causal } = axis;
  if (causal) return false;
  const c = Math.floor(s / 2);
  const L = Math.floor(w / 2);
  const groups = Math.ceil(n / s);
  const lastStart = Math.min(Math.max(Math.min(Math.floor(n / s) * s + c, n - 1) - L, 0), n - w);
  return (
    n === w ||
    (s % queryTile === 0 &&
      w % keyTile === 0 &&
      (n % s === 0 || lastStart % keyTile === 0) &&
      ((L - c) % keyTile === 0 || (n % keyTile === 0 && groups === 2 && s + c >= n - w)))
  );
}

/** Speed-up of a whole model in which attention takes the share f of the time (Amdahl). */
export function endToEnd(speedup: number, shareOfAttention: number): number {
  return 1 / (1 - shareOfAttention + shareOfAttention / speedup);
}

/** Strides worth trying: those whose speed-up beats that of every element-wise smaller stride. */
export function strideSearch(input: SimulatorInput): { stride: number[]; simulation: Simulation }[] {
  const all = product(input.axes.map(({ window }) => window)).map((index) => {
    const stride = index.map((s) => s + 1);
    return {
      stride,
      simulation: simulate({ ...input, axes: input.axes.map((axis, a) => ({ ...axis, stride: stride[a] })) }),
    };
  });
  return all.filter(({ stride, simulation }) =>
    all.every(
      (other) =>
        other.stride === stride ||
        !other.stride.every((s, a) => s <= stride[a]) ||
        other.simulation.speedup < simulation.speedup,
    ),
  );
}

function keptPairs(axes: readonly Axis[]): number {
  return volume(
    axes.map((axis) => {
      let pairs = 0;
      for (let group = 0; group < axis.dilation; group++) {
        const n = groupLength(axis, group);
        for (let i = 0; i < n; i++) {
          const [start, end] = windowOf(axis, i, n);
          pairs += end - start;
        }
      }
      return pairs;
    }),
  );
}

function volume(lengths: readonly number[]): number {
  return lengths.reduce((all, length) => all * length, 1);
}
