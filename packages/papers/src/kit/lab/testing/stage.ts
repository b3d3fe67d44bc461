import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { serveLabs } from './serve.ts';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** A server with every lab and a browser to open them in. */
export interface Stage {
  /** For files that a test needs on the disk. */
  folder: string;
  /** Opens a lab and waits for its first run; the page's errors and warnings are in `problems`. */
  open(
    address: string,
    options?: { width?: number; colorScheme?: 'light' | 'dark' },
  ): Promise<{ page: Page; problems: string[] }>;
  close(): Promise<void>;
}

/**
 * @param labs the file that exports `labs`
 * @param webgpu the browser gets WebGPU in software; otherwise it has none
 */
export async function openStage(labs: string, { webgpu = false } = {}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'saccade-labs-'));
  const site = await serveLabs(labs, folder);
  const browser = await chromium.launch({
    executablePath: process.env.SACCADE_CHROMIUM || '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      ...(webgpu
        ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan']
        : ['--disable-gpu']),
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  return {
    folder,
    open: async (address, { width = 1280, colorScheme = 'light' } = {}) => {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
      const problems: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
      });
      page.on('pageerror', (error) => problems.push(error.message));
      await page.addInitScript({ path: axe });
      await page.goto(`${site.address}/${address}`);
      await done(page);
      return { page, problems };
    },
    close: async () => {
      await browser.close();
      await site.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits for the run under way. @throws what the lab says, if it has a problem */
export async function done(page: Page): Promise<void> {
  await page.waitForSelector('[data-lab-state="done"], [data-lab-state="failed"], .lab-problem', {
    timeout: 60_000,
  });
  const problem = await page.$('.lab-problem');
  if (problem) throw new Error(`the lab says: ${await problem.textContent()}`);
}

/** Waits until a change of settings has been taken up, and for its run. */
export async function settled(page: Page): Promise<void> {
  await page.waitForTimeout(500);
  await done(page);
}

/** What axe-core finds. */
export async function violations(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`);
  });
}

/** Text of an element that a lab names with data-lab. */
export const textOf = async (page: Page, name: string) =>
  (await page.textContent(`[data-lab="${name}"]`)) ?? '';
