import { openDevice } from '@saccade/attention';
import { expect, test } from 'vitest';
import { inputsFromClip } from '../kit/lab/tokens.ts';
import { type Denoised, denoise, type HeadKind, movingDots, TOY_SIDE } from './denoise.ts';
import { options } from './paper.ts';
import { withText } from './text-tokens.ts';

test('the clip has dots that move over a ground that stays, all within black and white', () => {
  const { clip, dots } = movingDots(4);
  expect(Math.min(...clip)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...clip)).toBeLessThanOrEqual(1);
  const perFrame = TOY_SIDE ** 2;
  let moved = 0;
  for (let token = perFrame; token < clip.length; token++) {
    if (dots[token] !== dots[token - perFrame]) moved++;
    if (!dots[token] && !dots[token - perFrame]) expect(clip[token]).toBe(clip[token - perFrame]);
  }
  expect(moved).toBeGreaterThan(0);
});

/** 16 frames on WebAssembly: what the lab runs, smaller. */
async function denoised(head: HeadKind, noise = 0.2): Promise<Denoised> {
  const device = await openDevice('wasm');
  const blank = device.tensor(new Float32Array(1), [1, 1, 1, 1]);
  const before = device.memory.currentBytes;
  const result = await denoise({
    device,
    inputs: { query: blank, key: blank, value: blank },
    data: inputsFromClip([{ width: 1, height: 1, data: [0, 0, 0, 255] }], { grid: [1, 1, 1] }),
    options: options.parse({}),
    settings: { noise, frames: 16, head },
    signal: new AbortController().signal,
    progress: () => {},
  });
  expect(device.memory.currentBytes).toBe(before);
  await device.close();
  return result;
}

const of = ({ results }: Denoised, name: string) => {
  const found = results.find((result) => result.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
};

test('dense attention takes noise off the ground, and every mask keeps at least the pairs of radial', async () => {
  const result = await denoised('along time');
  expect(of(result, 'dense').groundError).toBeLessThan(0.75 * result.noisyGroundError);
  for (const name of ['frames', 'diagonal'])
    expect(of(result, name).density).toBeGreaterThanOrEqual(of(result, 'radial').density);
});

test('radial stays near dense for both heads, and each window fails the head that it is not made for', async () => {
  const [along, around] = [await denoised('along time'), await denoised('around the frame')];
  const worst = (name: string) =>
    Math.max(of(along, name).differsFromDense, of(around, name).differsFromDense);
  expect(of(along, 'frames').differsFromDense).toBeGreaterThan(2 * of(along, 'radial').differsFromDense);
  expect(of(around, 'diagonal').differsFromDense).toBeGreaterThan(2 * of(around, 'radial').differsFromDense);
  expect(worst('radial')).toBeLessThan(0.5 * Math.min(worst('frames'), worst('diagonal')));
});

test('words follow the clip in each head, and the clip itself is as before', () => {
  const frame = { width: 8, height: 8, data: Array.from({ length: 256 }, (_, i) => i) };
  const clip = inputsFromClip([frame], { grid: [2, 3, 2], heads: 2, headDim: 8 });
  const both = withText(clip, 5);
  expect(both.shape).toEqual([1, 2, 17, 8]);
  for (const name of ['query', 'key', 'value'] as const) {
    expect(both[name]).toHaveLength(2 * 17 * 8);
    for (const head of [0, 1]) {
      const row = both[name].subarray(head * 17 * 8, (head + 1) * 17 * 8);
      expect([...row.subarray(0, 12 * 8)]).toEqual([...clip[name].subarray(head * 96, (head + 1) * 96)]);
      expect(row.subarray(12 * 8).some((number) => number !== 0)).toBe(true);
    }
  }
  expect(withText(clip, 0)).toBe(clip);
});
