import { attentionRows, openDevice, type Plan, resolvePlan } from '@saccade/attention';
import { expect, test } from 'vitest';
import { type Axis, axesOf, dynamicPlan, neededRange, staticPlan, windowOf } from './windows.ts';

const axis = (length: number, window: number, change: Partial<Axis> = {}): Axis => ({
  length,
  window,
  stride: 1,
  dilation: 1,
  causal: false,
  ...change,
});

test.each([
  // a window is moved inwards at the border, never cut
  ['sliding', axis(8, 3), ['012', '012', '123', '234', '345', '456', '567', '567']],
  ['even', axis(6, 4), ['0123', '0123', '0123', '1234', '2345', '2345']],
  // queries of a stride share the window of their leader, the middle one
  ['strided', axis(8, 4, { stride: 2 }), ['0123', '0123', '1234', '1234', '3456', '3456', '4567', '4567']],
  ['blocked', axis(6, 3, { stride: 3 }), ['012', '012', '012', '345', '345', '345']],
  ['causal', axis(5, 3, { causal: true }), ['0', '01', '012', '123', '234']],
  // the leader of a causal stride is the last one: a query sees back from there, but not beyond itself
  ['causal, strided', axis(6, 3, { stride: 2, causal: true }), ['0', '01', '12', '123', '34', '345']],
] as const)('windows on one axis, %s', (_, on, expected) => {
  const seen = Array.from({ length: on.length }, (_, i) => {
    const [from, to] = windowOf(on, i, on.length);
    return Array.from({ length: to - from }, (_, k) => from + k).join('');
  });
  expect(seen).toEqual(expected);
});

test('the keys that a run of queries needs are the union of their windows', () => {
  for (const stride of [1, 2, 3])
    for (const causal of [false, true]) {
      const on = axis(17, 5, { stride, causal });
      for (let first = 0; first < 17; first++)
        for (let end = first + 1; end <= 17; end++) {
          const windows = Array.from({ length: end - first }, (_, i) => windowOf(on, first + i, 17));
          expect(neededRange(on, first, end, 17)).toEqual([
            Math.min(...windows.map(([from]) => from)),
            Math.max(...windows.map(([, to]) => to)),
          ]);
        }
    }
});

/** Which keys a query sees, from the windows of its place on each axis. */
function seenBy(axes: readonly Axis[], query: number): number[] {
  const tokens = axes.reduce((size, { length }) => size * length, 1);
  const placeOf = (token: number) =>
    axes.map(({ length }, a) => {
      const below = axes.slice(a + 1).reduce((size, next) => size * next.length, 1);
      return Math.floor(token / below) % length;
    });
  const at = placeOf(query);
  return Array.from({ length: tokens }, (_, key) => key).filter((key) =>
    placeOf(key).every((y, a) => {
      const { length, dilation } = axes[a];
      if (at[a] % dilation !== y % dilation) return false;
      const n = Math.ceil((length - (at[a] % dilation)) / dilation);
      const [from, to] = windowOf(axes[a], Math.floor(at[a] / dilation), n);
      return Math.floor(y / dilation) >= from && Math.floor(y / dilation) < to;
    }),
  );
}

const grids: readonly [string, readonly Axis[], readonly number[], readonly number[]][] = [
  ['1-D with a tail', [axis(17, 5)], [4], [8]],
  ['1-D, causal and strided', [axis(33, 8, { stride: 4, causal: true })], [8], [4]],
  ['1-D, dilated', [axis(29, 5, { dilation: 3 })], [4], [2]],
  ['2-D, strided', [axis(9, 4, { stride: 2 }), axis(7, 3)], [2, 4], [4, 2]],
  ['2-D, a dilated axis', [axis(10, 3, { dilation: 2 }), axis(6, 6)], [2, 2], [3, 2]],
  ['3-D, causal in time', [axis(4, 3, { causal: true }), axis(5, 3), axis(4, 2)], [2, 2, 2], [1, 2, 4]],
  ['an axis of one token', [axis(1, 1), axis(11, 3)], [1, 4], [1, 4]],
];

