import { agree } from '../kit/agree.ts';
import { paper } from './paper.ts';

// Mechanism = reference on every device. Sizes with a tail in every tile.
agree(paper, [
  { name: 'one token', options: {}, tokens: 1 },
  {
    name: '17 tokens, 3 heads, blocks of 1',
    options: { blockSize: 1, windowBlocks: 2 },
    tokens: 17,
    heads: 3,
  },
  {
    name: '64 tokens, bare',
    options: { blockSize: 4, windowBlocks: 1, sinkBlocks: 0 },
    tokens: 64,
    headDim: 64,
  },
  {
    name: '129 tokens, grouped heads, two batches',
    options: { blockSize: 8, windowBlocks: 2 },
    tokens: 129,
    batch: 2,
    heads: 4,
    keyHeads: 2,
    headDim: 33,
  },
  { name: '200 tokens in blocks of the tile', options: { windowBlocks: 1, sinkBlocks: 0 }, tokens: 200 },
  {
    name: '200 tokens in blocks of 20',
    options: { blockSize: 20, windowBlocks: 2, sinkBlocks: 2 },
    tokens: 200,
  },
  { name: 'window', options: { pattern: 'window', blockSize: 5, windowBlocks: 3 }, tokens: 129 },
  { name: 'slash', options: { pattern: 'slash', blockSize: 5, windowBlocks: 2, period: 4 }, tokens: 129 },
  { name: 'dilated', options: { pattern: 'dilated', blockSize: 5, windowBlocks: 3 }, tokens: 129 },
  { name: 'longnet', options: { pattern: 'longnet', blockSize: 5, windowBlocks: 2 }, tokens: 129 },
  { name: 'full', options: { pattern: 'full', blockSize: 16 }, tokens: 129 },
]);
