import type { Device } from '@saccade/attention';
import { expect, test } from 'vitest';
import { fillingBatch } from './filling-batch.ts';

const device = (kind: string, software?: boolean) =>
  ({ kind, capabilities: { software } }) as unknown as Device;

test('a GPU takes as many inputs as one bindable buffer holds, at least one', () => {
  const run = { device: device('webgpu', false), quick: false };
  expect(fillingBatch(run, 8 * 4096 * 64)).toBe(16);
  expect(fillingBatch(run, 2 ** 26)).toBe(1);
});

test.each([
  ['a quick run', { device: device('webgpu', false), quick: true }],
  ['WebGPU in software', { device: device('webgpu', true), quick: false }],
  ['WebAssembly', { device: device('wasm'), quick: false }],
])('%s takes one', (_name, run) => {
  expect(fillingBatch(run, 1024)).toBe(1);
});
