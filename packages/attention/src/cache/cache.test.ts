import { describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { ArgumentError } from '../errors.ts';
import { attend } from '../softmax/attend.ts';
import type { Tensor } from '../tensor.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { attendCached, type CacheOptions, KeyValueCache } from './cache.ts';

const device = await openDevice('reference');
const sizes = { keyHeads: 2, headDim: 4, capacity: 10, block: 4, dtype: 'f32' } as const;
const make = (options: Partial<CacheOptions> = {}) => new KeyValueCache(device, { ...sizes, ...options });
const tokens = (count: number, seed = 1, shape = [1, 2, count, 4]) =>
  device.tensor(randomArray(seed, shape), shape, 'f32');
const append = (cache: KeyValueCache, count: number, seed = 1) =>
  cache.append(tokens(count, seed), tokens(count, seed + 1));

/** Token rows of [1, 2, count, 4] side by side. */
async function joined(parts: readonly Tensor[]): Promise<Tensor> {
  const arrays = await Promise.all(parts.map((part) => part.read()));
  const heads = [0, 1].map((head) =>
    parts.flatMap(({ shape }, i) =>
      Array.from(arrays[i].slice(head * shape[2] * 4, (head + 1) * shape[2] * 4)),
    ),
  );
  return device.tensor(heads.flat(), [1, 2, heads[0].length / 4, 4], 'f32');
}

describe('a cache', () => {
  test('gives what attend() gives over its tokens in a row', async () => {
    const cache = make();
    await append(cache, 5, 1);
    await append(cache, 2, 5);
    const query = tokens(2, 9);
    const cached = await attendCached(query, cache, { causal: true });
    const key = await joined([tokens(5, 1), tokens(2, 5)]);
    const value = await joined([tokens(5, 2), tokens(2, 6)]);
    const dense = await attend(query, key, value, { causal: true });
    expectClose(await cached.output.read(), await dense.output.read(), tolerances.f32);
    expectClose(await cached.logSumExp.read(), await dense.logSumExp.read(), tolerances.f32);
  });

  test('that is empty shows nothing', async () => {
    const { output, logSumExp } = await attendCached(tokens(1), make());
    expect(Array.from(await output.read())).toEqual(new Array(8).fill(0));
    expect(Array.from(await logSumExp.read())).toEqual([-Infinity, -Infinity]);
  });

  test('changes in the order of the calls, waited for or not', async () => {
    const cache = make();
    const calls = [append(cache, 6), cache.keep([5, 0]), append(cache, 3), cache.truncate(4)];
    await Promise.all(calls);
    expect(cache.length).toBe(4);
    expect(cache.nextPosition).toBe(8);
    expect(Array.from(await cache.positions.read()).slice(0, 4)).toEqual([5, 0, 6, 7]);
  });

  test('counts its bytes, all and used', async () => {
    const cache = make();
    await append(cache, 5);
    // a token: 8 channels of f32 and a position, a block: 3 summaries of 4 channels
    expect(cache.memory).toEqual({ capacityBytes: 2 * (10 * 36 + 3 * 48), usedBytes: 2 * (5 * 36 + 2 * 48) });
  });

  test('keeps the last tokens that it is told to when it is full', async () => {
    const asked: number[] = [];
    const cache = make({
      onFull: (full, missing) => {
        asked.push(missing);
        return Array.from({ length: full.length - missing }, (_, i) => i + missing);
      },
    });
    for (let i = 0; i < 5; i++) await append(cache, 3);
    expect(asked).toEqual([2, 3]);
    expect(Array.from(await cache.positions.read()).slice(0, 10)).toEqual([
      5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    ]);
  });

  test('gives all its memory back', async () => {
    const own = await openDevice('reference');
    const cache = new KeyValueCache(own, sizes);
    const key = own.tensor(randomArray(1, [1, 2, 5, 4]), [1, 2, 5, 4], 'f32');
    await cache.append(key, key);
    await cache.keep([1, 3]);
    key.dispose();
    cache.dispose();
    expect(own.memory.currentBytes).toBe(0);
  });
});

describe('a cache refuses', () => {
  const refused: [string, () => unknown, string][] = [
    ['no room at all', () => make({ capacity: 0 }), 'capacity is 0'],
    ['half a channel', () => make({ headDim: 1.5 }), 'headDim is 1.5'],
    [
      'halves that share words',
      () => make({ dtype: 'f16', valueDim: 3 }),
      'valueDim is 3; allowed: an even number',
    ],
    ['a dtype of plans', () => make({ dtype: 'u32' as never }), 'dtype is u32'],
    ['other heads', () => make().append(tokens(1, 1, [1, 3, 1, 4]), tokens(1)), '[1, 3, 1, 4]'],
    ['values of other tokens', () => make().append(tokens(2), tokens(1)), '[1, 2, 1, 4]'],
    [
      'another dtype',
      () => make({ dtype: 'f64' }).append(tokens(1), tokens(1)),
      'of dtype f32; allowed: f64',
    ],
    ['more than fits', () => append(make(), 11), '11 tokens beside 0 that are there; allowed: at most 10'],
    ['a token that is not there', () => make().keep([0]), 'a list with 0'],
    ['a longer truncation', () => make().truncate(1), 'length is 1; allowed: an integer from 0 to 0'],
    ['queries of other channels', () => make().blockBounds(tokens(1, 1, [1, 2, 1, 5])), '[1, 2, 1, 5]'],
    [
      'a plan for its capacity instead of its tokens',
      () =>
        attendCached(tokens(1), make(), {
          plan: {
            name: 'all',
            queryTokens: 1,
            keyTokens: 10,
            queries: { slots: 1, block: 1 },
            keys: { kind: 'all' },
            listBatches: 1,
            listHeads: 1,
          },
        }),
      'made for 1 queries and 10 keys; allowed: 1 queries and 0 keys',
    ],
  ];
  test.each(refused)('%s', async (_name, call, text) => {
    const attempt = async () => call();
    await expect(attempt()).rejects.toThrow(ArgumentError);
    await expect(attempt()).rejects.toThrow(text);
  });

  test('a token twice, and stays as it was', async () => {
    const cache = make();
    await append(cache, 3);
    await expect(cache.keep([1, 1])).rejects.toThrow('1 twice');
    await expect(append(cache, 8)).rejects.toThrow('8 tokens beside 3');
    expect(cache.length).toBe(3);
    expect(cache.nextPosition).toBe(3);
  });
});
