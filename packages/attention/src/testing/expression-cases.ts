import { table } from '../mods/expression.ts';
import type { AttendCase } from './cases.ts';
import { randomArray } from './close.ts';
import { stridedBlocks, window } from './plans.ts';

const bias = table(randomArray(91, [3, 40]), [3, 40]);
const groups = table(
  Int32Array.from({ length: 80 }, (_, i) => (i * 7) % 5),
  [80],
);

export const expressionCases: AttendCase[] = [
  { name: 'a window as a mask', queryTokens: 129, headDim: 16, options: () => ({ mask: window }) },
  {
    name: 'a mask that reads an integer table',
    queryTokens: 80,
    headDim: 8,
    options: () => ({
      mask: ({ query, key, readInt }) => readInt(groups, query).eq(readInt(groups, key)),
    }),
  },
  {
    name: 'a score that reads a table by head and distance',
    heads: 3,
    queryTokens: 70,
    headDim: 8,
    options: () => ({
      score: ({ score, head, query, key, read }) => score.add(read(bias, head, query.sub(key).abs().min(39))),
    }),
  },
  {
    name: 'a score that reads two device tensors and a host table',
    batch: 2,
    queryTokens: 20,
    headDim: 8,
    options: (device) => {
      const decay = table(device.tensor(randomArray(92, [2, 20]), [2, 20]), [2, 20]);
      const halves = table(device.tensor(randomArray(93, [20]), [20], 'f16'), [20]);
      return {
        mask: ({ query, key, readInt }) => readInt(groups, query.add(key)).ne(2),
        score: ({ score, batch, query, key, read }) =>
          score
            .mul(read(decay, batch, query))
            .add(read(halves, key))
            .add(read(bias, 1, key)),
      };
    },
  },
  {
    name: 'tanh soft cap, exp, sqrt, floor',
    queryTokens: 33,
    headDim: 8,
    options: () => ({
      score: ({ score, query, key }) => {
        const distance = query.sub(key).abs().toFloat();
        return score
          .div(5)
          .tanh()
          .mul(5)
          .sub(distance.sqrt().mul(0.1))
          .add(distance.neg().exp())
          .add(score.floor());
      },
    }),
  },
  {
    name: 'a score that reads the place of a key in lists of full and other blocks',
    queryTokens: 70,
    headDim: 8,
    options: () => ({
      plan: stridedBlocks({ queryTokens: 70, keyTokens: 70, queryBlock: 16, keyBlock: 8, keep: window }),
      score: ({ score, keySlot }) => score.add(keySlot.toFloat().mul(0.1)),
    }),
  },
  {
    name: 'integer operations on slots',
    queryTokens: 70,
    headDim: 8,
    options: () => ({
      plan: stridedBlocks({ queryTokens: 70, keyTokens: 70, queryBlock: 16, keyBlock: 8 }),
      mask: ({ querySlot, keySlot, query, key }) =>
        querySlot
          .bitAnd(3)
          .ne(keySlot.shiftRight(1).bitAnd(3))
          .or(query.sub(key).div(4).mod(3).eq(-1))
          .and(key.mul(5).add(query).shiftLeft(1).bitOr(1).gt(20).not().not()),
    }),
  },
  {
    name: 'an epilogue with numbers and a tensor',
    heads: 2,
    queryTokens: 19,
    headDim: 8,
    options: (device, shape) => ({
      epilogue: { scale: 0.5, add: device.tensor(randomArray(94, shape), shape) },
    }),
  },
  {
    name: 'an epilogue with a scale per row',
    heads: 2,
    queryTokens: 19,
    headDim: 33,
    options: (device, shape) => ({
      epilogue: { scale: device.tensor(randomArray(95, shape.slice(0, 3)), shape.slice(0, 3)) },
    }),
  },
  {
    name: 'f16 with an epilogue and a mask',
    heads: 2,
    queryTokens: 19,
    headDim: 32,
    dtype: 'f16',
    options: (device, shape) => ({
      mask: ({ query }) => query.ne(4),
      epilogue: { scale: 2, add: device.tensor(randomArray(94, shape), shape, 'f16') },
    }),
  },
  {
    name: 'rows that see nothing',
    heads: 2,
    queryTokens: 70,
    headDim: 8,
    options: () => ({ mask: ({ query, key }) => query.mod(3).ne(1).and(key.ge(query)).and(query.ne(69)) }),
  },
  {
    name: 'values that are one-hot',
    queryTokens: 40,
    valueDim: 40,
    headDim: 8,
    options: () => ({ causal: true }),
    prepare: ({ value }) => {
      value.fill(0);
      for (let i = 0; i < 40; i++) value[i * 40 + i] = 1;
    },
  },
  {
    name: 'masked keys that hold 1e30',
    queryTokens: 40,
    headDim: 8,
    options: () => ({ mask: ({ key }) => key.lt(30) }),
    prepare: ({ key, value }) => {
      key.fill(1e30, 30 * 8);
      value.fill(1e30, 30 * 8);
    },
  },
  {
    name: 'a key that is NaN reaches only the rows that see it',
    queryTokens: 70,
    headDim: 8,
    options: () => ({ causal: true }),
    prepare: ({ key }) => {
      key[66 * 8 + 3] = Number.NaN;
    },
  },
  {
    name: 'a value that is NaN reaches only the rows that see it, in its channel',
    queryTokens: 70,
    headDim: 8,
    options: () => ({ mask: window }),
    prepare: ({ value }) => {
      value[35 * 8 + 3] = Number.NaN;
    },
  },
  {
    name: 'a query that is NaN spoils its row only',
    queryTokens: 20,
    headDim: 8,
    prepare: ({ query }) => {
      query[5 * 8] = Number.NaN;
    },
  },
];
