import { agree } from '../kit/agree.ts';
import { paper } from './paper.ts';

const local = (side: number, channels: number) => ({
  weights: Array.from({ length: side * side }, (_, place) =>
    Array.from({ length: channels }, (_, channel) => Math.sin(place + 3 * channel) / 4),
  ),
  bias: Array.from({ length: channels }, (_, channel) => Math.cos(channel) / 4),
});

// Mechanism = reference on every device. Regions of every size of the models, and ragged ones.
agree(paper, [
  { name: 'one token', options: { grid: [1, 1], regions: 1, topk: 1 }, tokens: 1 },
  { name: 'one region', options: { grid: [5, 7], regions: 1, topk: 1 }, tokens: 35, heads: 2 },
  { name: 'regions of one pixel', options: { grid: [8, 8], regions: 8, topk: 5 }, tokens: 64, spread: 2 },
  {
    name: 'regions of 4, two batches',
    options: { grid: [14, 14], regions: 7, topk: 16 },
    tokens: 196,
    batch: 2,
    heads: 2,
    spread: 2,
  },
  { name: 'regions of 9', options: { grid: [12, 12], regions: 4, topk: 4 }, tokens: 144, spread: 2 },
  {
    name: 'regions of 16, grouped heads',
    options: { grid: [16, 12], regions: 4, topk: 3 },
    tokens: 192,
    heads: 4,
    keyHeads: 2,
    headDim: 33,
    spread: 2,
  },
  { name: 'ragged regions', options: { grid: [11, 13], regions: 4, topk: 3 }, tokens: 143, spread: 2 },
  { name: 'k lowered', options: { grid: [5, 5], regions: 4, topk: 16 }, tokens: 25 },
  { name: 'all regions', options: { grid: [8, 8], regions: 4, topk: 16 }, tokens: 64, heads: 2 },
  { name: 'window routing', options: { grid: [8, 8], regions: 4, topk: 1, routing: 'window' }, tokens: 64 },
  {
    name: 'local kernel',
    options: { grid: [9, 11], regions: 3, topk: 2, localKernel: local(5, 16) },
    tokens: 99,
    heads: 2,
    spread: 2,
  },
]);
