import { ArgumentError, attend, attentionRows, openDevice } from '@saccade/attention';
import { expect, test } from 'vitest';
import { readImageSize } from './image-size.ts';
import { inputsFromClip, inputsFromPixels, inputsFromText, type Pixels, splitText } from './tokens.ts';

const picture = (width: number, height: number, at: (x: number, y: number) => number): Pixels => {
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.fill(at(x, y), (y * width + x) * 4, (y * width + x) * 4 + 3);
  return { width, height, data };
};

test('a token attends to its like: left half dark, right half light', async () => {
  const device = await openDevice('reference');
  const inputs = inputsFromPixels(
    picture(64, 64, (x) => (x < 32 ? 20 : 230)),
    { grid: [8, 8] },
  );
  expect(inputs.shape).toEqual([1, 4, 64, 32]);
  const [query, key, value] = (['query', 'key', 'value'] as const).map((name) =>
    device.tensor(inputs[name], inputs.shape),
  );
  const row = await attentionRows(query, key, value);
  for (const head of [0, 1]) {
    const { weights } = row({ head, query: 0 });
    let dark = 0;
    for (let token = 0; token < 64; token++) if (token % 8 < 4) dark += weights[token];
    expect(dark).toBeGreaterThan(0.95);
  }
  // head 3 weighs place most: the far dark corner counts less than the neighbour
  const near = row({ head: 3, query: 0 }).weights;
  expect(near[1]).toBeGreaterThan(5 * near[59]);
  const { output } = await attend(query, key, value);
  const shown = await output.read();
  expect(shown[0]).toBeCloseTo(20 / 255, 1);
  expect(shown[7 * 32]).toBeCloseTo(230 / 255, 1);
});

test('the largest weight of a dense row is on the token itself', async () => {
  const device = await openDevice('reference');
  const inputs = inputsFromPixels(
    picture(96, 48, (x, y) => (x * 7 + y * 13 + ((x * y) % 11) * 9) % 256),
    { grid: [6, 12] },
  );
  const [query, key, value] = (['query', 'key', 'value'] as const).map((name) =>
    device.tensor(inputs[name], inputs.shape),
  );
  const row = await attentionRows(query, key, value);
  for (const token of [0, 17, 71]) {
    const { weights } = row({ head: 0, query: token });
    expect(weights.indexOf(Math.max(...weights))).toBe(token);
  }
});

test('a clip has frames x height x width tokens, and says so when it repeats frames', () => {
  const frames = [picture(16, 16, () => 10), picture(16, 16, () => 200)];
  const inputs = inputsFromClip(frames, { grid: [4, 2, 2], heads: 2, headDim: 24 });
  expect(inputs.shape).toEqual([1, 2, 16, 24]);
  expect(inputs.notes.join()).toContain('2 frames');
  expect(inputs.value[0]).toBeCloseTo(10 / 255);
  expect(inputs.value[15 * 24]).toBeCloseTo(200 / 255);
});

test('the pieces of a text are the text; a long text is cut and says so', () => {
  const text = 'Call me Ishmael. Some years ago—never mind how long.\n';
  expect(splitText(text).join('')).toBe(text);
  const inputs = inputsFromText(text.repeat(10), { grid: [20] });
  expect(inputs.pieces).toHaveLength(20);
  expect(inputs.notes.join()).toContain('first 20');
  expect(inputsFromText('one two', { grid: [5] }).pieces).toEqual(['one', ' two', 'one', ' two', 'one']);
});

test('ten megabytes of text are not split to the end', () => {
  const start = performance.now();
  const inputs = inputsFromText('word '.repeat(2_000_000), { grid: [1024] });
  expect(inputs.pieces).toHaveLength(1024);
  expect(performance.now() - start).toBeLessThan(2000);
});

test.each([
  [
    'a grid of one axis',
    () =>
      inputsFromPixels(
        picture(4, 4, () => 0),
        { grid: [4] },
      ),
    /grid is \[4\]/,
  ],
  [
    'a picture of 200 megapixels',
    () => inputsFromPixels({ width: 20_000, height: 10_000, data: [] }, { grid: [4, 4] }),
    /20000 x 10000 pixels; allowed: at most 100 megapixels/,
  ],
  [
    'too few bytes',
    () => inputsFromPixels({ width: 4, height: 4, data: [1] }, { grid: [2, 2] }),
    /1 bytes; allowed: 64/,
  ],
  ['no frame', () => inputsFromClip([], { grid: [1, 2, 2] }), /0 frames/],
  ['no word', () => inputsFromText('', { grid: [4] }), /at least one word/],
])('refuses %s', (_name, make, message) => {
  expect(make).toThrow(ArgumentError);
  expect(make).toThrow(message);
});

test('sizes are read from headers', () => {
  const png = new Uint8Array(24);
  png.set([0x89, 0x50, 0x4e, 0x47]);
  new DataView(png.buffer).setUint32(16, 20_000);
  new DataView(png.buffer).setUint32(20, 10_000);
  expect(readImageSize(png)).toEqual({ format: 'png', width: 20_000, height: 10_000 });
  const jpeg = Uint8Array.from([
    0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc0, 0, 11, 8, 0, 3, 0, 5, 1, 0, 0,
  ]);
  expect(readImageSize(jpeg)).toEqual({ format: 'jpeg', width: 5, height: 3 });
  expect(readImageSize(new TextEncoder().encode('hello, this is only a text'))).toBeUndefined();
});

test('place can be left out: then only looks decide which patch is near', () => {
  const pixels = {
    width: 8,
    height: 4,
    data: Array.from({ length: 128 }, (_, i) => (i % 4 === 3 ? 255 : 90)),
  };
  const key = (place: number) => inputsFromPixels(pixels, { grid: [1, 2], heads: 4, headDim: 32, place }).key;
  const lastHead = 3 * 2 * 32;
  const first = (keys: Float32Array) => [...keys.subarray(lastHead, lastHead + 32)];
  const second = (keys: Float32Array) => [...keys.subarray(lastHead + 32, lastHead + 64)];
  // two equal patches side by side
  expect(first(key(0))).toEqual(second(key(0)));
  expect(first(key(1))).not.toEqual(second(key(1)));
});
