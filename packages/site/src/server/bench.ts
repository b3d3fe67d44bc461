import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchFileSchema, type Comparison, latestComparisons, type StoredBench } from '../shared/bench.ts';

/** The stored benchmarks. */
export interface BenchStore {
  comparisons: readonly Comparison[];
  /** Text of a stored file, by its name without `.json`, or undefined. */
  text(name: string): string | undefined;
}

/**
 * Reads the benchmarks once. A file that is none is left out and reported through `complain`: one broken file must not
 * take the site down, nor pass in silence.
 */
export function readBench(folder: string, complain: (message: string) => void): BenchStore {
  const texts = new Map<string, string>();
  const stored: StoredBench[] = [];
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.json')) : [];
  for (const file of files) {
    const [name, text] = [file.slice(0, -'.json'.length), readFileSync(join(folder, file), 'utf8')];
    try {
      stored.push({ name, file: benchFileSchema.parse(JSON.parse(text)) });
      texts.set(name, text);
    } catch (error) {
      complain(`bench/results/${file} is not a benchmark file: ${(error as Error).message}`);
    }
  }
  return { comparisons: latestComparisons(stored), text: (name) => texts.get(name) };
}
