import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { offerSoftwareDriver } from './packages/cli/bin/software-adapter.mjs';
import { findChromium } from './scripts/system.mjs';

// So that `vitest run <file>` finds the adapter and the browser that `npm test` finds.
offerSoftwareDriver(process.env);
process.env.SACCADE_CHROMIUM ??= findChromium() ?? '';

// The suffix says what a test needs: `.test.ts` nothing, `.gpu.test.ts` a WebGPU adapter, `.page.test.ts` a browser.
const sources = ['packages/*/src/**', 'packages/*/bin/**', 'scripts/**', 'bench/**'];
const matching = (suffix: string) => sources.map((folder) => `${folder}/*.${suffix}`);
const never = ['**/node_modules/**', '**/build/**', '**/dist/**'];

export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        test: {
          name: 'unit',
          include: matching('test.ts'),
          exclude: [...never, '**/*.gpu.test.ts', '**/*.page.test.ts'],
          pool: 'forks',
          // of two cores vitest would use one: many of these wait for clocks, servers and databases
          maxWorkers: Math.max(2, availableParallelism() - 1),
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'gpu',
          include: matching('gpu.test.ts'),
          exclude: never,
          pool: 'forks',
          // One process with one device: Dawn starts once, and a software adapter uses every core by itself.
          fileParallelism: false,
          isolate: false,
          // `npm test` runs these beside the others, on what those leave of the processor
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'page',
          include: matching('page.test.ts'),
          exclude: never,
          pool: 'forks',
          fileParallelism: false,
          isolate: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
