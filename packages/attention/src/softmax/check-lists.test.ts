import { describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { ArgumentError } from '../errors.ts';
import { attendCached, KeyValueCache } from '../index.ts';
import { blockListPlan, FULL_BLOCK, NO_TOKEN, type Plan } from '../plan.ts';
import { randomArray } from '../testing/close.ts';
import { attend } from './attend.ts';
import { attendBackward } from './backward.ts';

const shape = [1, 1, 20, 4];
const layout = { slots: 20, block: 8 };

/** Three query blocks over three key blocks of 8 slots, the last one short. */
function plan(over: { rows?: number[]; blocks?: number[]; order?: number[] } = {}): Plan {
  const base = blockListPlan({
    name: 'blocks',
    queryTokens: 20,
    keyTokens: 20,
    queries: layout,
    keys: layout,
    lists: [[{ block: 0 }], [{ block: 1, full: true }, { block: 2 }], [{ block: 2 }]],
  });
  if (base.keys.kind !== 'blocks') throw new Error('blockListPlan makes blocks');
  const { rows, blocks } = base.keys;
  const order = over.order && Uint32Array.from(over.order);
  return {
    ...base,
    keys: {
      ...base.keys,
      layout: order ? { ...layout, order } : layout,
      rows: over.rows ? Uint32Array.from(over.rows) : rows,
      blocks: over.blocks ? Uint32Array.from(over.blocks) : blocks,
    },
  };
}

/** The same query blocks over runs of key slots. */
function intervals(rows: number[], runs: number[]): Plan {
  return {
    ...plan(),
    keys: { kind: 'intervals', layout, rows: Uint32Array.from(rows), runs: Uint32Array.from(runs) },
  };
}

const order = (last: number) => Array.from({ length: 20 }, (_, i) => (i === 19 ? last : i));
const wrong = [
  {
    why: 'a block out of range',
    plan: plan({ blocks: [0, 1, 3, 2] }),
    message: 'plan.keys.blocks is 3 at entry 2, in row 1; allowed: 0 to 2: there are 3 key blocks',
  },
  {
    why: 'a full block out of range',
    plan: plan({ blocks: [0, (FULL_BLOCK | 7) >>> 0, 2, 2] }),
    message: 'plan.keys.blocks is 7 at entry 1',
  },
  {
    why: 'a row that ends beyond the entries',
    plan: plan({ rows: [0, 1, 1, 4, 3, 1] }),
    message: 'plan.keys.rows is 4 from 1 on in row 1; allowed: ends within the 4 entries',
  },
  {
    why: 'too few rows',
    plan: plan({ rows: [0, 1, 1, 2] }),
    message: 'plan.keys.rows is 4 numbers; allowed: 6: two for each of 3 rows',
  },
  {
    why: 'a token that does not exist',
    plan: plan({ order: order(20) }),
    message: 'plan.keys.layout.order is 20 in slot 19; allowed: tokens below 20, or NO_TOKEN',
  },
  {
    why: 'a range beyond the slots',
    plan: {
      ...plan(),
      keys: { kind: 'ranges', layout, ranges: Uint32Array.of(0, 8, 8, 12, 16, 5) } as const,
    },
    message: 'plan.keys.ranges is 5 from 16 on in row 2; allowed: ends within the 20 key slots',
  },
  {
    why: 'a run beyond the slots',
    plan: intervals([0, 1, 1, 2, 3, 0], [4, 8, 0, 8, 12, 17]),
    message: 'plan.keys.runs is 9 slots from 12 on in run 2, in row 1; allowed: runs within the 20 key slots',
  },
  {
    why: 'a run that ends before it begins',
    plan: intervals([0, 2, 1, 0, 2, 0], [0, 8, 12, 5]),
    message: 'plan.keys.runs is -3 slots from 12 on in run 1, in row 0',
  },
  {
    why: 'a row of more runs than there are',
    plan: intervals([0, 2, 1, 0, 1, 2], [0, 8, 12, 10]),
    message: 'plan.keys.rows is 2 from 1 on in row 2; allowed: ends within the 2 runs',
  },
];

describe.each(['reference', 'wasm'] as const)('a %s device with debug', async (kind) => {
  const device = await openDevice(kind, { debug: true, ...(kind === 'wasm' && { threads: 1 }) });
  const inputs = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));
  const call = (given: Plan) => attend(inputs[0], inputs[1], inputs[2], { plan: given });

  test.each(wrong)('refuses $why', async ({ plan: given, message }) => {
    const error = await call(given).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toContain(message);
  });

  test('refuses it in lists that are on the device', async () => {
    const given = plan();
    const blocks = device.tensor(Uint32Array.of(0, 9, 2, 2), [4]);
    const rows = device.tensor(Uint32Array.of(0, 1, 1, 2, 3, 1), [1, 1, 3, 2]);
    await expect(call({ ...given, keys: { ...given.keys, rows, blocks } as Plan['keys'] })).rejects.toThrow(
      'plan.keys.blocks is 9 at entry 1',
    );
  });

  test('refuses it for gradients, too, and over a cache', async () => {
    const options = { plan: wrong[0].plan };
    const [query, key, value] = inputs;
    const result = await attend(query, key, value);
    await expect(attendBackward(query, key, value, result, query, options)).rejects.toThrow(wrong[0].message);
    const dtype = key.dtype as 'f32';
    const cache = new KeyValueCache(device, { keyHeads: 1, headDim: 4, capacity: 20, dtype });
    await cache.append(key, value);
    await expect(attendCached(query, cache, options)).rejects.toThrow(wrong[0].message);
  });

  test('takes a plan that is right, padding among it', async () => {
    const { output } = await call(plan({ order: order(NO_TOKEN) }));
    expect((await output.read()).every(Number.isFinite)).toBe(true);
  });
});

test.each([
  ['reference', 'query-major'],
  ['reference', 'key-major'],
  ['wasm', 'query-major'],
  ['wasm', 'key-major'],
] as const)('without debug a block out of range is no key on %s, %s', async (kind, order) => {
  const device = await openDevice(kind, kind === 'wasm' ? { threads: 1 } : {});
  const inputs = [1, 2, 3].map((seed) => device.tensor(randomArray(seed, shape), shape));
  const read = async (given: Plan) =>
    (await attend(inputs[0], inputs[1], inputs[2], { plan: given, order })).output.read();
  expect(await read(plan({ blocks: [0, 1, 3, 2] }))).toEqual(
    await read(plan({ rows: [0, 1, 1, 1, 3, 1], blocks: [0, 1, 2, 2] })),
  );
  await device.close();
});