async function rowsOf(plan: Plan) {
  const device = await openDevice('reference');
  const zeros = (tokens: number) => device.tensor(new Float32Array(tokens), [1, 1, tokens, 1]);
  const [query, key] = [zeros(plan.queryTokens), zeros(plan.keyTokens)];
  const row = await attentionRows(query, key, key, { plan });
  return (at: number) =>
    Array.from(row({ head: 0, query: at }).keys)
      .filter((token) => token >= 0)
      .sort((a, b) => a - b);
}

test.each(grids)(
  'both plans of %s show each query its windows and nothing else',
  async (_, axes, queryTile, keyTile) => {
    const [boxes, lists] = await Promise.all([
      rowsOf(dynamicPlan('boxes', axes, queryTile)),
      rowsOf(staticPlan('lists', axes, queryTile, keyTile)),
    ]);
    const tokens = axes.reduce((size, { length }) => size * length, 1);
    for (let query = 0; query < tokens; query++) {
      const expected = seenBy(axes, query);
      expect(boxes(query)).toEqual(expected);
      expect(lists(query)).toEqual(expected);
    }
  },
);

test.each(grids)(
  'key blocks of %s that skip the mask are seen whole by every query of the tile',
  async (_, axes, queryTile, keyTile) => {
    const plan = staticPlan('lists', axes, queryTile, keyTile);
    const host = await resolvePlan(plan);
    const { block } = plan.queries;
    for (let tile = 0; tile < host.queryBlocks; tile++) {
      const queries = Array.from({ length: block }, (_, i) => host.queryToken(tile * block + i)).filter(
        (token) => token >= 0,
      );
      const sets = queries.map((query) => new Set(seenBy(axes, query)));
      host.forEachKey(0, tile, (_slot, key, full) => {
        if (full) expect(sets.every((seen) => seen.has(key))).toBe(true);
      });
    }
  },
);

test('some key blocks do skip the mask', async () => {
  const host = await resolvePlan(staticPlan('lists', [axis(64, 32, { stride: 8 })], [8], [8]));
  let full = 0;
  for (let tile = 0; tile < 8; tile++)
    host.forEachKey(0, tile, (_slot, _key, whole) => {
      if (whole) full++;
    });
  expect(full).toBeGreaterThan(0);
});

test('keys beyond the grid are seen by all queries', async () => {
  const rows = await rowsOf(staticPlan('text', [axis(12, 3)], [4], [4], 5));
  expect(rows(0)).toEqual([0, 1, 2, 12, 13, 14, 15, 16]);
  expect(rows(11)).toEqual([9, 10, 11, 12, 13, 14, 15, 16]);
});

const options = { window: [3], dilation: [1], causal: [false] };

test('one entry serves all axes, and an axis of one token has nothing to slide over', () => {
  const axes = axesOf('here', 12, { ...options, grid: [1, 3, 4] });
  expect(axes.map(({ length, window }) => [length, window])).toEqual([
    [1, 1],
    [3, 3],
    [4, 3],
  ]);
});

test.each([
  ['grid', { ...options, grid: [3, 5] }, /grid is \[3, 5\], 15 tokens; allowed: a product of 12/],
  ['rank', { ...options, grid: [3, 4], window: [3, 3, 3] }, /window is 3 entries; allowed: 1, or 2/],
  ['window', { ...options, grid: [3, 4], window: [3, 5] }, /window on axis 1 is 5 with dilation 1/],
  ['dilation', { ...options, grid: [3, 4], dilation: [1, 2] }, /window on axis 1 is 3 with dilation 2/],
  ['stride', { ...options, grid: [3, 4], stride: [4] }, /stride on axis 0 is 4; allowed: 1 to the window, 3/],
] as const)('a %s that does not fit is refused by name', (_, given, message) => {
  expect(() => axesOf('here', 12, given)).toThrow(message);
});
