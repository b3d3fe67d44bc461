import {
  ArgumentError,
  type BlockLayout,
  blockListPlan,
  type IntExpression,
  type ListedBlock,
  type MaskFunction,
  NO_TOKEN,
  type Plan,
} from '@saccade/attention';
import { boxesOf, boxLayout, dropOwnOrder, type GridAxis, groupLength, product } from './boxes.ts';

/**
 * Windows on a grid of one to three axes: what fna and gna share. Tokens attend only inside their dilation group, on
 * inner positions.
 */
export interface Axis extends GridAxis {
  window: number;
  stride: number;
  causal: boolean;
}

/** Half-open range of inner key positions. */
export type Range = readonly [number, number];

/** Keys of inner position i in a group of n tokens: moved inwards at borders, never cut; a causal window is cut at the start. */
export function windowOf({ window, stride, causal }: Axis, i: number, n: number): Range {
  if (causal) {
    const leader = Math.min(Math.floor(i / stride) * stride + stride - 1, n - 1);
    return [Math.max(leader - window + 1, 0), i + 1];
  }
  const leader = Math.min(Math.floor(i / stride) * stride + Math.floor(stride / 2), n - 1);
  const start = Math.min(Math.max(leader - Math.floor(window / 2), 0), n - window);
  return [start, start + window];
}

/**
 * Axes from options whose arrays have one entry for all axes or one an axis.
 * @throws ArgumentError that names the axis: a window that does not fit, a grid that is not `tokens`, a wrong rank
 */
export function axesOf(
  where: string,
  tokens: number,
  options: {
    grid?: readonly number[];
    window: readonly number[];
    stride?: readonly number[];
    dilation: readonly number[];
    causal: readonly boolean[];
  },
): Axis[] {
  const grid = options.grid ?? [tokens];
  const product = grid.reduce((size, length) => size * length, 1);
  if (product !== tokens)
    throw new ArgumentError(
      where,
      'grid',
      `[${grid.join(', ')}], ${product} tokens`,
      `a product of ${tokens}, the tokens of the tensors`,
    );
  const onAxis = <T>(name: string, values: readonly T[], axis: number): T => {
    if (values.length !== 1 && values.length !== grid.length)
      throw new ArgumentError(
        where,
        name,
        `${values.length} entries`,
        `1, or ${grid.length} as the grid has axes`,
      );
    return values[values.length === 1 ? 0 : axis];
  };
  return grid.map((length, axis) => {
    // an axis of one token has nothing to slide over
    const flat = length === 1;
    const window = flat ? 1 : onAxis('window', options.window, axis);
    const stride = flat ? 1 : onAxis('stride', options.stride ?? [1], axis);
    const dilation = flat ? 1 : onAxis('dilation', options.dilation, axis);
    if (window * dilation > length)
      throw new ArgumentError(
        where,
        `window on axis ${axis}`,
        `${window} with dilation ${dilation}`,
        `window x dilation of at most the axis' ${length} tokens`,
      );
    if (stride > window)
      throw new ArgumentError(where, `stride on axis ${axis}`, stride, `1 to the window, ${window}`);
    return { length, window, stride, dilation, causal: onAxis('causal', options.causal, axis) };
  });
}

/** Keys that a box of queries needs on an axis: windows start and end in order, so the union is one range. */
export function neededRange(axis: Axis, first: number, end: number, n: number): Range {
  return [windowOf(axis, first, n)[0], windowOf(axis, end - 1, n)[1]];
}

/** The pair is in the window on every axis, computed from token numbers. */
export function windowMask(axes: readonly Axis[]): MaskFunction {
  return ({ query, key }) => {
    const terms = axes.flatMap((axis, a) => {
      if (axis.length === 1 || (axis.window === axis.length && !axis.causal)) return [];
      const below = axes.slice(a + 1).reduce((size, { length }) => size * length, 1);
      const on = (token: IntExpression) => {
        const shifted = below === 1 ? token : token.div(below);
        return a === 0 ? shifted : shifted.mod(axis.length);
      };
      const [x, y] = [on(query), on(key)];
      const d = axis.dilation;
      const [i, j] = d === 1 ? [x, y] : [x.div(d), y.div(d)];
      const start = startExpression(axis, i, d === 1 ? undefined : x.mod(d));
      const inside = axis.causal ? j.ge(start).and(j.le(i)) : j.ge(start).and(j.lt(start.add(axis.window)));
      return d === 1 ? [inside] : [inside, x.mod(d).eq(y.mod(d))];
    });
    return terms.slice(1).reduce((all, term) => all.and(term), terms[0] ?? query.ge(0));
  };
}

function startExpression(axis: Axis, i: IntExpression, group: IntExpression | undefined): IntExpression {
  const { length, window, stride, dilation, causal } = axis;
  // group length n = ceil((length - g) / dilation)
  const last = (offset: number): IntExpression | number =>
    group
      ? group
          .neg()
          .add(length + dilation - 1)
          .div(dilation)
          .sub(offset)
      : length - offset;
  const anchor = causal ? stride - 1 : Math.floor(stride / 2);
  const leader = stride === 1 ? i : i.div(stride).mul(stride).add(anchor).min(last(1));
  if (causal) return leader.sub(window - 1).max(0);
  return leader
    .sub(Math.floor(window / 2))
    .max(0)
    .min(last(window));
}

