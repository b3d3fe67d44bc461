import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';

const attention = resolve(import.meta.dirname, '../packages/attention/src');

/** What a page may pay for the engines before any kernel of WASM comes along; the aim is 35 kB. */
const LIMIT_BYTES = 60_000;

/** Gzipped bytes of every script of an entry's bundle, whether it loads at once or later; WASM files apart. */
async function scriptBytes(entry: string): Promise<{ bytes: number; files: string[] }> {
  const output = (await build({
    configFile: false,
    logLevel: 'error',
    root: attention,
    worker: { format: 'es' },
    build: {
      write: false,
      target: 'es2024',
      assetsInlineLimit: 0,
      rolldownOptions: { input: join(attention, entry), preserveEntrySignatures: 'strict' },
    },
  })) as Rolldown.RolldownOutput;
  const scripts = output.output.filter(({ fileName }) => fileName.endsWith('.js'));
  const textOf = (file: (typeof scripts)[number]) => (file.type === 'chunk' ? file.code : file.source);
  return {
    bytes: scripts.reduce((sum, file) => sum + gzipSync(textOf(file)).byteLength, 0),
    files: scripts.map(({ fileName }) => fileName),
  };
}

test(`the engines are at most ${LIMIT_BYTES / 1000} kB of scripts, gzipped, without WASM`, async () => {
  const { bytes, files } = await scriptBytes('index.ts');
  // entry, the three devices and the thread's script: a bundle that lost one would look small
  expect(files.length).toBeGreaterThanOrEqual(4);
  console.log(`@saccade/attention: ${(bytes / 1000).toFixed(1)} kB in ${files.length} scripts`);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThanOrEqual(LIMIT_BYTES);
});
