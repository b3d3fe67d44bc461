import { fileURLToPath } from 'node:url';
import type { Page, Worker } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStage, type Stage, settled, textOf, violations } from './kit/lab/testing/stage.ts';

/** What is particular to each paper's lab, in a browser that has WebGPU in software. */
let stage: Stage;
beforeAll(async () => {
  stage = await openStage(fileURLToPath(new URL('./labs.ts', import.meta.url)), { webgpu: true });
});
afterAll(() => stage?.close());

/** Waits for a trial of a section to end. */
async function ended(page: Page, section: string): Promise<void> {
  await page.waitForSelector(
    `section[aria-label="${section}"] :is([data-trial-state="done"], [data-trial-state="failed"])`,
    { timeout: 90_000 },
  );
}

describe('fna', () => {
  test('the race runs three forms on the same input, and their outputs agree', async () => {
    const { page, problems } = await stage.open('fna?device=wasm&size=24x24&window=5,5');
    await page.getByRole('button', { name: 'Race them' }).click();
    await ended(page, 'Race');
    const lanes = page.locator('[data-lab="race"] li');
    expect(await lanes.count()).toBe(3);
    for (const name of ['Naive', 'Unfused', 'Fused']) {
      const lane = (await lanes.filter({ hasText: new RegExp(`^${name}`) }).textContent()) ?? '';
      expect(lane).toMatch(/[\d.]+ m?s/);
      expect(lane).toMatch(/allocated beside the output/);
      const differs = lane.match(/differs from the fused one by ([\d.e-]+) %/);
      if (name === 'Fused') expect(differs).toBeNull();
      else expect(Number(differs?.[1])).toBeLessThan(1e-3);
    }
    // 576 tokens, 4 heads, 25 weights of four bytes: stored by the naive form, not by the fused one
    expect(await lanes.first().textContent()).toContain('230 kB allocated');
    expect(await lanes.last().textContent()).not.toMatch(/\d{3} kB allocated/);
    await page.getByRole('switch', { name: 'dense lane too' }).check();
    expect(await page.textContent('section[aria-label="Race"] [role=status]')).toContain('of other settings');
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('gna', () => {
  test('tile sliders move the prediction, and each run stands beside what was predicted', async () => {
    const { page, problems } = await stage.open('gna?device=wasm&size=24x24&window=8,8&stride=8,8');
    const simulator = page.locator('section[aria-label="Simulator"]');
    // tiles of 8 x 8 are the blocks themselves; tiles of 6 x 6 cut them
    expect(await simulator.textContent()).toContain('none: perfectly block-sparse');
    for (const name of ['query tile, rows', 'query tile, columns']) {
      await page.getByLabel(name).focus();
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowLeft');
    }
    await simulator.getByText('query tiles of 6 × 6').waitFor();
    expect(await simulator.textContent()).not.toContain('none: perfectly block-sparse');
    await page.waitForSelector('[data-lab="log"] tbody tr:nth-child(2)');
    const rows = await page.locator('[data-lab="log"] tbody tr').allTextContents();
    expect(rows).toHaveLength(2);
    expect(rows[0]).toContain('6 × 6, 8 × 8');
    expect(rows[1]).toContain('8 × 8, 8 × 8');
    expect(new URL(page.url()).searchParams.get('queryTile')).toBe('6,6');
    await page.setViewportSize({ width: 320, height: 800 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('power-attention', () => {
  test('a dropped digit shows who can answer, and a prompt is timed by the real kernels', async () => {
    const { page, problems } = await stage.open('power-attention?device=wasm&size=256');
    const answers = () => page.locator('[data-lab="answers"] li').allTextContents();
    const of = async (pattern: string) => (await answers()).find((text) => text.startsWith(pattern)) ?? '';
    expect(await answers()).toHaveLength(6);
    expect(await of('full')).toBe('full canfrom 1 layer on; every block from 1');
    // 127 − 21 = 106 = 1101010 in binary: four hops, fewer where window and sink help
    expect(await page.locator('.lab-digits').textContent()).toBe('1101010');
    expect(await page.locator('.lab-digits mark').count()).toBe(4);
    expect(await of('dilated')).toContain('cannot');
    await page.getByLabel('layers', { exact: false }).first().focus();
    await page.keyboard.press('End');
    await expect.poll(() => of('power')).toContain('power can');

    await page.getByRole('radio', { name: '1024' }).check();
    await page.getByRole('button', { name: 'Time it' }).click();
    await ended(page, 'Prefill');
    const lanes = await page.locator('[data-lab="prefill"] li').allTextContents();
    expect(lanes).toHaveLength(2);
    expect(lanes[0]).toMatch(
      /^Pattern “power”[\d.]+ ms.*times (faster|slower) than dense; it visits [\d.]+ %/,
    );
    expect(lanes[1]).toMatch(/^Dense, causal[\d.]+ ms/);
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('halonet', () => {
  test('the rim of a block is furthest from dense without a halo; both ways to read a window agree', async () => {
    const { page, problems } = await stage.open('halonet?device=wasm&size=24x24&halo=0&blockSize=8');
    const errors = (await page.locator('[data-lab="borders"] b').allTextContents()).map(Number.parseFloat);
    expect(errors).toHaveLength(4);
    expect(errors[0]).toBeGreaterThan(errors[3]);
    await page.getByRole('button', { name: 'Measure both' }).click();
    await ended(page, 'Unfolding');
    expect(await page.locator('[data-lab="unfolding"] li').count()).toBe(2);
    const says = (await page.textContent('section[aria-label="Unfolding"]')) ?? '';
    expect(Number(says.match(/differ by ([\d.e-]+) %/)?.[1])).toBeLessThan(1e-3);
    // the picture moves, and the blocks with it in relation to it
    const before = await textOf(page, 'error');
    await page.getByLabel('move down').focus();
    for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowRight');
    await settled(page);
    expect(await textOf(page, 'error')).not.toBe(before);
    expect(new URL(page.url()).searchParams.get('shiftRows')).toBe('4');
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('biformer', () => {
  test('the region of the cue finds its copy wherever it is dragged, and chance does not', async () => {
    const { page, problems } = await stage.open(
      'biformer?device=wasm&size=32x32&cue=true&topk=2&at=33&cueRow=6&cueColumn=5',
    );
    const found = () => textOf(page, 'cue');
    await expect.poll(found).toContain('looks at its copy');
    expect(await page.getAttribute('section[aria-label="Region graph"] svg', 'aria-label')).toContain(
      'row 6 column 5',
    );
    const board = page.locator('section[aria-label="Region graph"] svg');
    await board.scrollIntoViewIfNeeded();
    const box = await board.boundingBox();
    if (!box) throw new Error('the region graph is not shown');
    const at = (cell: number) => ((cell - 0.5) * box.width) / 8;
    await page.mouse.move(box.x + at(5), box.y + at(6));
    await page.mouse.down();
    await page.mouse.move(box.x + at(7), box.y + at(3), { steps: 3 });
    await page.mouse.up();
    await page.waitForSelector('section[aria-label="Region graph"] svg[aria-label*="row 3 column 7"]');
    await expect.poll(found).toContain('looks at its copy');
    await settled(page);
    expect(new URL(page.url()).searchParams.get('cueRow')).toBe('3');
    await page.getByRole('radio', { name: 'random' }).check();
    await expect.poll(found).toContain('does not look at its copy');
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });

  test('the local convolution is added to the output, and what is kept of dense attention stays', async () => {
    const { page, problems } = await stage.open('biformer?device=wasm&size=24x24');
    const before = { mass: await textOf(page, 'mass'), error: await textOf(page, 'error') };
    await page.getByRole('switch', { name: 'local convolution' }).check();
    await settled(page);
    expect(await textOf(page, 'mass')).toBe(before.mass);
    expect(await textOf(page, 'error')).not.toBe(before.error);
    expect(new URL(page.url()).search).toContain('local=true');
    expect(new URL(page.url()).search).not.toContain('localKernel');
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('radial-attention', () => {
  const start = 'radial-attention?device=wasm&size=12x8x12';

  test('sliders of the synthetic heads move the errors, and each window loses the head that is not its own', async () => {
    const { page, problems } = await stage.open(start);
    const errors = async (head: string) =>
      (await page.locator(`[data-lab="${head}"] b`).allTextContents()).map((text) =>
        Number(text.split(' ').at(-1)),
      );
    const [radial, frames, positions] = await errors('temporal-head');
    expect(frames).toBeGreaterThan(3 * radial);
    expect(positions).toBeLessThan(frames);
    const spatial = await errors('spatial-head');
    expect(spatial[2]).toBeGreaterThan(3 * spatial[0]);
    await page.getByRole('group', { name: 'looks along time' }).getByLabel('decay a frame').focus();
    await page.keyboard.press('End');
    await expect.poll(async () => (await errors('temporal-head'))[1]).toBeLessThan(frames / 3);
    expect(problems).toEqual([]);
    await page.close();
  });

  test('a toy clip is denoised under every mask, on the device of the lab', async () => {
    const { page, problems } = await stage.open(start);
    await page.getByRole('button', { name: 'Denoise' }).click();
    await ended(page, 'Denoising');
    const says = await page.locator('[data-lab="denoised"] figcaption').allTextContents();
    expect(says.map((text) => text.split(' ')[0])).toEqual([
      'Clean',
      'Noisy',
      'Dense',
      'Radial',
      'Near',
      'Near',
    ]);
    const fromDense = says.slice(3).map((text) => Number.parseFloat(text.match(/[\d.]+ % from/)?.[0] ?? ''));
    expect(fromDense[0]).toBeGreaterThan(0);
    expect(fromDense[1]).toBeGreaterThan(fromDense[0]);
    await page.getByRole('radio', { name: 'around the frame' }).check();
    await page.waitForSelector('section[aria-label="Denoising"] :text("of other settings")');
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });

  test('text after the clip is part of the run, of the mask and of the address', async () => {
    const { page, problems } = await stage.open(`${start}&words=16`);
    expect(await page.textContent('.lab-readout')).toContain('1168 tokens');
    expect(await page.textContent('section[aria-label="Mask of the clip"]')).toContain(
      'those of 16 text tokens',
    );
    await page.getByLabel('text tokens').focus();
    await page.keyboard.press('Home');
    await settled(page);
    expect(await page.textContent('.lab-readout')).toContain('1152 tokens');
    expect(problems).toEqual([]);
    await page.close();
  });
});

describe('a lost device', () => {
  /** The lab's worker, told to remember the devices that it opens. */
  async function watched(page: Page): Promise<Worker> {
    const [worker] = page.workers();
    await worker.evaluate(() => {
      const scope = self as unknown as { devices: GPUDevice[]; loseAfter?: number };
      scope.devices = [];
      const submit = GPUQueue.prototype.submit;
      GPUQueue.prototype.submit = function (...given) {
        submit.apply(this, given);
        if (scope.loseAfter !== undefined && --scope.loseAfter === 0) scope.devices.at(-1)?.destroy();
      };
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (...given) {
        const device = await request.apply(this, given);
        scope.devices.push(device);
        return device;
      };
    });
    return worker;
  }
  const lose = (worker: Worker) =>
    worker.evaluate(() => (self as unknown as { devices: GPUDevice[] }).devices.at(-1)?.destroy());
  const devices = (worker: Worker) =>
    worker.evaluate(() => (self as unknown as { devices: GPUDevice[] }).devices.length);

  test('in the middle of a run gives words, and another try opens another', async () => {
    const { page } = await stage.open('fna?device=wasm&size=24x24');
    const worker = await watched(page);
    // the mechanism, dense attention and the timing are some thirty submissions
    await worker.evaluate(() => {
      (self as unknown as { loseAfter: number }).loseAfter = 8;
    });
    await page.getByLabel('runs on').selectOption('webgpu');
    await page.waitForSelector('.lab-problem:has-text("The graphics device was lost")');
    expect(await page.textContent('.lab-problem')).toContain('Input and settings are still here');
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Try again' }).click();
    await settled(page);
    expect(await textOf(page, 'machine')).toContain('WebGPU');
    expect(await devices(worker)).toBe(2);
    await page.close();
  });

  test('between two runs is told too, and the lab goes on with WebAssembly', async () => {
    const { page } = await stage.open('fna?device=wasm&size=24x24');
    const worker = await watched(page);
    await page.getByLabel('runs on').selectOption('webgpu');
    await settled(page);
    await lose(worker);
    await page.waitForSelector('.lab-problem:has-text("The graphics device was lost")');
    expect(await textOf(page, 'time')).toMatch(/ms/); // the last measurement stays
    await page.getByRole('button', { name: 'Go on with WebAssembly' }).click();
    await page.waitForSelector('.lab-problem', { state: 'detached' });
    await settled(page);
    expect(await textOf(page, 'machine')).toContain('WebAssembly');
    await page.close();
  });

  test('in the middle of a trial is told in its panel, and it can be run again', async () => {
    const { page } = await stage.open('fna?device=wasm&size=24x24');
    const worker = await watched(page);
    // three forms, a warm-up and at least three rounds of them are far more submissions
    await worker.evaluate(() => {
      (self as unknown as { loseAfter: number }).loseAfter = 12;
    });
    await page.getByRole('button', { name: 'Race them' }).click();
    await page.waitForSelector('section[aria-label="Race"] .lab-problem:has-text("was lost")');
    await page.getByRole('button', { name: 'Race them' }).click();
    await page.waitForSelector('section[aria-label="Race"] [data-trial-state="done"]', { timeout: 90_000 });
    expect(await devices(worker)).toBe(2);
    await page.close();
  });
});
