import { attentionCost, openDevice } from '@saccade/attention';
import { randomArray } from '@saccade/attention/testing';
import { expect, test } from 'vitest';
import { agree } from '../kit/agree.ts';
import { randomInputs } from '../kit/random-inputs.ts';
import { neighborhoodAttention } from './mechanism.ts';
import { options, paper } from './paper.ts';

agree(paper, [
  { name: '1-D, odd length', tokens: 67, options: { window: [7] }, heads: 3, headDim: 16 },
  {
    name: '1-D, causal and dilated',
    tokens: 61,
    options: { window: [5], dilation: [3], causal: [true] },
    headDim: 8,
  },
  {
    name: '2-D, cut tiles',
    tokens: 13 * 11,
    options: { grid: [13, 11], window: [5, 3] },
    heads: 2,
    headDim: 8,
  },
  {
    name: '2-D, static tiles',
    tokens: 13 * 11,
    options: { grid: [13, 11], window: [5, 3], route: 'static' },
    heads: 2,
    headDim: 8,
  },
  {
    name: '2-D, groups of different length',
    tokens: 13 * 12,
    options: { grid: [13, 12], window: [3, 3], dilation: [2, 3] },
    headDim: 8,
  },
  {
    name: '2-D with a bias',
    tokens: 48,
    options: { grid: [6, 8], window: [3, 3], relativeBias: Array.from(randomArray(7, [2 * 25])) },
    heads: 2,
    headDim: 8,
  },
  {
    name: '3-D, causal in time, grouped heads',
    tokens: 5 * 6 * 7,
    options: { grid: [5, 6, 7], window: [3], causal: [true, false, false] },
    heads: 4,
    keyHeads: 2,
    batch: 2,
    headDim: 8,
  },
]);

test('8: the kernel allocates its output, the log-sum-exp and lists, never the N x W weights', async () => {
  const device = await openDevice('webgpu');
  const inputs = randomInputs(device, [1, 2, 1024, 16]);
  const choice = options.parse({ grid: [32, 32], window: [15] });
  device.resetPeak();
  const before = device.memory.currentBytes;
  const { attended } = await neighborhoodAttention(inputs, choice);
  await device.finish();
  const weights = 2 * 1024 * 225 * 4;
  expect(device.memory.peakBytes - before).toBeLessThan(weights / 4);
  const cost = await attentionCost(inputs.query, inputs.key, inputs.value, attended);
  expect(cost.visitedPairs).toBeGreaterThanOrEqual(2 * 1024 * 225);
  await device.close();
});
