import { attendCached, KeyValueCache } from '../cache/cache.ts';
import type { Device } from '../device/device.ts';
import { table } from '../mods/expression.ts';
import { FULL_BLOCK, NO_TOKEN, selectedPlan } from '../plan.ts';
import { gatheredKeysPlan, gatheredQueriesPlan } from '../plans.ts';
import { topK } from '../select/top.ts';
import { type AttendOptions, attend } from '../softmax/attend.ts';
import type { Tensor } from '../tensor.ts';
import { type AttendCase, compare, type DeviceCase } from './cases.ts';
import { randomArray } from './close.ts';
import { orderedPlan, shuffled, stridedBlocks, window } from './plans.ts';

const order = 'key-major';
const strided = (queryBlock: number, keyBlock: number, marked = true) =>
  stridedBlocks({ queryTokens: 70, keyTokens: 75, queryBlock, keyBlock, ...(marked && { keep: window }) });

/** Block lists from the keys' side. */
export const keyMajorAttendCases: AttendCase[] = [
  {
    name: 'key-major: blocks with full marks and a fine mask',
    heads: 4,
    keyHeads: 2,
    queryTokens: 70,
    keyTokens: 75,
    headDim: 16,
    options: () => ({ order, plan: strided(16, 8) }),
  },
  {
    name: 'key-major: single queries, causal, rows that see nothing',
    queryTokens: 70,
    keyTokens: 75,
    headDim: 33,
    options: () => ({ order, causal: true, plan: strided(1, 30), mask: ({ query }) => query.mod(7).ne(2) }),
  },
  {
    name: 'key-major: orders with padding, lists per batch and head, an epilogue',
    batch: 2,
    heads: 4,
    keyHeads: 2,
    queryTokens: 50,
    keyTokens: 61,
    headDim: 20,
    valueDim: 10,
    options: (device, shape) => ({
      order,
      plan: orderedPlan(50, 61),
      epilogue: {
        scale: device.tensor(randomArray(7, shape.slice(0, 3)), shape.slice(0, 3)),
        add: device.tensor(randomArray(8, shape), shape),
      },
    }),
  },
  {
    name: 'key-major: f16 of odd channels, a score that reads all positions',
    heads: 2,
    queryTokens: 70,
    keyTokens: 75,
    headDim: 9,
    dtype: 'f16',
    options: () => ({
      order,
      plan: strided(5, 4, false),
      score: ({ score, read, head, query, key, querySlot, keySlot }) =>
        score
          .add(read(table(randomArray(9, [2, 70]), [2, 70]), head, query))
          .add(querySlot.mul(3).add(keySlot).sub(key).toFloat().mul(0.01)),
    }),
  },
  {
    name: 'key-major: queries that stand in no slot, under an epilogue',
    queryTokens: 70,
    keyTokens: 75,
    headDim: 6,
    dtype: 'f16',
    options: (device, shape) => {
      const chosen = shuffled(70).filter((token) => token % 3 === 0);
      const plan = strided(5, 15, false);
      const queries = { slots: chosen.length, block: 5, order: chosen };
      return {
        order,
        plan: { ...plan, queries },
        epilogue: { scale: 2, add: device.tensor(randomArray(4, shape), shape, 'f16') },
      };
    },
  },
  {
    name: 'key-major: gathered keys that two rows share',
    heads: 2,
    queryTokens: 40,
    keyTokens: 50,
    headDim: 8,
    options: () => ({
      order,
      plan: gatheredKeysPlan({
        name: 'gathered keys',
        queryTokens: 40,
        keyTokens: 50,
        queries: { slots: 40, block: 16 },
        positions: { rows: Uint32Array.of(0, 5, 2, 4, 0, 0), blocks: Uint32Array.of(3, 49, 0, 17, 8, 30) },
      }),
    }),
  },
  {
    name: 'key-major: a key that is NaN reaches only the rows that see it',
    queryTokens: 70,
    keyTokens: 75,
    headDim: 8,
    options: () => ({ order, plan: strided(8, 5) }),
    prepare: ({ key }) => {
      key[33 * 8 + 2] = Number.NaN;
    },
  },
  {
    name: 'key-major: no query is listed',
    queryTokens: 5,
    headDim: 4,
    options: () => ({
      order,
      plan: stridedBlocks({ queryTokens: 5, keyTokens: 5, queryBlock: 5, keyBlock: 8 }),
      mask: ({ key }) => key.lt(0),
    }),
  },
];

