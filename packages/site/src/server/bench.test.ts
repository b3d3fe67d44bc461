import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keptPairs, latestComparisons, median, operations } from '../shared/bench.ts';
import { readBench } from './bench.ts';
import { benchFile, storeBench } from './testing/fixtures.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-bench-'));
  mkdirSync(join(folder, 'results'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const silent = (message: string) => expect.fail(message);

describe('stored benchmarks', () => {
  test('are none where there is no folder', () => {
    expect(readBench(join(folder, 'none'), silent).comparisons).toEqual([]);
  });

  test('that the repository holds are all whole', () => {
    const { comparisons } = readBench(resolve(import.meta.dirname, '../../../../bench/results'), silent);
    expect(comparisons.length).toBeGreaterThan(0);
  });

  test('put ours first, then the fastest, and give the file', async () => {
    await storeBench(join(folder, 'results'), benchFile());
    const { comparisons, text } = readBench(join(folder, 'bench'), silent);
    expect(comparisons[0].results.map(({ peer }) => peer)).toEqual([
      'saccade-webgpu-portable',
      'onnxruntime-webgpu',
    ]);
    expect(JSON.parse(text('2026-11-25-test-machine')!)).toEqual(benchFile());
    expect(text('../settings')).toBeUndefined();
  });

  test('are left out with a word where they are broken or have no samples', async () => {
    await storeBench(join(folder, 'results'), benchFile());
    writeFileSync(join(folder, 'bench/broken.json'), '{');
    const [first] = benchFile().results;
    await storeBench(join(folder, 'results'), benchFile({ results: [{ ...first, samplesMs: [] }] }), 'empty');
    const complaints: string[] = [];
    const { comparisons } = readBench(join(folder, 'bench'), (message) => complaints.push(message));
    expect(complaints).toHaveLength(2);
    expect(complaints.join('\n')).toMatch(/broken\.json[\s\S]*empty\.json/);
    expect(comparisons).toHaveLength(1);
  });

  test('are the latest of each machine; a quick run does not count', () => {
    const later = benchFile({ date: '2026-11-26T06:00:00.000Z', commit: 'later' });
    const quick = benchFile({ date: '2026-11-27T06:00:00.000Z', quick: true });
    const other = benchFile({ machine: { ...benchFile().machine, id: 'other' } });
    const stored = [benchFile(), later, quick, other].map((file, i) => ({ name: `file-${i}`, file }));
    expect(latestComparisons(stored).map(({ machine, name }) => [machine.id, name])).toEqual([
      ['test-machine', 'file-1'],
      ['other', 'file-3'],
    ]);
  });
});

describe('what is counted', () => {
  const { case: dense } = benchFile().results[0];
  const small = { ...dense, queryTokens: 6, keyTokens: 6 };
  const pairs = (mask: (query: number, key: number) => boolean, queries = 6, keys = 6) => {
    let count = 0;
    for (let q = 0; q < queries; q++) for (let k = 0; k < keys; k++) if (mask(q, k)) count++;
    return count;
  };

  test('are the pairs that a mask keeps', () => {
    expect(keptPairs(small)).toBe(36);
    expect(keptPairs({ ...small, mask: { kind: 'causal' } })).toBe(pairs((q, k) => k <= q));
    expect(keptPairs({ ...small, queryTokens: 2, mask: { kind: 'causal' } })).toBe(
      pairs((q, k) => k <= q + 4, 2),
    );
    expect(keptPairs({ ...small, mask: { kind: 'window', size: 3 } })).toBe(
      pairs((q, k) => k <= q && q - k < 3),
    );
    expect(keptPairs({ ...small, mask: { kind: 'blocks', block: 2, kept: 2, seed: 1 } })).toBe(24);
  });

  test('are two products forward and five backward', () => {
    expect(operations(small)).toBe(2 * 2 * 16 * 36 * 128);
    expect(operations({ ...small, pass: 'backward' })).toBe(2 * 5 * 16 * 36 * 128);
  });

  test('is the middle of the samples', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
  });
});
