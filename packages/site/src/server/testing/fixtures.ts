import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LedgerEntry, LedgerFile } from '@saccade/papers/kit';
import type { BenchCase, BenchFile } from '../../shared/bench.ts';

/** One entry of a ledger, with what a test changes. */
export const entry = (over: Partial<LedgerEntry> = {}): LedgerEntry => ({
  id: 'a-claim',
  states: 'three times faster than dense',
  where: 'abstract',
  check: 'kernel',
  how: 'median of ten runs; holds from 2.7 times on',
  verdict: 'holds',
  because: '3.1 times faster, threshold 2.7',
  values: { timesFasterThanDense: 3.1 },
  samples: { denseMs: [3, 3.1, 3.2] },
  ...over,
});

/** A ledger file of a machine that does not exist. */
export const ledgerFile = (over: Partial<LedgerFile> = {}): LedgerFile => ({
  slug: 'power-attention',
  machine: {
    id: 'test-machine',
    adapter: 'Test adapter',
    cpu: 'test',
    cores: 2,
    os: 'test',
    runtime: 'test',
  },
  device: 'webgpu',
  tier: 'portable',
  quick: false,
  commit: '0123456789abcdef',
  date: '2026-11-25T06:00:00.000Z',
  entries: [
    entry(),
    entry({
      id: 'b',
      states: 'no loss of quality',
      verdict: 'does not hold',
      because: '4 % lost, threshold 1 %',
    }),
    entry({ id: 'c', states: 'twice as long clips', verdict: 'holds in direction', because: '1.4 times' }),
  ],
  ...over,
});

/** Writes a ledger file as `saccade check` does. */
export async function storeLedger(results: string, file: LedgerFile): Promise<void> {
  await mkdir(join(results, file.machine.id), { recursive: true });
  await writeFile(join(results, file.machine.id, `${file.slug}.json`), JSON.stringify(file));
}

const benchCase: BenchCase = {
  id: 'dense-f32',
  title: 'Dense',
  pass: 'forward',
  mask: { kind: 'none' },
  dtype: 'f32',
  batch: 1,
  heads: 16,
  queryTokens: 4096,
  keyTokens: 4096,
  headDim: 128,
};

/** A benchmark of a machine that does not exist. */
export const benchFile = (over: Partial<BenchFile> = {}): BenchFile => ({
  date: '2026-11-25T06:00:00.000Z',
  commit: '0123456789ab',
  quick: false,
  machine: ledgerFile().machine,
  results: [
    {
      case: benchCase,
      peer: 'onnxruntime-webgpu',
      description: 'onnxruntime test',
      samplesMs: [15, 14, 16],
      difference: 1e-7,
    },
    {
      case: benchCase,
      peer: 'saccade-webgpu-portable',
      description: 'Test adapter',
      samplesMs: [6, 5, 7],
      difference: null,
    },
  ],
  skipped: [],
  ...over,
});

/** Writes a benchmark as `npm run bench` does. */
export async function storeBench(
  results: string,
  file: BenchFile,
  name = '2026-11-25-test-machine',
): Promise<void> {
  await mkdir(join(results, '../bench'), { recursive: true });
  await writeFile(join(results, '../bench', `${name}.json`), JSON.stringify(file));
}
