import type { Device } from '../device/device.ts';
import { bitMask } from '../mods/bit-mask.ts';
import { table } from '../mods/expression.ts';
import { FULL_BLOCK } from '../plan.ts';
import { gatheredKeysPlan } from '../plans.ts';
import { groupBySegment } from '../select/lists.ts';
import { gatherRows, mergeSlots } from '../select/slots.ts';
import { topK } from '../select/top.ts';
import { attend } from '../softmax/attend.ts';
import type { Tensor } from '../tensor.ts';
import { compare, type DeviceCase } from './cases.ts';
import { randomArray } from './close.ts';

/** Three groups of ten slots: tokens in one, two or none of them, some slots empty. */
function groupedIds(on: Device, lists: number, tokens: number): Tensor {
  const ids = Uint32Array.from({ length: lists * 30 }, (_, i) => {
    const [group, place] = [Math.floor((i % 30) / 10), i % 10];
    return place === 9 ? 0xffffffff : (place * 2 + group * 5 + Math.floor(i / 30)) % tokens;
  });
  return on.tensor(ids, [1, lists, 30]);
}

/** Each group sees the keys whose number leaves its own remainder by three: what two groups see is disjoint. */
async function attendGroups(on: Device, tensor: (seed: number, ...shape: number[]) => Tensor, lists: number) {
  const [query, key, value] = [tensor(1, 2, 2, 23, 8), tensor(2, 2, 2, 40, 8), tensor(3, 2, 2, 40, 8)];
  const ids = groupedIds(on, lists, 23);
  const part = await attend(await gatherRows(query, ids), key, value, {
    mask: ({ query: slot, key: j }) => j.mod(3).eq(slot.div(10)).and(slot.ne(4)),
  });
  return mergeSlots(part, await groupBySegment(ids, 23));
}

/** Gathered queries and keys, and masks of a bit a pair. */
export const slotCases: DeviceCase[] = [
  ...[1, 2].map((lists) => ({
    name: `queries in several groups, ${lists === 1 ? 'shared by' : 'other ones for'} the heads`,
    run: (device: Device) =>
      compare(device, async (on, tensor) => {
        const { output, logSumExp } = await attendGroups(on, tensor, lists);
        return { output: await output.read(), logSumExp: await logSumExp.read() };
      }),
  })),
  {
    name: 'rows of f16 in the order of ids',
    run: (device) =>
      compare(device, async (on) => {
        const input = on.tensor(randomArray(8, [1, 2, 23, 6]), [1, 2, 23, 6], 'f16');
        return { rows: await (await gatherRows(input, groupedIds(on, 2, 23))).read() };
      }),
  },
  {
    name: 'keys that a selection over tokens chose',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [tensor(1, 1, 4, 64, 8), tensor(2, 1, 2, 90, 8), tensor(3, 1, 2, 90, 8)];
        const plan = gatheredKeysPlan({
          name: 'chosen keys',
          queryTokens: 64,
          keyTokens: 90,
          queries: { slots: 64, block: 16 },
          positions: await topK(tensor(4, 1, 2, 4, 90), { k: 37, sink: 2 }),
        });
        const { output, logSumExp } = await attend(query, key, value, { plan });
        return { output: await output.read(), logSumExp: await logSumExp.read() };
      }),
  },
  {
    name: 'masks of a bit a pair, of tokens and of key blocks',
    run: (device) =>
      compare(device, async (_on, tensor) => {
        const [query, key, value] = [tensor(1, 2, 2, 19, 8), tensor(2, 2, 2, 70, 8), tensor(3, 2, 2, 70, 8)];
        const bits = (seed: number, ...shape: number[]) =>
          table(
            Int32Array.from(randomArray(seed, shape), (x) => (x * FULL_BLOCK) | 0),
            shape,
          );
        const own = await attend(query, key, value, { mask: bitMask(bits(5, 2, 2, 19, 3)) });
        const blocks = await attend(query, key, value, {
          mask: bitMask(bits(6, 19, 1), ({ key: j }) => j.div(4)),
        });
        return { own: await own.output.read(), blocks: await blocks.output.read() };
      }),
  },
];
