import { NO_TOKEN, selectedPlan } from '../plan.ts';
import { blockMean, blockMoments, blockScores } from '../select/blocks.ts';
import { topK, topP } from '../select/top.ts';
import { attend } from '../softmax/attend.ts';
import type { Tensor } from '../tensor.ts';
import { compare, type DeviceCase } from './cases.ts';
import { shuffled } from './plans.ts';

/** Block statistics, block scores, and attention under what was selected from them. */
export const selectionCases: DeviceCase[] = [
  {
    name: 'block means and deviations, in order and with padding',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const input = tensor(1, 2, 3, 37, 10);
        const order = new Uint32Array(48).fill(NO_TOKEN);
        shuffled(37).forEach((token, i) => {
          order[i] = token;
        });
        const plain = await blockMean(input, { slots: 37, block: 8 });
        const moments = await blockMoments(input, { slots: 37, block: 17 });
        const ordered = await blockMoments(input, { slots: 48, block: 5, order });
        return {
          plain: await plain.read(),
          mean: await moments.mean.read(),
          deviation: await moments.deviation.read(),
          orderedMean: await ordered.mean.read(),
          orderedDeviation: await ordered.deviation.read(),
        };
      }),
  },
  {
    name: 'block means of more channels than a workgroup owns',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const { mean, deviation } = await blockMoments(tensor(1, 1, 2, 20, 70), { slots: 20, block: 20 });
        return { mean: await mean.read(), deviation: await deviation.read() };
      }),
  },
  {
    name: 'block means of rows that are read 16 bytes at a time, and of single tokens',
    run: (device) =>
      compare(device, async (on, tensor) => {
        const [narrow, wide] = [tensor(1, 2, 2, 37, 16), tensor(2, 1, 1, 9, 160)];
        const halves = on.tensor(await narrow.read(), narrow.shape, 'f16');
        const of = async (input: Tensor, block: number) => {
          const { mean, deviation } = await blockMoments(input, { slots: input.shape[2], block });
          return [...(await mean.read()), ...(await deviation.read())];
        };
        return {
          narrow: await of(narrow, 19),
          single: await of(narrow, 1),
          wide: await of(wide, 4),
          halves: await of(halves, 6),
        };
      }),
  },
  {
    name: 'block scores, per head and summed',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key] = [tensor(1, 2, 4, 19, 12), tensor(2, 2, 2, 23, 12)];
        const each = await blockScores(query, key, { scale: 0.3 });
        const sum = await blockScores(query, key, { scale: 0.3, heads: 'sum' });
        return { each: await each.read(), sum: await sum.read() };
      }),
  },
  {
    name: 'block scores over several tiles, causal, with odd channels',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key] = [tensor(1, 1, 2, 130, 35), tensor(2, 1, 1, 150, 35)];
        const causal = await blockScores(query, key, { causal: true });
        const sum = await blockScores(query, key, { causal: true, heads: 'sum' });
        return { causal: await causal.read(), sum: await sum.read() };
      }),
  },
  {
    name: 'block scores of f16 rows',
    run: (device) =>
      compare(device, async (on, tensor) => {
        const half = async (seed: number, ...shape: number[]) => {
          const numbers = await tensor(seed, ...shape).read();
          return on.tensor(numbers, shape, 'f16');
        };
        const even = await blockScores(await half(1, 1, 2, 17, 16), await half(2, 1, 2, 9, 16));
        const odd = await blockScores(await half(3, 1, 2, 17, 7), tensor(4, 1, 2, 9, 7));
        return { even: await even.read(), odd: await odd.read() };
      }),
  },
  ...[
    { name: 'top k', select: 'k' as const },
    { name: 'top p', select: 'p' as const },
  ].map(({ name, select }) => ({
    name: `attention under ${name} that stays on the device`,
    run: (device: Parameters<DeviceCase['run']>[0]) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [1, 2, 3].map((seed) => tensor(seed, 2, 4, 70, 16));
        const layout = { slots: 70, block: 8 };
        const means = [await blockMean(query, layout), await blockMean(key, layout)];
        const scores = await blockScores(means[0], means[1], { causal: true });
        const options = { causal: true, sink: 1, local: 1 };
        const selected =
          select === 'k'
            ? await topK(scores, { k: 3, ...options })
            : await topP(scores, { p: 0.5, ...options });
        const plan = selectedPlan({
          name: 'selected',
          queryTokens: 70,
          keyTokens: 70,
          queries: layout,
          keys: layout,
          selected,
        });
        const result = await attend(query, key, value, { plan, causal: true });
        return { output: await result.output.read(), logSumExp: await result.logSumExp.read() };
      }),
  })),
];
