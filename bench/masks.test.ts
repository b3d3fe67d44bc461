import { describe, expect, test } from 'vitest';
import { attend, openDevice } from '../packages/attention/src/index.ts';
import { expectClose, tolerances } from '../packages/attention/src/testing/index.ts';
import { type BenchCase, keptPairs } from '../packages/site/src/shared/bench.ts';
import { cases, quick } from './cases.ts';
import { inputsOf } from './inputs.ts';
import { attendOptions, blockLists } from './masks.ts';
import { torchSpec } from './torch.ts';

const reference = await openDevice('reference');
const byId = (id: string) => cases.find(({ facts }) => facts.id === id)!;

async function outputs(facts: BenchCase, options: Parameters<typeof attend>[3]) {
  const { query, key, value } = inputsOf(facts);
  const { batch, heads, queryTokens, keyTokens, headDim } = facts;
  const tensor = (numbers: Float32Array, tokens: number) =>
    reference.tensor(numbers, [batch, heads, tokens, headDim]);
  const { output } = await attend(
    tensor(query, queryTokens),
    tensor(key, keyTokens),
    tensor(value, keyTokens),
    options,
  );
  return output.read();
}

const small = (id: string): BenchCase => ({ ...quick(byId(id)).facts, heads: 1, headDim: 8 });

describe('masks of the bench', () => {
  test.each([1, 17, 64, 100])('a window of %i is the same as a plan and as an expression', async (size) => {
    const facts: BenchCase = { ...small('window'), mask: { kind: 'window', size } };
    const mask: NonNullable<Parameters<typeof attend>[3]>['mask'] = ({ query, key }) =>
      key.le(query).and(query.sub(key).lt(size));
    expectClose(await outputs(facts, attendOptions(facts)), await outputs(facts, { mask }), tolerances.f32);
  });

  test('block lists are drawn once and for all: their own block, no block twice, ascending', () => {
    const { facts } = byId('blocks');
    if (facts.mask.kind !== 'blocks') throw new Error('the case blocks has blocks');
    const lists = blockLists(facts, facts.mask);
    expect(lists).toEqual(blockLists(facts, facts.mask));
    lists.forEach((list, row) => {
      expect(list).toContain(row);
      expect(list).toEqual([...new Set(list)].sort((a, b) => a - b));
    });
    const listed = lists.reduce((sum, list) => sum + list.length, 0) * facts.mask.block ** 2;
    expect(listed).toBe(keptPairs(facts));
  });
});

test('PyTorch gets the lists, and a small case with the output of the reference', async () => {
  const { cases: asked } = await torchSpec([byId('blocks'), byId('decode')]);
  const [blocks, decode] = asked;
  expect(blocks.lists).toHaveLength(32_768 / 64);
  const { check } = blocks;
  expect(check.output).toHaveLength(check.heads * check.queryTokens * check.headDim);
  expectClose(
    check.output,
    await outputs(quick(byId('blocks')).facts, attendOptions(quick(byId('blocks')).facts)),
    {
      absolute: 1e-6,
      relative: 1e-5,
      rms: 1e-5,
    },
  );
  expect(decode.lists).toBeUndefined();
  expect(decode.queryTokens).toBe(1);
});
