import { agree } from '../kit/agree.ts';
import { paper } from './paper.ts';

// Mechanism = reference on every device. Sizes with a tail in every tile, frames that do not end with a block.
agree(paper, [
  { name: 'one token', options: {}, tokens: 1 },
  { name: '17 frames of one token', options: { grid: [17], blockSize: 4 }, tokens: 17, heads: 3 },
  { name: '8 frames of 8', options: { grid: [8, 2, 4], blockSize: 8 }, tokens: 64, headDim: 64 },
  {
    name: '129 tokens: 43 frames of 3, no sink',
    options: { grid: [43, 3], blockSize: 16, sink: false },
    tokens: 129,
    batch: 2,
    heads: 4,
    keyHeads: 2,
    headDim: 33,
  },
  { name: 'with text', options: { grid: [10, 4, 3], textTokens: 9, blockSize: 16 }, tokens: 129 },
  { name: 'blocks of the tile', options: { grid: [20, 15] }, tokens: 300 },
  {
    name: 'block mask, aligned',
    options: { grid: [12, 16], mask: 'blocks', blockSize: 8 },
    tokens: 192,
    heads: 2,
  },
  {
    name: 'block mask, frames across blocks, tail, no sink',
    options: { grid: [15, 13], mask: 'blocks', blockSize: 8, decay: 0.5, sink: false },
    tokens: 195,
  },
  {
    name: 'block mask with text',
    options: { grid: [10, 12], mask: 'blocks', blockSize: 8, textTokens: 9 },
    tokens: 129,
    headDim: 33,
  },
]);
