import { agree } from '../kit/agree.ts';
import { paper } from './paper.ts';

/** Tables of [2 (b + 2h) − 1][headDim] numbers that differ in every entry. */
const tables = (windowSide: number, headDim: number) => ({
  rows: Array.from({ length: 2 * windowSide - 1 }, (_, t) =>
    Array.from({ length: headDim }, (_, d) => Math.sin(t + 2 * d) / 2),
  ),
  columns: Array.from({ length: 2 * windowSide - 1 }, (_, t) =>
    Array.from({ length: headDim }, (_, d) => Math.cos(3 * t + d) / 2),
  ),
});

// Mechanism = reference on every device. Sizes with a tail in every tile.
agree(paper, [
  { name: 'one pixel', options: { grid: [1, 1], blockSize: 1, halo: 0 }, tokens: 1 },
  { name: 'blocks alone', options: { grid: [6, 9], blockSize: 3, halo: 0 }, tokens: 54, heads: 2 },
  { name: 'zero border', options: { grid: [8, 12], blockSize: 4, halo: 3 }, tokens: 96 },
  { name: 'masked border', options: { grid: [8, 12], blockSize: 4, halo: 3, border: 'mask' }, tokens: 96 },
  {
    name: 'odd blocks, two batches, grouped heads',
    options: { grid: [10, 15], blockSize: 5, halo: 2 },
    tokens: 150,
    batch: 2,
    heads: 4,
    keyHeads: 2,
    headDim: 33,
  },
  { name: 'padded image', options: { grid: [11, 13], blockSize: 4, halo: 3, pad: true }, tokens: 143 },
  {
    name: 'padded image, masked border',
    options: { grid: [11, 13], blockSize: 4, halo: 3, pad: true, border: 'mask' },
    tokens: 143,
  },
  { name: 'halo wider than the block', options: { grid: [8, 8], blockSize: 2, halo: 3 }, tokens: 64 },
  { name: 'halo wider than the image', options: { grid: [4, 4], blockSize: 4, halo: 6 }, tokens: 16 },
  {
    name: 'position terms',
    options: { grid: [8, 12], blockSize: 4, halo: 1, position: tables(6, 8) },
    tokens: 96,
    heads: 2,
    batch: 2,
  },
  {
    name: 'position terms scaled, masked border',
    options: {
      grid: [8, 12],
      blockSize: 4,
      halo: 1,
      position: tables(6, 8),
      scalePosition: true,
      border: 'mask',
    },
    tokens: 96,
    heads: 2,
  },
  {
    name: 'masked centred windows',
    options: { grid: [8, 8], blockSize: 4, halo: 2, centredRadius: 2 },
    tokens: 64,
    heads: 2,
  },
  {
    name: 'strided queries',
    options: { grid: [8, 12], blockSize: 4, halo: 2, stride: 2, position: tables(8, 8) },
    tokens: 96,
    heads: 2,
  },
  {
    name: 'strided queries, centred, padded image',
    options: { grid: [10, 14], blockSize: 4, halo: 3, stride: 2, centredRadius: 3, pad: true },
    tokens: 140,
  },
  {
    name: 'averaged down: full attention',
    options: { grid: [6, 6], blockSize: 3, halo: 1, stride: 2, averageDown: true },
    tokens: 36,
  },
]);
