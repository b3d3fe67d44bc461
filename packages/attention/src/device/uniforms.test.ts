import { expect, test } from 'vitest';
import { Uniforms } from './uniforms.ts';

function setUp() {
  const held = new Map<object, number>();
  let made = 0;
  const device = {
    createBuffer: ({ size }: { size: number }) => ({ size, number: ++made }),
    queue: {
      writeBuffer: (buffer: object, _at: number, content: ArrayBuffer) =>
        held.set(buffer, new Uint32Array(content)[0]),
    },
  } as unknown as GPUDevice;
  const content = (number: number, words = 4) => Uint32Array.from({ length: words }, () => number).buffer;
  return { uniforms: new Uniforms(device), content, held, made: () => made };
}

test('equal contents share a buffer, others do not', () => {
  const { uniforms, content, held } = setUp();
  const first = uniforms.of(content(1));
  expect(uniforms.of(content(1))).toBe(first);
  const second = uniforms.of(content(2));
  expect(second).not.toBe(first);
  expect(uniforms.of(content(1, 8))).not.toBe(first);
  expect([held.get(first), held.get(second)]).toEqual([1, 2]);
});

test('of many contents the one that was used longest ago gives its buffer away', () => {
  const { uniforms, content, held, made } = setUp();
  const first = uniforms.of(content(0));
  const second = uniforms.of(content(1));
  for (let number = 2; number < 128; number++) uniforms.of(content(number));
  expect(uniforms.of(content(0))).toBe(first);
  expect(uniforms.of(content(128))).toBe(second);
  expect(made()).toBe(128);
  expect([held.get(first), held.get(second)]).toEqual([0, 128]);
  expect(held.get(uniforms.of(content(1)))).toBe(1);
});
