import type { AttendCase } from './cases.ts';
import { randomArray } from './close.ts';

const causal = () => ({ causal: true });

const sizes: AttendCase[] = [1, 17, 64, 129].flatMap((tokens) =>
  [1, 3].map((heads) => ({
    name: `${tokens} tokens, ${heads} heads`,
    queryTokens: tokens,
    heads,
    headDim: 33,
  })),
);

const channels: AttendCase[] = [1, 64, 80, 128, 256].map((headDim) => ({
  name: `headDim ${headDim}`,
  queryTokens: 21,
  keyTokens: 70,
  headDim,
}));

export const shapeCases: AttendCase[] = [
  ...sizes,
  ...channels,
  { name: 'valueDim other than headDim', queryTokens: 19, keyTokens: 35, headDim: 12, valueDim: 70 },
  { name: 'valueDim 1', queryTokens: 9, headDim: 16, valueDim: 1 },
  { name: 'two batches, grouped query heads', batch: 2, heads: 6, keyHeads: 2, queryTokens: 33, headDim: 16 },
  { name: 'one key head', heads: 4, keyHeads: 1, queryTokens: 20, keyTokens: 65, headDim: 8 },
  { name: 'no query', queryTokens: 0, keyTokens: 5, headDim: 4 },
  { name: 'no key', queryTokens: 5, keyTokens: 0, headDim: 4 },
  { name: 'causal', queryTokens: 129, heads: 2, headDim: 16, options: causal },
  { name: 'causal, fewer queries than keys', queryTokens: 17, keyTokens: 129, headDim: 16, options: causal },
  { name: 'causal, more queries than keys', queryTokens: 129, keyTokens: 70, headDim: 16, options: causal },
  { name: 'one query, many keys', heads: 2, queryTokens: 1, keyTokens: 700, headDim: 16, options: causal },
  {
    name: 'few queries, many keys',
    heads: 6,
    keyHeads: 2,
    queryTokens: 3,
    keyTokens: 300,
    headDim: 16,
    options: causal,
  },
  {
    name: 'one query of one head, keys enough for every thread',
    queryTokens: 1,
    keyTokens: 1100,
    headDim: 16,
    valueDim: 10,
    options: (device, shape) => ({
      epilogue: { scale: 0.5, add: device.tensor(randomArray(94, shape), shape) },
    }),
  },
  {
    name: 'queries of one head, keys enough for every thread, causal',
    queryTokens: 20,
    keyTokens: 1100,
    headDim: 16,
    options: causal,
  },
  { name: 'sharp scores', queryTokens: 65, keyTokens: 200, headDim: 16, spread: 6 },
  {
    name: 'scores that rise along the keys',
    queryTokens: 33,
    keyTokens: 200,
    headDim: 8,
    options: () => ({ score: ({ score, key }) => score.add(key.toFloat().mul(0.2)) }),
  },
  { name: 'f16', heads: 2, queryTokens: 70, headDim: 64, dtype: 'f16', options: causal },
  { name: 'f16, odd channels', heads: 2, queryTokens: 17, headDim: 33, dtype: 'f16' },
  {
    name: 'f16 in, f32 out',
    queryTokens: 17,
    headDim: 32,
    dtype: 'f16',
    options: () => ({ outputDType: 'f32' }),
  },
];
