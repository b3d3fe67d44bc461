import { describe, expect, test } from 'vitest';
import { openDevice } from './device/open.ts';
import { ArgumentError } from './errors.ts';
import { resolvePlan } from './host-plan.ts';
import { bitMask } from './mods/bit-mask.ts';
import { table } from './mods/expression.ts';
import { FULL_BLOCK } from './plan.ts';
import { bandPlan, gatheredQueriesPlan, intervalPlan, prefixPlan } from './plans.ts';
import { groupBySegment } from './select/lists.ts';
import { gatherRows, mergeSlots } from './select/slots.ts';
import { type AttendOptions, attend } from './softmax/attend.ts';
import { attentionCost } from './softmax/inspect.ts';
import { expectClose, randomArray, tolerances } from './testing/close.ts';

const device = await openDevice('reference');

const tensor = (...shape: number[]) => device.tensor(randomArray(1, shape), shape);

async function outputs(queryTokens: number, keyTokens: number, options: AttendOptions) {
  const [query, key, value] = [queryTokens, keyTokens, keyTokens].map((tokens, seed) =>
    device.tensor(randomArray(seed + 1, [1, 1, tokens, 4]), [1, 1, tokens, 4]),
  );
  return (await attend(query, key, value, options)).output.read();
}

describe('a band', () => {
  test.each([
    [33, 33, 7, 0, 2, 8],
    [33, 33, 0, 0, 0, 5],
    [20, 45, 11, 6, 4, 8],
    [45, 20, 11, 6, 4, 8],
    [30, 30, 99, 99, 99, 64],
    [30, 30, 2, 5, 12, 1],
  ])(
    'of %i queries and %i keys equals its mask over all keys',
    async (queryTokens, keyTokens, before, after, sink, block) => {
      const offset = keyTokens - queryTokens;
      const plan = bandPlan({ queryTokens, keyTokens, before, after, sink, block });
      const dense: AttendOptions = {
        mask: ({ query, key }) => {
          const position = query.add(offset);
          return key.le(position.add(after)).and(key.lt(sink).or(key.ge(position.sub(before))));
        },
      };
      const banded = await outputs(queryTokens, keyTokens, { plan });
      expectClose(banded, await outputs(queryTokens, keyTokens, dense), tolerances.f64);
    },
  );

  test('marks as full what every query of the block sees, and visits little else', async () => {
    const host = await resolvePlan(
      bandPlan({ queryTokens: 64, keyTokens: 64, before: 20, sink: 3, block: 8 }),
    );
    const seen: Record<string, number[]> = { full: [], partial: [] };
    host.forEachKey(0, 5, (_slot, token, full) => seen[full ? 'full' : 'partial'].push(token));
    expect(seen.full).toEqual([0, 1, 2, ...Array.from({ length: 14 }, (_, i) => 27 + i)]);
    expect(seen.partial).toEqual([20, 21, 22, 23, 24, 25, 26, 41, 42, 43, 44, 45, 46, 47]);
  });

  test('has no list, whatever the length', async () => {
    const [query, key, value] = [1, 2, 3].map((seed) =>
      device.tensor(randomArray(seed, [1, 1, 300, 2]), [1, 1, 300, 2]),
    );
    const plan = bandPlan({ queryTokens: 300, keyTokens: 300, before: 31, block: 16 });
    const cost = await attentionCost(query, key, value, { plan });
    expect(cost.planBytes).toBe(0);
    expect(cost.visitedPairs).toBeLessThan(300 * 47);
  });

  test('wants its queries in token order', async () => {
    const plan = bandPlan({ queryTokens: 4, keyTokens: 4, before: 1 });
    const ordered = { ...plan, queries: { ...plan.queries, order: Uint32Array.of(3, 2, 1, 0) } };
    await expect(outputs(4, 4, { plan: ordered })).rejects.toThrow('plan.queries.order is given');
  });
});

test('queries of several groups, merged, see what their groups see together', async () => {
  const [query, key, value] = [tensor(1, 1, 4, 3), tensor(1, 1, 9, 3), tensor(1, 1, 9, 3)];
  // token 3 is in no group, token 1 in both
  const groups = [
    [0, 1],
    [1, 2],
  ];
  const ids = device.tensor(Uint32Array.from(groups.flat()), [1, 1, 4]);
  const part = await attend(await gatherRows(query, ids), key, value, {
    mask: ({ query: slot, key: j }) => j.mod(2).eq(slot.div(2)),
  });
  const { output, logSumExp } = await mergeSlots(part, await groupBySegment(ids, 4));
  const together = await attend(query, key, value, {
    mask: ({ query: i, key: j }) =>
      j
        .mod(2)
        .eq(0)
        .and(i.le(1))
        .or(
          j
            .mod(2)
            .eq(1)
            .and(i.eq(1).or(i.eq(2))),
        ),
  });
  expectClose(await output.read(), await together.output.read(), tolerances.f64);
  expectClose(await logSumExp.read(), await together.logSumExp.read(), tolerances.f64);
});