/** Each of four key blocks of ten chooses queries; the third none, some queries nobody. */
function chosenQueries(marked: boolean) {
  const lists = [[0, 3, 4, 20, 21], [3, 1, 22, 7, 8, 9, 10, 11], [], [20, 0, 5, 3]];
  const rows: number[] = [];
  const blocks: number[] = [];
  lists.forEach((list, block) => {
    rows.push(blocks.length, list.length);
    blocks.push(...list.map((query) => (marked && block === 1 ? (query | FULL_BLOCK) >>> 0 : query)));
  });
  return { rows: Uint32Array.from(rows), blocks: Uint32Array.from(blocks) };
}

async function read(result: { output: Tensor; logSumExp: Tensor }) {
  return { output: await result.output.read(), logSumExp: await result.logSumExp.read() };
}

type Steps = (
  on: Device,
  inputs: [query: Tensor, key: Tensor, value: Tensor],
  options: AttendOptions,
) => Promise<Record<string, ArrayLike<number>>>;

/** From the keys' side on the device; from the queries' side on the reference. */
function bothSides(name: string, steps: Steps): DeviceCase {
  return {
    name: `key-major: ${name}`,
    run: (device) =>
      compare(device, (on, tensor) =>
        steps(on, [tensor(1, 2, 2, 23, 8), tensor(2, 2, 2, 40, 8), tensor(3, 2, 2, 40, 8)], {
          order: on.kind === 'reference' ? 'query-major' : order,
        }),
      ),
  };
}

const sizes = { queryTokens: 23, keyTokens: 40 };

/** Gathered queries, and lists that a selection left on the device. */
export const keyMajorCases: DeviceCase[] = [
  bothSides('queries that key blocks chose on the host, marked and masked', async (_on, inputs, options) => {
    const plan = await gatheredQueriesPlan({
      ...sizes,
      name: 'chosen',
      keys: { slots: 40, block: 10 },
      chosen: chosenQueries(true),
      keep: ({ query, key }) => query.add(key).mod(3).ne(0),
    });
    return read(await attend(...inputs, { ...options, plan }));
  }),
  bothSides('queries that key blocks in an order chose by scores, causal', async (on, inputs, options) => {
    const layout = new Uint32Array(44).fill(NO_TOKEN);
    shuffled(40).forEach((token, i) => {
      layout[i + Math.floor(i / 10)] = token;
    });
    const scores = on.tensor(randomArray(6, [2, 2, 4, 23]), [2, 2, 4, 23]);
    const plan = await gatheredQueriesPlan({
      ...sizes,
      name: 'routed',
      keys: { slots: 44, block: 11, order: layout },
      chosen: await topK(scores, { k: 9 }),
    });
    return read(await attend(...inputs, { ...options, causal: true, plan }));
  }),
  bothSides('blocks that a selection left on the device', async (on, inputs, options) => {
    const scores = on.tensor(randomArray(6, [2, 1, 5, 6]), [2, 1, 5, 6]);
    const plan = selectedPlan({
      ...sizes,
      name: 'selected',
      queries: { slots: 23, block: 5, order: shuffled(23) },
      keys: { slots: 40, block: 7 },
      selected: await topK(scores, { k: 3 }),
      keep: ({ querySlot, keySlot }) => querySlot.add(keySlot).mod(4).ne(1),
    });
    return read(await attend(...inputs, { ...options, plan }));
  }),
  bothSides('over the tokens of a cache', async (on, [query, key, value], options) => {
    const cache = new KeyValueCache(on, {
      batch: 2,
      keyHeads: 2,
      headDim: 8,
      capacity: 64,
      dtype: 'f32',
    });
    await cache.append(key, value);
    const plan = await gatheredQueriesPlan({
      ...sizes,
      name: 'chosen',
      keys: { slots: 40, block: 10 },
      chosen: chosenQueries(false),
    });
    return read(await attendCached(query, cache, { ...options, plan }));
  }),
];
