import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';

const attention = resolve(import.meta.dirname, '../packages/attention/src');

/** What a page that computes on WebGPU may load of the engines; the aim is 35 kB. */
const LIMIT_BYTES = 60_000;

/** The chunks of a bundle of the front door, in which each device is loaded when it is opened. */
async function bundle(): Promise<Rolldown.OutputChunk[]> {
  const { output } = (await build({
    configFile: false,
    logLevel: 'error',
    root: attention,
    worker: { format: 'es' },
    build: {
      write: false,
      target: 'es2024',
      assetsInlineLimit: 0,
      rolldownOptions: { input: join(attention, 'index.ts'), preserveEntrySignatures: 'strict' },
    },
  })) as Rolldown.RolldownOutput;
  return output.filter((file) => file.type === 'chunk');
}

/** Gzipped bytes of chunks with all that they import. */
function bytesOf(chunks: readonly Rolldown.OutputChunk[], starts: readonly Rolldown.OutputChunk[]): number {
  const loaded = new Set<Rolldown.OutputChunk>();
  const load = (chunk: Rolldown.OutputChunk) => {
    if (loaded.has(chunk)) return;
    loaded.add(chunk);
    for (const name of chunk.imports) load(chunks.find(({ fileName }) => fileName === name)!);
  };
  for (const chunk of starts) load(chunk);
  return [...loaded].reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).byteLength, 0);
}

test(`the front door and the WebGPU engine are at most ${LIMIT_BYTES / 1000} kB of scripts, gzipped`, async () => {
  const chunks = await bundle();
  const holding = (module: string) => {
    const found = chunks.find(({ moduleIds }) => moduleIds.includes(join(attention, module)));
    if (!found) throw new Error(`no chunk holds ${module}`);
    return found;
  };
  const entry = holding('index.ts');
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
  const core = bytesOf(chunks, [entry, holding('device/webgpu.ts')]);
  const wasm = bytesOf(chunks, [entry, holding('device/wasm.ts')]);
  console.log(`with the WebGPU engine ${kilobytes(core)}, with the WASM engine's scripts ${kilobytes(wasm)}`);
  // each engine is a chunk of its own: nobody loads the one that is not opened
  expect(holding('device/wasm.ts')).not.toBe(holding('device/webgpu.ts'));
  expect(holding('device/webgpu.ts')).not.toBe(entry);
  expect(core).toBeLessThanOrEqual(LIMIT_BYTES);
});
