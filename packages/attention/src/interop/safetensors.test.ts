import { describe, expect, test } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { firstNonFinite, readSafetensors, writeSafetensors } from './safetensors.ts';

/** A file with any header, well-formed or not. */
function fileOf(header: unknown, dataBytes: number, headerBytes?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, headerBytes ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
}
const f32 = (shape: unknown, begin: unknown, end: unknown) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

describe('readSafetensors', () => {
  test('reads what writeSafetensors wrote, F32, F16 and F64', () => {
    const data = Float32Array.from([0, -1.5, 3.25, 65504, 2 ** -24, 1]);
    for (const dtype of ['F32', 'F16', 'F64'] as const) {
      const file = writeSafetensors(new Map([['q', { dtype, shape: [1, 2, 3, 1], data }]]), { made: 'here' });
      const q = readSafetensors(file).get('q')!;
      expect(q.dtype).toBe(dtype);
      expect(q.shape).toEqual([1, 2, 3, 1]);
      expect([...q.data]).toEqual([...data]);
    }
  });

  test('reads a file whose bytes start anywhere in a buffer and at an odd data offset', () => {
    const file = fileOf({ a: f32([1], 0, 4) }, 4);
    new DataView(file.buffer).setFloat32(file.length - 4, 2.5, true);
    const shifted = new Uint8Array(file.length + 3);
    shifted.set(file, 3);
    expect([...readSafetensors(shifted.subarray(3)).get('a')!.data]).toEqual([2.5]);
  });

  test('reads no tensors, empty tensors and scalars', () => {
    expect(readSafetensors(fileOf({}, 0)).size).toBe(0);
    expect(readSafetensors(fileOf({ a: f32([0, 4], 0, 0), b: f32([], 0, 4) }, 4)).get('b')!.data.length).toBe(
      1,
    );
  });

  const whole = writeSafetensors(new Map([['q', { shape: [4], data: [1, 2, 3, 4] }]]));
  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /file is 0 bytes long/],
    [
      'a PNG',
      Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0]),
      /probably not a safetensors/,
    ],
    ['text', new TextEncoder().encode('{"q": [1, 2, 3, 4, 5, 6]}'), /probably not a safetensors/],
    ['a file cut off in its header', whole.subarray(0, 20), /cut off/],
    ['a file cut off in its data', whole.subarray(0, whole.length - 4), /cut off/],
    ['a header longer than the format allows', fileOf({}, 0, 100_000_001n), /at most 100000000/],
    ['a header length beyond 53 bits', fileOf({}, 0, 2n ** 63n), /at most 100000000/],
    ['a header that is no JSON', fileOf('{"q":', 0), /header is not JSON/],
    ['a header that is an array', fileOf('[1]', 0), /JSON array/],
    ['a header that is null', fileOf('null', 0), /header is null/],
    [
      'an unsupported type',
      fileOf({ q: { dtype: 'BF16', shape: [2], data_offsets: [0, 4] } }, 4),
      /BF16.*F64, F32, F16/,
    ],
    [
      'a type that is an object method',
      fileOf({ q: { dtype: 'toString', shape: [], data_offsets: [0, 4] } }, 4),
      /toString/,
    ],
    ['a tensor that is a number', fileOf({ q: 5 }, 0), /tensor q is 5/],
    ['a missing shape', fileOf({ q: { dtype: 'F32', data_offsets: [0, 4] } }, 4), /shape of q is missing/],
    ['a negative length', fileOf({ q: f32([-1], 0, 4) }, 4), /whole numbers/],
    ['a fraction as offset', fileOf({ q: f32([1], 0, 4.5) }, 8), /two whole numbers/],
    [
      'three offsets',
      fileOf({ q: { dtype: 'F32', shape: [1], data_offsets: [0, 2, 4] } }, 4),
      /two whole numbers/,
    ],
    ['offsets the wrong way round', fileOf({ q: f32([1], 4, 0) }, 4), /within the 4 bytes/],
    ['offsets out of range', fileOf({ q: f32([2], 0, 8) }, 4), /within the 4 bytes/],
    ['too few bytes for the shape', fileOf({ q: f32([2], 0, 4) }, 4), /4 bytes long; allowed: 8/],
    ['a shape whose product is huge', fileOf({ q: f32([2 ** 50, 2 ** 50], 0, 4) }, 4), /as shape/],
    ['overlapping tensors', fileOf({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8), /inside another tensor/],
    ['a gap between tensors', fileOf({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), /after a gap/],
    ['bytes after the last tensor', fileOf({ a: f32([1], 0, 4) }, 9), /9 bytes after the header/],
  ])('refuses %s', (_name, bytes, message) => {
    expect(() => readSafetensors(bytes)).toThrow(ArgumentError);
    expect(() => readSafetensors(bytes)).toThrow(message);
  });
});

describe('writeSafetensors', () => {
  test('the data starts at a multiple of 8', () => {
    for (const name of ['q', 'qu', 'que', 'quer', 'query']) {
      const file = writeSafetensors(new Map([[name, { shape: [1], data: [1] }]]));
      expect((file.length - 4) % 8).toBe(0);
    }
  });

  test('refuses a shape that does not fit its data, and the reserved name', () => {
    const write = (name: string, shape: number[]) => () =>
      writeSafetensors(new Map([[name, { shape, data: [1, 2] }]]));
    expect(write('q', [3])).toThrow('shape of q is [3]; allowed: a product of 2');
    expect(write('q', [-1, -2])).toThrow(ArgumentError);
    expect(write('__metadata__', [2])).toThrow('reserved');
  });
});

test('firstNonFinite names the place of the first NaN or infinity', () => {
  expect(firstNonFinite([1, 2])).toBeUndefined();
  expect(firstNonFinite([1, Number.NaN, Number.POSITIVE_INFINITY])).toEqual({ index: 1, value: Number.NaN });
});
