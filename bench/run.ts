// npm run bench [-- case name …] [--quick] [--out folder]
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { randomArray } from '../packages/attention/src/testing/index.ts';
import { cases, peers } from './cases.ts';
import type { Case, Prepared } from './peers/peer.ts';
import { type CaseResult, type PeerResult, ratio, report } from './report.ts';

/** Outputs are means of values in (-1, 1); f32 sums in another order differ by some 1e-7. */
const MOST_DIFFERENCE = 1e-5;

async function runCase(item: Case): Promise<CaseResult> {
  const shape = [item.batch, item.heads, item.tokens, item.headDim];
  const [query, key, value] = [1, 2, 3].map((seed) => randomArray(seed, shape));
  const ready: { peer: string; prepared: Prepared; result: PeerResult }[] = [];
  const skipped: Record<string, string> = {};
  const differences: Record<string, number> = {};
  try {
    let first: Float32Array | undefined;
    for (const name of item.peers) {
      const peer = peers.find((candidate) => candidate.name === name);
      if (!peer) throw new Error(`case ${item.name} names an unknown peer ${name}`);
      const why = await peer.unavailable();
      if (why) {
        skipped[name] = why;
        continue;
      }
      const prepared = await peer.prepare(item, { query, key, value });
      ready.push({
        peer: name,
        prepared,
        result: { peer: name, description: prepared.description, samples: [], raw: [] },
      });
      const output = await prepared.output();
      if (first) {
        differences[name] = largestDifference(first, output);
        if (!(differences[name] <= MOST_DIFFERENCE))
          throw new Error(`${item.name}: ${name} differs by ${differences[name]}: not the same attention`);
      }
      first ??= output;
    }
    await time(item, ready);
  } finally {
    for (const { prepared } of ready) await prepared.close();
  }
  return { case: item, differences, results: ready.map(({ result }) => result), skipped };
}

/** Interleaved: every round times every peer, in turns of order, so that a busy machine slows all alike. */
async function time(item: Case, ready: readonly { prepared: Prepared; result: PeerResult }[]): Promise<void> {
  for (const { prepared } of ready) for (let i = 0; i < 3; i++) await prepared.run(item.chains[0]);
  for (let round = 0; round < item.rounds; round++) {
    for (const { prepared, result } of round % 2 ? ready.toReversed() : ready) {
      const spent: number[] = [];
      for (const chain of item.chains) {
        const begin = performance.now();
        await prepared.run(chain);
        spent.push(performance.now() - begin);
      }
      result.raw.push(spent);
      const [short, long] = item.chains;
      result.samples.push(long ? (spent[1] - spent[0]) / (long - short) : spent[0] / short);
    }
  }
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

function commit(): string {
  const git = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=7'], { encoding: 'utf8' });
  return git.status === 0 ? git.stdout.trim() : 'unknown';
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' }, out: { type: 'string' } },
});
const chosen = cases.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
if (chosen.length === 0) {
  console.error(`no such case; there are: ${cases.map(({ name }) => name).join('; ')}`);
  process.exit(2);
}
const all: CaseResult[] = [];
for (const item of chosen) {
  const result = await runCase(values.quick ? { ...item, rounds: 5 } : item);
  console.log(report(result));
  all.push(result);
}
const processor = cpus()[0]?.model.trim() ?? process.arch;
const machine = `${processor} x ${cpus().length}`.replace(/[^\w.]+/g, '-').replace(/^-|-$/g, '');
const date = new Date().toISOString();
const folder = values.out ?? join(import.meta.dirname, 'results');
mkdirSync(folder, { recursive: true });
const file = join(folder, `${date.slice(0, 10)}-${machine}-${commit()}.json`);
const ratios = Object.fromEntries(
  all
    .filter(({ results }) => results.length > 1)
    .map(({ case: { name }, results }) => [name, ratio(results[0], results[1])]),
);
const facts = {
  date,
  commit: commit(),
  machine,
  node: process.version,
  system: `${process.platform} ${process.arch}`,
};
writeFileSync(file, `${JSON.stringify({ ...facts, ratios, cases: all }, null, 1)}\n`);
console.log(`raw samples: ${file}`);