test('a bit mask keeps the pairs whose bit is set', async () => {
  const [query, key, value] = [tensor(1, 1, 2, 3), tensor(1, 1, 40, 3), tensor(1, 1, 40, 3)];
  const words = table(Int32Array.of(0x80000001 | 0, 4, 0, 0), [2, 2]);
  const bits = await attend(query, key, value, { mask: bitMask(words) });
  const plain = await attend(query, key, value, {
    mask: ({ query: i, key: j }) => i.eq(0).and(j.eq(0).or(j.eq(31)).or(j.eq(34))),
  });
  expectClose(await bits.output.read(), await plain.output.read(), tolerances.f64);
  const floats = table(Float32Array.of(1, 2), [2, 1]);
  expect(() => bitMask(floats)).toThrow('words is a table of floats; allowed: a table of integers');
});

describe('queries that key blocks choose', () => {
  const sizes = { name: 'chosen', queryTokens: 6, keyTokens: 8, keys: { slots: 8, block: 4 } };
  const chosen = (...blocks: number[]) => ({
    rows: Uint32Array.of(0, 2, 2, blocks.length - 2),
    blocks: Uint32Array.from(blocks),
  });

  test('become the key blocks of each query, with their marks, walked from the keys', async () => {
    const plan = await gatheredQueriesPlan({ ...sizes, chosen: chosen(0, 4, 2, (4 | FULL_BLOCK) >>> 0) });
    expect(plan.order).toBe('key-major');
    expect(plan.queries).toEqual({ slots: 6, block: 1 });
    expect(plan.keys).toEqual({
      kind: 'blocks',
      layout: sizes.keys,
      rows: Uint32Array.of(0, 1, 1, 0, 1, 1, 2, 0, 2, 2, 4, 0),
      blocks: Uint32Array.of(0, 1, 0, (1 | FULL_BLOCK) >>> 0),
    });
  });

  test.each([
    ['a query that is not there', chosen(0, 1, 6), 'chosen.blocks of row 1 is query 6; allowed: 0 to 5'],
    [
      'rows for one of two key blocks',
      { rows: Uint32Array.of(0, 1), blocks: Uint32Array.of(0) },
      'chosen.rows is 2 numbers; allowed: 4: two for each of 2 key blocks',
    ],
    [
      'rows on a device, entries on the host',
      { rows: device.tensor(new Uint32Array(4), [1, 1, 2, 2]), blocks: Uint32Array.of(0) },
      'chosen is partly on the host',
    ],
  ])('are refused: %s', async (_why, given, message) => {
    await expect(gatheredQueriesPlan({ ...sizes, chosen: given })).rejects.toThrow(message);
  });
});

describe('bad input', () => {
  const queries = { slots: 10, block: 5 };
  const spec = { name: 'x', queryTokens: 10, keyTokens: 10, queries };
  const keys = { slots: 10, block: 1 };
  test.each<[string, () => unknown, string]>([
    [
      'a band that looks back by half a key',
      () => bandPlan({ queryTokens: 4, keyTokens: 4, before: 0.5 }),
      'before is 0.5',
    ],
    ['a sink below 0', () => bandPlan({ queryTokens: 4, keyTokens: 4, before: 1, sink: -1 }), 'sink is -1'],
    ['a block of 0', () => bandPlan({ queryTokens: 4, keyTokens: 4, before: 1, block: 0 }), 'block is 0'],
    [
      'intervals for too few blocks',
      () => intervalPlan({ ...spec, keys, intervals: [[]] }),
      'intervals is 1 lists',
    ],
    [
      'a run beyond the slots',
      () => intervalPlan({ ...spec, keys, intervals: [[], [{ start: 8, count: 3 }]] }),
      'intervals[1] is a run of 3 slots from 8; allowed: runs within the 10 key slots',
    ],
    [
      'a prefix longer than the list',
      () => prefixPlan({ ...spec, order: Uint32Array.of(4, 2), counts: [1, 3] }),
      'counts[1] is 3; allowed: 0 to the 2 keys',
    ],
    [
      'too many prefixes',
      () => prefixPlan({ ...spec, order: Uint32Array.of(4), counts: [1, 1, 1] }),
      'counts is 3 numbers',
    ],
  ])('%s', (_name, call, message) => {
    expect(call).toThrow(ArgumentError);
    expect(call).toThrow(message);
  });
});
