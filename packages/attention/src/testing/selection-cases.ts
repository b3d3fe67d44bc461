import type { Device } from '../device/device.ts';
import { NO_TOKEN, selectedPlan } from '../plan.ts';
import { blockMean, blockScores, topK } from '../select/select.ts';
import { attend } from '../softmax/attend.ts';
import type { Tensor } from '../tensor.ts';
import { compare, type DeviceCase } from './cases.ts';
import { shuffled } from './plans.ts';

/** Lists as a plan reads them: the counts, and the entries within them. */
async function lists(selected: { rows: Tensor; blocks: Tensor }): Promise<Record<string, number[]>> {
  const [rows, blocks] = await Promise.all([selected.rows.read(), selected.blocks.read()]);
  const counts: number[] = [];
  const entries: number[] = [];
  for (let i = 0; i < rows.length; i += 2) {
    counts.push(rows[i + 1]);
    for (let e = 0; e < rows[i + 1]; e++) entries.push(blocks[rows[i] + e]);
  }
  return { counts, entries };
}

export const selectionCases: DeviceCase[] = [
  {
    name: 'block means, in order and with padding',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const input = tensor(1, 2, 3, 37, 10);
        const order = new Uint32Array(48).fill(NO_TOKEN);
        shuffled(37).forEach((token, i) => {
          order[i] = token;
        });
        const plain = await blockMean(input, { slots: 37, block: 8 });
        const ordered = await blockMean(input, { slots: 48, block: 5, order });
        return { plain: await plain.read(), ordered: await ordered.read() };
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
  ...[
    { rows: 7, columns: 33, k: 5 },
    { rows: 3, columns: 300, k: 300 },
    { rows: 2, columns: 4096, k: 61 },
    { rows: 40, columns: 40, k: 6, causal: true },
    { rows: 40, columns: 40, k: 6, causal: true, forceOwn: true },
    { rows: 40, columns: 40, k: 1, forceOwn: true },
  ].map(({ rows, columns, ...options }) => ({
    name: `top ${options.k} of ${columns}${'causal' in options ? ', causal' : ''}${'forceOwn' in options ? ', own block forced' : ''}`,
    run: (device: Device) =>
      compare(device, async (_on, tensor) => lists(await topK(tensor(5, 1, 2, rows, columns), options))),
  })),
  {
    name: 'top k with ties, NaN and infinities',
    run: (device) =>
      compare(device, async (on) => {
        const scores = Float32Array.from({ length: 6 * 50 }, (_, i) => Math.floor(((i * 37) % 101) / 25) - 2);
        scores.set([Number.NaN, Infinity, -Infinity, 0, -0, 3.4e38, -3.4e38], 20);
        scores.fill(Number.NaN, 50, 100);
        scores.fill(1, 100, 150);
        const selected = await topK(on.tensor(scores, [1, 1, 6, 50], 'f32'), { k: 11 });
        return lists(selected);
      }),
  },
  {
    name: 'attention under a selection that stays on the device',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [1, 2, 3].map((seed) => tensor(seed, 2, 4, 70, 16));
        const layout = { slots: 70, block: 8 };
        const scores = await blockScores(await blockMean(query, layout), await blockMean(key, layout));
        const selected = await topK(scores, { k: 3, causal: true, forceOwn: true });
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
  },
];
