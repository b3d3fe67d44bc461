import { agree } from '../kit/agree.ts';
import { paper } from './paper.ts';

agree(paper, [
  { name: '1-D, stride 3', tokens: 67, options: { window: [9], stride: [3] }, heads: 3, headDim: 16 },
  {
    name: '1-D, causal with a stride',
    tokens: 70,
    options: { window: [12], stride: [4], causal: [true] },
    headDim: 8,
  },
  { name: '1-D, dilated', tokens: 61, options: { window: [6], stride: [2], dilation: [3] }, headDim: 8 },
  {
    name: '2-D, grid not a multiple of the tile',
    tokens: 13 * 18,
    options: { grid: [13, 18], window: [6, 5], stride: [2, 1] },
    heads: 2,
    headDim: 8,
  },
  {
    name: '2-D, perfectly block-sparse',
    tokens: 256,
    options: { grid: [16, 16], window: [8, 8], stride: [8, 8] },
    heads: 2,
    headDim: 8,
  },
  {
    name: '2-D, query and key tiles of different shape',
    tokens: 12 * 20,
    options: { grid: [12, 20], window: [4, 7], stride: [2, 3], queryTile: [4, 8], keyTile: [2, 5] },
    headDim: 8,
  },
  {
    name: '2-D, dynamic key tiles',
    tokens: 13 * 18,
    options: { grid: [13, 18], window: [6, 5], stride: [2, 1], keyTiling: 'dynamic' },
    headDim: 8,
  },
  {
    name: '3-D, causal in time, grouped heads',
    tokens: 5 * 6 * 7,
    options: { grid: [5, 6, 7], window: [3, 4, 3], stride: [1, 2, 3], causal: [true, false, false] },
    heads: 4,
    keyHeads: 2,
    batch: 2,
    headDim: 8,
  },
]);