/**
 * Query boxes that each read one haloed box of keys, whose extent is just what they need (dynamic key tiles).
 * The fine mask cuts what the box has too much.
 */
export function dynamicPlan(name: string, axes: readonly Axis[], tile: readonly number[]): Plan {
  const boxes = boxesOf(axes, tile);
  const data = new Int32Array(boxes.length * 6);
  const pad = 3 - axes.length;
  boxes.forEach(({ group, first, end }, b) => {
    data.fill(1, 6 * b + 3, 6 * b + 6);
    axes.forEach((axis, a) => {
      const [from, to] = neededRange(axis, first[a], end[a], groupLength(axis, group[a]));
      data[6 * b + pad + a] = from * axis.dilation + group[a];
      data[6 * b + 3 + pad + a] = to - from;
    });
  });
  const padded = (values: readonly number[]) =>
    [...Array(pad).fill(1), ...values] as [number, number, number];
  const tokens = axes.reduce((size, { length }) => size * length, 1);
  return {
    name,
    queryTokens: tokens,
    keyTokens: tokens,
    queries: boxLayout(axes, tile, boxes),
    keys: {
      kind: 'boxes',
      grid: padded(axes.map(({ length }) => length)),
      step: padded(axes.map(({ dilation }) => dilation)),
      boxes: data,
      outside: 'skip',
    },
    keep: windowMask(axes),
    listBatches: 1,
    listHeads: 1,
  };
}

/**
 * Keys cut into boxes on a fixed grid, and for each query box the list of key boxes it touches (static key tiles).
 * A key box that every query of the box sees whole is marked full and skips the fine mask.
 * `extraTokens` keys beyond the grid (text) are seen by all.
 */
export function staticPlan(
  name: string,
  axes: readonly Axis[],
  queryTile: readonly number[],
  keyTile: readonly number[],
  extraTokens = 0,
): Plan {
  const tokens = axes.reduce((size, { length }) => size * length, 1);
  const queryBoxes = boxesOf(axes, queryTile);
  const keys = withExtra(boxLayout(axes, keyTile), tokens, extraTokens);
  const firstBox = firstBoxOfGroups(axes, keyTile);
  const gridBoxes = boxesOf(axes, keyTile).length;
  const extraBoxes = Math.ceil(keys.slots / keys.block) - gridBoxes;
  const lists = queryBoxes.map(({ group, first, end }) => {
    const lengths = axes.map((axis, a) => groupLength(axis, group[a]));
    const counts = lengths.map((length, a) => Math.ceil(length / keyTile[a]));
    const ranges = axes.map((axis, a) => {
      const [from, to] = neededRange(axis, first[a], end[a], lengths[a]);
      return [Math.floor(from / keyTile[a]), Math.ceil(to / keyTile[a])] as const;
    });
    const offset = firstBox.get(group.join(' ')) as number;
    const list: ListedBlock[] = product(ranges.map(([from, to]) => to - from)).map((index) => {
      let box = 0;
      let full = true;
      axes.forEach((axis, a) => {
        const at = ranges[a][0] + index[a];
        box = box * counts[a] + at;
        const seen = seenByAll(axis, first[a], end[a], lengths[a]);
        full &&= at * keyTile[a] >= seen[0] && (at + 1) * keyTile[a] <= seen[1];
      });
      return { block: offset + box, full };
    });
    for (let extra = 0; extra < extraBoxes; extra++) list.push({ block: gridBoxes + extra, full: true });
    return list;
  });
  const mask = windowMask(axes);
  return blockListPlan({
    name,
    queryTokens: tokens,
    keyTokens: tokens + extraTokens,
    queries: dropOwnOrder(boxLayout(axes, queryTile, queryBoxes)),
    keys: dropOwnOrder(keys),
    lists,
    keep: extraTokens === 0 ? mask : (at) => mask(at).or(at.key.ge(tokens)),
  });
}

/** Keys that every query of a run sees: from the last query's start to the first one's end. */
function seenByAll(axis: Axis, first: number, end: number, n: number): Range {
  return [windowOf(axis, end - 1, n)[0], windowOf(axis, first, n)[1]];
}

function firstBoxOfGroups(axes: readonly Axis[], tile: readonly number[]): Map<string, number> {
  const first = new Map<string, number>();
  boxesOf(axes, tile).forEach(({ group }, b) => {
    const name = group.join(' ');
    if (!first.has(name)) first.set(name, b);
  });
  return first;
}

function withExtra(layout: BlockLayout, tokens: number, extraTokens: number): BlockLayout {
  if (extraTokens === 0) return layout;
  const order = new Uint32Array(layout.slots + Math.ceil(extraTokens / layout.block) * layout.block).fill(
    NO_TOKEN,
  );
  order.set(layout.order as Uint32Array);
  for (let extra = 0; extra < extraTokens; extra++) order[layout.slots + extra] = tokens + extra;
  return { slots: order.length, block: layout.block, order };
}

/** 64 tokens as a box of the grid's rank: what the kernels like. */
export function usualTile(rank: number): number[] {
  return rank === 1 ? [64] : rank === 2 ? [8, 8] : [4, 4, 4];
}
