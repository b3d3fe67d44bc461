import { afterAll, describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { sizeOf, type Tensor } from '../tensor.ts';
import { expectClose, randomArray, tolerances } from '../testing/close.ts';
import { keyMajorAttendCases } from '../testing/key-major-cases.ts';
import { stridedBlocks } from '../testing/plans.ts';
import { attend, checkAttend } from './attend.ts';
import { cutRounds } from './key-major.ts';
import { attendKeyMajorOnWasm } from './tiers/wasm-key-major.ts';

const reference = await openDevice('reference');
const wasm = await openDevice('wasm', { threads: 2 });
afterAll(() => wasm.close());

const shapes = [
  [2, 4, 70, 8],
  [2, 2, 75, 8],
  [2, 2, 75, 8],
];
const plan = stridedBlocks({ queryTokens: 70, keyTokens: 75, queryBlock: 8, keyBlock: 5 });
const inputsOn = (on: typeof wasm) =>
  shapes.map((shape, i) => on.tensor(randomArray(i, shape), shape)) as [Tensor, Tensor, Tensor];

describe('the reference from the keys’ side agrees with itself from the queries’', () => {
  test.each(keyMajorAttendCases)('$name', async (item) => {
    const { batch = 1, heads = 1, queryTokens, headDim } = item;
    const { keyHeads = heads, keyTokens = queryTokens, valueDim = headDim } = item;
    const sizes = [
      [batch, heads, queryTokens, headDim],
      [batch, keyHeads, keyTokens, headDim],
      [batch, keyHeads, keyTokens, valueDim],
    ];
    const tensors = sizes.map((shape, i) => reference.tensor(randomArray(i + 1, shape), shape, 'f32'));
    const options = item.options!(reference, [batch, heads, queryTokens, valueDim]);
    const [query, key, value] = tensors;
    const keys = await attend(query, key, value, options);
    const queries = await attend(query, key, value, { ...options, order: 'query-major' });
    for (const name of ['output', 'logSumExp'] as const)
      expectClose(await keys[name].read(), await queries[name].read(), tolerances.f64, name);
  });
});

test('several rounds give what one gives', async () => {
  const request = checkAttend(...inputsOn(wasm), { plan, order: 'key-major' });
  const attendPart: typeof wasm.kernels.attend = (part) => wasm.kernels.attend(part);
  const expected = await attend(...inputsOn(reference), { plan });
  const before = wasm.memory.currentBytes;
  for (const mostBytes of [1, 300_000]) {
    const actual = await attendKeyMajorOnWasm(request, attendPart, mostBytes);
    expectClose(await actual.output.read(), await expected.output.read(), tolerances.f32, 'output');
    expectClose(await actual.logSumExp.read(), await expected.logSumExp.read(), tolerances.f32, 'sum');
    actual.output.dispose();
    actual.logSumExp.dispose();
  }
  expect(wasm.memory.currentBytes).toBe(before);
});

describe('rounds', () => {
  const request = checkAttend(...inputsOn(reference), { plan, order: 'key-major' });
  // key block 0 has 130 visits by blocks of 8 queries, block 3 has 5, the others none
  const visited = new Uint32Array(30);
  visited.set([0, 130], 0);
  visited.set([130, 5], 6);
  const largestBuffer = 1e9;

  test('hold every visit once, in tiles of one key block', () => {
    const { visits, rows, tiles, words } = cutRounds(request, visited, { mostBytes: 1e9, largestBuffer });
    expect([rows, words.length]).toEqual([visits * 8, 1]);
    expect(words[0].length).toBe(3 * tiles);
    const seen = new Set<number>();
    for (let at = 0; at < words[0].length; at += 3) {
      const [block, first, count] = words[0].subarray(at, at + 3);
      expect(count).toBeLessThanOrEqual(visits);
      for (let visit = first; visit < first + count; visit++) {
        expect(block).toBe(visit < 130 ? 0 : 3);
        seen.add(visit);
      }
    }
    expect(seen.size).toBe(135);
  });

  test('stay within the memory that they may use, and within one buffer', () => {
    const bytes = ({ tiles, rows }: ReturnType<typeof cutRounds>) =>
      sizeOf([2, 4, tiles, rows, 8 + 8 + 1]) * 4;
    const few = cutRounds(request, visited, { mostBytes: 200_000, largestBuffer });
    expect(few.words.length).toBeGreaterThan(1);
    expect(bytes(few)).toBeLessThanOrEqual(200_000);
    const small = cutRounds(request, visited, { mostBytes: 1e9, largestBuffer: 50_000 });
    expect(sizeOf([2, 4, small.tiles, small.rows, 8]) * 4).toBeLessThanOrEqual(50_000);
    expect(few.words.length * few.tiles).toBeGreaterThanOrEqual(Math.ceil(135 / few.visits));
  });
});
