import { attendCached, KeyValueCache } from '../cache/cache.ts';
import type { Device } from '../device/device.ts';
import { selectedPlan } from '../plan.ts';
import { topK } from '../select/top.ts';
import { attend } from '../softmax/attend.ts';
import type { Tensor } from '../tensor.ts';
import { compare, type DeviceCase } from './cases.ts';
import { randomArray } from './close.ts';

type Numbers = Record<string, ArrayLike<number>>;

/** What a cache shows of itself: the parts that are set. */
async function contents(cache: KeyValueCache): Promise<Numbers> {
  const { length, blocks, capacity, headDim, valueDim } = cache;
  const set = async (tensor: Tensor, tokens: number, room: number, channels: number) => {
    const numbers = await tensor.read();
    return Array.from(numbers).filter((_, i) => Math.floor(i / channels) % room < tokens);
  };
  const room = Math.ceil(capacity / cache.block);
  const { mean, minimum, maximum } = cache.summaries;
  return {
    key: await set(cache.key, length, capacity, headDim),
    value: await set(cache.value, length, capacity, valueDim),
    positions: await set(cache.positions, length, capacity, 1),
    mean: await set(mean, blocks, room, headDim),
    minimum: await set(minimum, blocks, room, headDim),
    maximum: await set(maximum, blocks, room, headDim),
  };
}

async function read({ output, logSumExp }: { output: Tensor; logSumExp: Tensor }): Promise<Numbers> {
  return { output: await output.read(), logSumExp: await logSumExp.read() };
}

/** Appends `pieces` tokens at a time. */
async function fill(on: Device, cache: KeyValueCache, dtype: 'f32' | 'f16', ...pieces: number[]) {
  const { batch, keyHeads, headDim, valueDim } = cache;
  for (const [i, tokens] of pieces.entries()) {
    const make = (seed: number, channels: number) =>
      on.tensor(
        randomArray(seed + 10 * i, [batch, keyHeads, tokens, channels]),
        [batch, keyHeads, tokens, channels],
        dtype,
      );
    const [key, value] = [make(2, headDim), make(3, valueDim)];
    await cache.append(key, value);
    key.dispose();
    value.dispose();
  }
}

export const cacheCases: DeviceCase[] = [
  {
    name: 'a cache filled piece by piece, few queries over it',
    run: (device) =>
      compare(device, async (on, tensor) => {
        const sizes = { batch: 2, keyHeads: 2, headDim: 12, valueDim: 20, capacity: 400, block: 16 };
        const cache = new KeyValueCache(on, { ...sizes, dtype: 'f32' });
        await fill(on, cache, 'f32', 270, 1, 1, 30, 3);
        const result = await attendCached(tensor(1, 2, 4, 3, 12), cache, { causal: true });
        const numbers = { ...(await contents(cache)), ...(await read(result)) };
        cache.dispose();
        return numbers;
      }),
  },
  {
    name: 'a cache of halves, many queries over it, after truncation',
    run: (device) =>
      compare(device, async (on) => {
        const cache = new KeyValueCache(on, {
          keyHeads: 2,
          headDim: 6,
          capacity: 90,
          block: 8,
          dtype: 'f16',
        });
        await fill(on, cache, 'f16', 70, 10);
        await cache.truncate(61);
        await fill(on, cache, 'f16', 5);
        const query = on.tensor(randomArray(1, [1, 2, 40, 6]), [1, 2, 40, 6], 'f16');
        const result = await attendCached(query, cache, { causal: true, outputDType: 'f32' });
        return { ...(await contents(cache)), ...(await read(result)) };
      }),
  },
  {
    name: 'a cache that evicts, other tokens for each head, under a mask on positions',
    run: (device) =>
      compare(device, async (on, tensor) => {
        const cache = new KeyValueCache(on, {
          keyHeads: 2,
          headDim: 8,
          capacity: 40,
          block: 8,
          dtype: 'f32',
          onFull: () => [0, 1, 2, 3, 20, 21, 22, 23],
        });
        await fill(on, cache, 'f32', 36);
        const kept = Uint32Array.from({ length: 2 * 26 }, (_, i) => (i % 26) + Math.floor(i / 26) * 10);
        await cache.keep(on.tensor(kept, [1, 2, 26], 'u32'));
        await fill(on, cache, 'f32', 5);
        const result = await attendCached(tensor(1, 1, 4, 2, 8), cache, {
          mask: (at) => cache.position(at, 4).mod(3).ne(1),
        });
        const before = { ...(await contents(cache)), ...(await read(result)) };
        await fill(on, cache, 'f32', 12); // does not fit beside 31: eight stay
        return { ...before, after: (await contents(cache)).positions };
      }),
  },
  {
    name: 'bounds of the blocks of a cache, and attention over the best of them',
    run: (device) =>
      compare(device, async (on, tensor) => {
        const cache = new KeyValueCache(on, {
          keyHeads: 2,
          headDim: 8,
          capacity: 100,
          block: 16,
          dtype: 'f32',
        });
        await fill(on, cache, 'f32', 70);
        const query = tensor(1, 1, 4, 1, 8);
        const each = await cache.blockBounds(query, { scale: 0.5 });
        const bounds = await cache.blockBounds(query, { heads: 'group' });
        const plan = selectedPlan({
          name: 'best blocks',
          queryTokens: 1,
          keyTokens: cache.length,
          queries: { slots: 1, block: 1 },
          keys: { slots: cache.length, block: cache.block },
          selected: await topK(bounds, { k: 3 }),
        });
        const result = await attendCached(query, cache, { plan });
        return { each: await each.read(), bounds: await bounds.read(), ...(await read(result)) };
      }),
  },
  {
    name: 'a full cache does as attend() does',
    run: async (device) =>
      compare(device, async (on, tensor) => {
        const cache = new KeyValueCache(on, { keyHeads: 1, headDim: 8, capacity: 33, dtype: 'f32' });
        const [query, key, value] = [tensor(1, 1, 2, 2, 8), tensor(2, 1, 1, 33, 8), tensor(3, 1, 1, 33, 8)];
        const dense = on.kind === 'reference';
        if (!dense) await cache.append(key, value);
        return read(dense ? await attend(query, key, value) : await attendCached(query, cache));
      }),
  },
];
