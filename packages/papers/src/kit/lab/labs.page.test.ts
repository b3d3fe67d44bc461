import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { papers } from '../../index.ts';
import { labs } from '../../labs.ts';
import { done, openStage, type Stage, settled, textOf, violations } from './testing/stage.ts';

const artifacts = 'test-artifacts';
let stage: Stage;

beforeAll(async () => {
  await mkdir(artifacts, { recursive: true });
  stage = await openStage(fileURLToPath(new URL('../../labs.ts', import.meta.url)));
});

afterAll(() => stage?.close());

/** Small inputs: what is tested is the lab, not the machine. */
const small: Record<string, string> = { text: 'size=256', image: 'size=24x24', clip: 'size=12x8x12' };

const captionOf = (page: Page) => page.textContent('.lab-pane:last-child figcaption');

test('every paper that runs has a lab, and every lab a paper', () => {
  expect(Object.keys(labs).sort()).toEqual(papers.map(({ slug }) => slug).sort());
});

describe.each(papers.map((paper) => [paper.slug, paper] as const))('%s', (slug, paper) => {
  const start = `${slug}?device=wasm&${small[paper.inputs[0]]}`;

  test('opens, runs, follows its main control, and the numbers are of this run', async () => {
    const { page, problems } = await stage.open(start);
    expect(await textOf(page, 'time')).toMatch(/^[\d.]+ m?s, [\d.]+ times (faster|slower) than dense/);
    const mass = Number.parseFloat(await textOf(page, 'mass'));
    expect(mass).toBeGreaterThan(0);
    expect(mass).toBeLessThanOrEqual(100.001);
    expect(Number.parseFloat(await textOf(page, 'error'))).toBeGreaterThanOrEqual(0);
    expect(await textOf(page, 'machine')).toContain('WebAssembly');

    const control = page.locator('.lab-main input[type="range"]').first();
    const before = { caption: await captionOf(page), value: await control.inputValue() };
    const box = await control.boundingBox();
    if (!box) throw new Error('the main control is not shown');
    // a real drag, from the thumb to the end of the track
    const [min, max] = [Number(await control.getAttribute('min')), Number(await control.getAttribute('max'))];
    const from = box.x + 8 + (box.width - 16) * ((Number(before.value) - min) / Math.max(max - min, 1e-9));
    await page.mouse.move(from, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    if ((await control.inputValue()) === before.value) {
      await control.focus();
      await page.keyboard.press(Number(before.value) < max ? 'ArrowRight' : 'ArrowLeft');
    }
    expect(await control.inputValue()).not.toBe(before.value);
    await settled(page);
    expect(new URL(page.url()).search).not.toBe(`?${start.split('?')[1]}`);
    await page.screenshot({ path: join(artifacts, `lab-${slug}.png`), fullPage: true });
    expect(problems).toEqual([]);
    await page.close();
  });

  test('is led by keys and has no accessibility violation, wide and dark or narrow and light', async () => {
    const { page, problems } = await stage.open(start, { colorScheme: 'dark' });
    const pane = page.locator('.lab-pane:last-child canvas, .lab-pane:last-child .lab-text').first();
    await pane.focus();
    const before = await page.textContent('.lab-pane:first-child figcaption');
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(
      (old) => document.querySelector('.lab-pane:first-child figcaption')?.textContent !== old,
      before,
    );
    expect(await violations(page)).toEqual([]);
    await page.screenshot({ path: join(artifacts, `lab-${slug}-dark.png`), fullPage: true });
    await page.setViewportSize({ width: 320, height: 800 });
    await page.emulateMedia({ colorScheme: 'light' });
    await page.waitForTimeout(200);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
    expect(await violations(page)).toEqual([]);
    await page.screenshot({ path: join(artifacts, `lab-${slug}-narrow.png`), fullPage: true });
    expect(problems).toEqual([]);
    await page.close();
  });

  test('its three presets run', async () => {
    const { page, problems } = await stage.open(start);
    const buttons = page.locator('.lab-tries button');
    expect(await buttons.count()).toBe(3);
    for (let i = 0; i < 3; i++) {
      await buttons.nth(i).click();
      await settled(page);
    }
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('any lab', () => {
  const ofKind = (kind: string) => papers.find(({ inputs }) => inputs.join() === kind)?.slug ?? '';

  test('a picture of 200 megapixels, a file that is none and a damaged one are refused in words, and the lab stays', async () => {
    const { page, problems } = await stage.open(`${ofKind('image')}?device=wasm&size=24x24`);
    const give = (name: string, mimeType: string, buffer: Buffer) =>
      page.setInputFiles('.lab-file input', { name, mimeType, buffer });
    const png = Buffer.alloc(64);
    png.set([0x89, 0x50, 0x4e, 0x47]);
    png.writeUInt32BE(20_000, 16);
    png.writeUInt32BE(10_000, 20);
    await give('huge.png', 'image/png', png);
    await page.waitForSelector('.lab-problem:has-text("200 megapixels; allowed: at most 100")');
    await give('notes.pdf', 'application/pdf', Buffer.from('%PDF-1.7 not a picture at all'));
    await page.waitForSelector('.lab-problem:has-text("notes.pdf is not a picture")');
    png.writeUInt32BE(20, 16);
    png.writeUInt32BE(10, 20);
    await give('cut.png', 'image/png', png);
    await page.waitForSelector('.lab-problem:has-text("damaged or cut off")');
    await page.getByRole('radio', { name: 'Alps' }).check();
    await page.waitForSelector('.lab-problem', { state: 'detached' });
    await settled(page);
    expect(problems).toEqual([]);
    await page.close();
  });

  test('ten megabytes of text are used up to the limit, and the lab says so', async () => {
    const { page, problems } = await stage.open(`${ofKind('text')}?device=wasm&size=512`);
    // a real file: the browser reads it from the disk, as it reads a reader's
    const long = join(stage.folder, 'long.txt');
    await writeFile(long, Buffer.alloc(11_000_000, 'a word of many, '));
    await page.setInputFiles('.lab-file input', long);
    await page.waitForSelector('.lab-note:has-text("only the first 10 MB are read")');
    await page.waitForSelector('.lab-note:has-text("Only the first 512 words")');
    await settled(page);
    expect(problems).toEqual([]);
    await page.close();
  });

  test('a bad address gives the default and a note; settings come back from the address', async () => {
    const slug = ofKind('image');
    const { page } = await stage.open(`${slug}?device=wasm&size=24x24&head=17&at=5&show=output`);
    expect(await page.textContent('.lab')).toContain('head in the address is “17”; allowed: all, 0 to 3');
    expect(await page.locator('input[value="output"]').isChecked()).toBe(true);
    await page.waitForFunction(() => !window.location.search.includes('head='));
    expect(new URL(page.url()).searchParams.get('at')).toBe('5');
    await page.close();
  });

  test('a run can be cancelled, and run again', async () => {
    const { page, problems } = await stage.open(`${ofKind('image')}?device=wasm&size=64x64`);
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.waitForSelector('[data-lab-state="cancelled"]', { timeout: 2000 });
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await done(page);
    expect(problems).toEqual([]);
    await page.close();
  });

  test('a machine without WebGPU is told so, in words, and WebAssembly is used by itself', async () => {
    const { page } = await stage.open(`${ofKind('image')}?size=24x24`);
    expect(await textOf(page, 'machine')).toContain('WebAssembly');
    expect(await page.textContent('.lab-readout .lab-note')).toMatch(/no WebGPU|no adapter/);
    await page.getByLabel('runs on').selectOption('webgpu');
    await page.waitForSelector('.lab-problem:has-text("needs:")');
    await page.getByLabel('runs on').selectOption('wasm');
    await page.waitForSelector('[data-lab-state="done"]');
    await page.close();
  });
});
