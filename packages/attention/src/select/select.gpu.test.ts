import { afterAll, describe, expect, test } from 'vitest';
import { openWebGPU } from '../device/webgpu.ts';
import { listsOf } from '../testing/cases.ts';
import { randomArray } from '../testing/close.ts';
import { listCases } from '../testing/list-cases.ts';
import { topCases } from '../testing/top-cases.ts';
import { topK } from './top.ts';

const device = await openWebGPU({ tier: 'subgroup' });
afterAll(() => device.close());

/** Cases for each kernel that sums over lanes. */
const scanned = /^top |forced of|4 to 31|320 with ties|a head of|rows of 600|inversion of 129/;

describe('selection with sums from lane to lane', () => {
  const cases = [...topCases, ...listCases].filter(({ name }) => scanned.test(name));
  test.each(cases.map((item) => [item.name, item] as const))('%s', (_name, item) => item.run(device));

  test('gives the same lists in every run', async () => {
    const scores = device.tensor(randomArray(9, [1, 1, 12, 300]).map(Math.fround), [1, 1, 12, 300]);
    const first = await listsOf(await topK(scores, { k: 31, sink: 2 }));
    for (let run = 1; run < 8; run++)
      expect(await listsOf(await topK(scores, { k: 31, sink: 2 }))).toEqual(first);
  });
});
