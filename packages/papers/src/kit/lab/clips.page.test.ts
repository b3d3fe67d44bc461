import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { papers } from '../../index.ts';
import { animatedGif, animatedWebp } from './testing/clips.ts';
import { openStage, type Stage, settled } from './testing/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(fileURLToPath(new URL('../../labs.ts', import.meta.url)));
});
afterAll(() => stage?.close());

const ofKinds = (kinds: string) => papers.find(({ inputs }) => inputs.join() === kinds)?.slug ?? '';
const clipLab = `${ofKinds('clip')}?device=wasm&size=12x8x12&show=output`;
const bothLab = `${papers.find(({ inputs }) => inputs.includes('clip') && inputs.includes('image'))?.slug}?device=wasm&size=24x24`;
const imageLab = `${ofKinds('image')}?device=wasm&size=24x24`;

const give = (page: Page, name: string, mimeType: string, buffer: Buffer) =>
  page.setInputFiles('.lab-file input', { name, mimeType, buffer });

/** Mean red of each of the twelve frames that the dense pane shows. */
const redOfFrames = (page: Page) =>
  page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('.lab-pane canvas');
    const context = canvas?.getContext('2d');
    if (!canvas || !context) return [];
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const [width, height] = [Math.floor(canvas.width / 3), Math.floor(canvas.height / 4)];
    return Array.from({ length: 12 }, (_, frame) => {
      const [top, left] = [Math.floor(frame / 3) * height, (frame % 3) * width];
      let sum = 0;
      for (let y = top; y < top + height; y++)
        for (let x = left; x < left + width; x++) sum += data[(y * canvas.width + x) * 4];
      return sum / (width * height);
    });
  });

/** WebP stills of a square that moves, as the browser writes them. */
const stills = (page: Page, count: number) =>
  page.evaluate(async (count) => {
    const canvas = document.createElement('canvas');
    canvas.width = 48;
    canvas.height = 32;
    const context = canvas.getContext('2d') as CanvasRenderingContext2D;
    const made: number[][] = [];
    for (let frame = 0; frame < count; frame++) {
      context.fillStyle = 'navy';
      context.fillRect(0, 0, 48, 32);
      context.fillStyle = 'orange';
      context.fillRect(frame * 8, 8, 12, 12);
      const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/webp', 0.9));
      if (blob) made.push([...new Uint8Array(await blob.arrayBuffer())]);
    }
    return made;
  }, count);

/** A second of the same as a video; undefined where the browser does not record the type. */
const recorded = (page: Page, mimeType: string) =>
  page.evaluate(async (mimeType) => {
    if (!MediaRecorder.isTypeSupported(mimeType)) return undefined;
    const canvas = document.createElement('canvas');
    canvas.width = 96;
    canvas.height = 64;
    const context = canvas.getContext('2d') as CanvasRenderingContext2D;
    const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType });
    const parts: Blob[] = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const stopped = new Promise((resolve) => {
      recorder.onstop = resolve;
    });
    recorder.start();
    for (let frame = 0; frame < 20; frame++) {
      context.fillStyle = 'navy';
      context.fillRect(0, 0, 96, 64);
      context.fillStyle = 'orange';
      context.fillRect(frame * 4, 16, 24, 24);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    recorder.stop();
    await stopped;
    return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
  }, mimeType);

test('an animated GIF becomes a clip, and of too many frames some are used', async () => {
  const { page, problems } = await stage.open(clipLab);
  await give(page, 'moves.gif', 'image/gif', animatedGif(24, 16, 5));
  await page.waitForSelector('.lab-note:has-text("The clip has 5 frames; some are shown more than once")');
  await settled(page);
  await give(page, 'long.gif', 'image/gif', animatedGif(8, 6, 100));
  await page.waitForSelector('.lab-note:has-text("64 of its 100 frames are used")');
  await settled(page);
  // the red part grows from nothing to the whole frame
  const reds = await redOfFrames(page);
  expect(reds[11] - reds[0]).toBeGreaterThan(100);
  expect(reds).toEqual([...reds].sort((a, b) => a - b));
  expect(problems).toEqual([]);
  await page.close();
});

test('an animated WebP becomes a clip where a lab takes both, and its first frame where it takes pictures', async () => {
  const { page, problems } = await stage.open(bothLab);
  const webp = animatedWebp(
    (await stills(page, 4)).map((bytes) => Buffer.from(bytes)),
    48,
    32,
  );
  await give(page, 'moves.webp', 'image/webp', webp);
  await page.waitForSelector('.lab-note:has-text("The clip has 4 frames")');
  await settled(page);
  expect(await page.locator('.lab-bar select').first().inputValue()).toMatch(/^\d+x\d+x\d+$/);
  await page.close();
  const { page: picture, problems: more } = await stage.open(imageLab);
  await give(picture, 'moves.webp', 'image/webp', webp);
  await picture.waitForSelector('.lab-note:has-text("The first of its 4 frames is used")');
  await settled(picture);
  expect([...problems, ...more]).toEqual([]);
  await picture.close();
});

test.each(['video/webm', 'video/mp4'])('a video recorded as %s gives frames', async (mimeType) => {
  const { page, problems } = await stage.open(clipLab);
  const bytes = await recorded(page, mimeType);
  if (!bytes) throw new Error(`this Chromium does not record ${mimeType}`);
  await give(page, `recorded.${mimeType.slice(6)}`, mimeType, Buffer.from(bytes));
  await page.waitForSelector('.lab-note:has-text("16 frames of")');
  expect(await page.textContent('.lab-note:has-text("16 frames of")')).toMatch(/of (0\.[5-9]|[1-3]\.\d) sec/);
  await settled(page);
  expect(problems).toEqual([]);
  await page.close();
});

test('what is no clip is refused in words, and the lab stays', async () => {
  const { page, problems } = await stage.open(clipLab);
  await give(page, 'broken.mp4', 'video/mp4', Buffer.from('....ftypisom and nothing that plays'));
  await page.waitForSelector('.lab-problem:has-text("broken.mp4 is not a video that this browser plays")');
  await give(page, 'still.gif', 'image/gif', animatedGif(8, 8, 1));
  await page.waitForSelector('.lab-problem:has-text("still.gif is a single picture; a clip is a video")');
  await give(page, 'cut.gif', 'image/gif', animatedGif(24, 16, 3).subarray(0, 40));
  await page.waitForSelector('.lab-problem:has-text("damaged or cut off")');
  await give(page, 'words.txt', 'text/plain', Buffer.from('a few words'));
  await page.waitForSelector('.lab-problem:has-text("words.txt is not a picture")');
  await page.close();
  const { page: picture } = await stage.open(imageLab);
  await give(picture, 'clip.mp4', 'video/mp4', Buffer.from('....ftypisom'));
  await picture.waitForSelector('.lab-problem:has-text("clip.mp4 is a video; this lab takes a picture")');
  expect(problems.filter((text) => !/ERR_|DEMUXER|MEDIA/.test(text))).toEqual([]);
  await picture.close();
});
