import { expect, test } from 'vitest';
import { adapterInWords } from './machine.ts';

test.each([
  [
    'nvidia, nvidia-h100-80gb-hbm3, NVIDIA: 580.159.04 580.159.4.0',
    { name: 'NVIDIA H100 80GB HBM3', driver: 'NVIDIA: 580.159.04 580.159.4.0' },
  ],
  ['apple, metal-3', { name: 'apple, metal-3' }],
  ['WASM relaxed SIMD, 2 threads', { name: 'WASM relaxed SIMD, 2 threads' }],
])('%s', (adapter, expected) => expect(adapterInWords(adapter)).toEqual(expected));
