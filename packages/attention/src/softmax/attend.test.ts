import { describe, expect, test } from 'vitest';
import { openDevice } from '../device/open.ts';
import { ArgumentError } from '../errors.ts';
import { table } from '../mods/expression.ts';
import { densePlan, selectedPlan } from '../plan.ts';
import { type AttendOptions, attend } from './attend.ts';
import { mergeAttention } from './merge.ts';

const device = await openDevice('reference');
const other = await openDevice('reference');
const zeros = (shape: number[], on = device) => {
  const size = shape.reduce((product, length) => product * length, 1);
  return on.tensor(new Float32Array(size), shape);
};
const query = () => zeros([1, 4, 6, 8]);
const key = () => zeros([1, 2, 5, 8]);

interface Refused {
  why: string;
  inputs?: Partial<Record<'query' | 'key' | 'value', ReturnType<typeof zeros>>>;
  options?: AttendOptions;
  argument: string;
  /** What the message must show of the value that came. */
  given: string;
}

const disposed = (shape = [1, 2, 5, 8]) => {
  const tensor = zeros(shape);
  tensor.dispose();
  return tensor;
};

const gone = table(disposed([5]), [5]);

const refused: Refused[] = [
  { why: 'three axes', inputs: { query: zeros([4, 6, 8]) }, argument: 'query', given: '[4, 6, 8]' },
  { why: 'no channel', inputs: { query: zeros([1, 4, 6, 0]) }, argument: 'query', given: '[1, 4, 6, 0]' },
  { why: 'another batch', inputs: { key: zeros([2, 2, 5, 8]) }, argument: 'key', given: '[2, 2, 5, 8]' },
  { why: 'another headDim', inputs: { key: zeros([1, 2, 5, 7]) }, argument: 'key', given: '[1, 2, 5, 7]' },
  {
    why: 'heads that do not divide',
    inputs: { key: zeros([1, 3, 5, 8]) },
    argument: 'key',
    given: '[1, 3, 5, 8]',
  },
  {
    why: 'values of other tokens',
    inputs: { value: zeros([1, 2, 4, 8]) },
    argument: 'value',
    given: '[1, 2, 4, 8]',
  },
  {
    why: 'another device',
    inputs: { value: zeros([1, 2, 5, 8], other) },
    argument: 'value',
    given: 'another device',
  },
  { why: 'a disposed key', inputs: { key: disposed() }, argument: 'key', given: 'disposed' },
  {
    why: 'another dtype',
    inputs: { key: device.tensor(new Float32Array(80), [1, 2, 5, 8], 'f16') },
    argument: 'key',
    given: 'f16',
  },
  { why: 'a scale that is NaN', options: { scale: Number.NaN }, argument: 'scale', given: 'NaN' },
  { why: 'a scale that is infinite', options: { scale: Infinity }, argument: 'scale', given: 'Infinity' },
  { why: 'a plan for other lengths', options: { plan: densePlan(6, 4) }, argument: 'plan', given: '4 keys' },
  {
    why: 'lists for three batches',
    options: { plan: { ...densePlan(6, 5), listBatches: 3 } },
    argument: 'plan.listBatches',
    given: '3',
  },
  {
    why: 'lists for three heads',
    options: { plan: { ...densePlan(6, 5), listHeads: 3 } },
    argument: 'plan.listHeads',
    given: '3',
  },
  {
    why: 'blocks of no slot',
    options: { plan: { ...densePlan(6, 5), queries: { slots: 6, block: 0 } } },
    argument: 'plan.queries.block',
    given: '0',
  },
  {
    why: 'an order of another length',
    options: { plan: { ...densePlan(6, 5), queries: { slots: 6, block: 6, order: new Uint32Array(4) } } },
    argument: 'plan.queries.order',
    given: '4 slots',
  },
  { why: 'an output of integers', options: { outputDType: 'u32' }, argument: 'outputDType', given: 'u32' },
  {
    why: 'an epilogue scale of another shape',
    options: { epilogue: { scale: zeros([1, 4, 5]) } },
    argument: 'epilogue.scale',
    given: '[1, 4, 5]',
  },
  {
    why: 'an epilogue scale that is NaN',
    options: { epilogue: { scale: Number.NaN } },
    argument: 'epilogue.scale',
    given: 'NaN',
  },
  {
    why: 'an addend of another shape',
    options: { epilogue: { add: zeros([1, 4, 6, 7]) } },
    argument: 'epilogue.add',
    given: '[1, 4, 6, 7]',
  },
  {
    why: 'a disposed epilogue scale',
    options: { epilogue: { scale: disposed([1, 4, 6]) } },
    argument: 'epilogue.scale',
    given: 'disposed',
  },
  {
    why: 'an addend on another device',
    options: { epilogue: { add: zeros([1, 4, 6, 8], other) } },
    argument: 'epilogue.add',
    given: 'another device',
  },
  {
    why: 'a score that reads a disposed tensor',
    options: { score: ({ score, read, key: j }) => score.add(read(gone, j)) },
    argument: 'table 0 that score reads',
    given: 'disposed',
  },
  {
    why: 'lists that are disposed of',
    options: {
      plan: selectedPlan({
        name: 'gone',
        queryTokens: 6,
        keyTokens: 5,
        queries: { slots: 6, block: 6 },
        keys: { slots: 5, block: 5 },
        selected: { rows: disposed([1, 1, 1, 2]), blocks: disposed([1]), listBatches: 1, listHeads: 1 },
      }),
    },
    argument: 'plan.keys.rows',
    given: 'disposed',
  },
  {
    why: 'an order that is none',
    options: { order: 'row-major' as never },
    argument: 'order',
    given: 'row-major',
  },
  {
    why: 'key-major over keys that stand in no blocks',
    options: { order: 'key-major', plan: densePlan(6, 5) },
    argument: 'order',
    given: "key-major under the plan 'dense' of key all",
  },
  {
    why: 'a mask that is no expression',
    options: { mask: (() => true) as never },
    argument: 'result',
    given: 'boolean',
  },
];

describe('attend refuses before it starts', () => {
  test.each(refused)('$why', async ({ inputs, options, argument, given }) => {
    const call = attend(inputs?.query ?? query(), inputs?.key ?? key(), inputs?.value ?? key(), options);
    const error = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error).toMatchObject({ argument });
    expect((error as ArgumentError).given).toContain(given);
    expect((error as ArgumentError).allowed).not.toBe('');
  });

  test('a merge of a part that is disposed of', async () => {
    const parts = [await attend(query(), key(), key()), await attend(query(), key(), key())];
    parts[1].logSumExp.dispose();
    await expect(mergeAttention(parts)).rejects.toThrow('parts[1].logSumExp is a disposed tensor');
  });

  test('a call that was cancelled rejects with the reason', async () => {
    await expect(attend(query(), key(), key(), { signal: AbortSignal.abort('enough') })).rejects.toBe(
      'enough',
    );
  });
});
