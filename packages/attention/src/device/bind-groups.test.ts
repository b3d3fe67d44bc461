import { expect, test } from 'vitest';
import { BindGroups } from './bind-groups.ts';

function setUp() {
  let made = 0;
  const device = { createBindGroup: () => ({ number: ++made }) } as unknown as GPUDevice;
  const pipeline = () => ({ getBindGroupLayout: () => ({}) }) as unknown as GPUComputePipeline;
  const groups = new BindGroups(device);
  const buffer = () => {
    const one = {} as GPUBuffer;
    groups.own(one);
    return one;
  };
  return { groups, pipeline, buffer, made: () => made };
}

test('the same buffers for the same pipeline are bound once', () => {
  const { groups, pipeline, buffer, made } = setUp();
  const [one, other] = [pipeline(), pipeline()];
  const [a, b] = [buffer(), buffer()];
  const first = groups.of(one, [a, b]);
  expect(groups.of(one, [a, b])).toBe(first);
  expect(groups.of(one, [b, a])).not.toBe(first);
  expect(groups.of(other, [a, b])).not.toBe(first);
  expect(made()).toBe(3);
});

test('a group with a buffer of somebody else is not kept', () => {
  const { groups, pipeline, buffer, made } = setUp();
  const one = pipeline();
  const buffers = [buffer(), {} as GPUBuffer];
  groups.of(one, buffers);
  groups.of(one, buffers);
  expect(made()).toBe(2);
});

test('the group that was used longest ago makes room', () => {
  const { groups, pipeline, buffer, made } = setUp();
  const one = pipeline();
  const buffers = Array.from({ length: 65 }, buffer);
  for (const each of buffers.slice(0, 64)) groups.of(one, [each]);
  groups.of(one, [buffers[0]]);
  groups.of(one, [buffers[64]]);
  expect(made()).toBe(65);
  groups.of(one, [buffers[0]]);
  expect(made()).toBe(65);
  groups.of(one, [buffers[1]]);
  expect(made()).toBe(66);
});
