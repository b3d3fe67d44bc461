// `npm run readme`: writes the tables of README.md that are made from the sources. A test compares them.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findRunnable } from '@saccade/papers';
import { catalogue } from '@saccade/papers/catalogue';
import type { LedgerFile, VerdictName } from '@saccade/papers/kit';
import {
  type BenchResult,
  benchFileSchema,
  type Comparison,
  isOurs,
  latestComparisons,
  median,
  peerInWords,
  rateInWords,
  shapeInWords,
  timeInWords,
} from '../packages/site/src/shared/bench.ts';
import { adapterInWords } from '../packages/site/src/shared/machine.ts';

const root = resolve(import.meta.dirname, '..');
const readme = join(root, 'README.md');

/** The latest full measurement of each paper, by slug. */
function ledgers(): Map<string, LedgerFile> {
  const found = new Map<string, LedgerFile>();
  const results = join(root, 'results');
  if (!existsSync(results)) return found;
  for (const machine of readdirSync(results, { withFileTypes: true })) {
    if (!machine.isDirectory()) continue;
    for (const name of readdirSync(join(results, machine.name)).filter((file) => file.endsWith('.json'))) {
      const ledger = JSON.parse(readFileSync(join(results, machine.name, name), 'utf8')) as LedgerFile;
      const other = found.get(ledger.slug);
      if (!ledger.quick && (!other || other.date < ledger.date)) found.set(ledger.slug, ledger);
    }
  }
  return found;
}

const order: readonly VerdictName[] = [
  'holds',
  'holds in direction',
  'does not hold',
  'not checkable here',
  'not yet measured',
];

function verdicts(ledger: LedgerFile | undefined): string {
  if (!ledger) return 'not yet measured';
  return order
    .map((verdict) => [ledger.entries.filter((entry) => entry.verdict === verdict).length, verdict] as const)
    .filter(([count]) => count > 0)
    .map(([count, verdict]) => `${count} ${verdict}`)
    .join(', ');
}

/** The papers that run with their verdicts, then the number of those that do not. */
function papersTable(): string {
  const measured = ledgers();
  const running = catalogue.filter((paper) => findRunnable(paper.slug));
  const rows = running
    .sort((a, b) => a.slug.localeCompare(b.slug))
    .map(
      (paper) =>
        `| [\`${paper.slug}\`](packages/papers/src/${paper.slug}/README.md) | ${paper.title} | ${paper.listedOn?.slice(0, 4) ?? 'unknown'} | ${paper.family} | ${verdicts(measured.get(paper.slug))} |`,
    );
  return [
    '| paper | title | year | family | claims |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    `${running.length} of ${catalogue.length} papers run. \`npx saccade list\` names them all.`,
  ].join('\n');
}

/**
 * The latest stored benchmark of each case, of the machine that was measured last: ours, the fastest tier, beside each other
 * library in the same run.
 */
function speedTable(): string {
  const folder = join(root, 'bench/results');
  const stored = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({
      name,
      file: benchFileSchema.parse(JSON.parse(readFileSync(join(folder, name), 'utf8'))),
    }));
  const comparisons = latestComparisons(stored);
  const { machine } = comparisons.reduce((latest, each) => (each.date > latest.date ? each : latest));
  const here = comparisons.filter((comparison) => comparison.machine.id === machine.id);
  return [
    `${adapterInWords(machine.adapter).name}; ${machine.cpu}, ${machine.cores} cores; medians:`,
    '',
    '| case | Saccade | beside it, in the same run | samples |',
    '| --- | --- | --- | --- |',
    ...here.map((comparison) => speedRow(comparison)),
  ].join('\n');
}

function speedRow({ facts, results, name, date }: Comparison): string {
  const ours = results.find(isOurs);
  const ourTime = ours && median(ours.samplesMs);
  const inWords = (result: BenchResult) => {
    const middle = median(result.samplesMs);
    return `${timeInWords(middle)}, ${rateInWords(facts, middle)}`;
  };
  const others = results.filter((result) => !isOurs(result));
  const beside = others.map((result) => {
    const times = ourTime && median(result.samplesMs) / ourTime;
    const stands =
      times === undefined ? '' : `: ${times >= 1 ? times.toFixed(1) : times.toFixed(2)} x our time`;
    return `${peerInWords(result.peer)} ${inWords(result)}${stands}`;
  });
  const who = ours ? `${peerInWords(ours.peer).replace('Saccade, ', '')}: ${inWords(ours)}` : '–';
  return `| ${facts.title}, ${shapeInWords(facts)} | ${who} | ${beside.join('; ') || '–'} | [${date.slice(0, 10)}](bench/results/${name}) |`;
}

/** What each folder is for; a folder that is not here, or no longer there, fails. */
const purposes: Record<string, string> = {
  'packages/attention': 'the engines: tensors, plans, attend(), selection, devices; knows nothing of papers',
  'packages/papers': 'one folder a paper: facts, reference, mechanism, claims, lab, tests',
  'packages/site': 'Daily Papers: server, embedded database, pages',
  'packages/cli': 'the saccade command',
  bench: 'peers side by side, their results, and tests of interop with them',
  docs: 'tensors of other libraries; pictures of this page',
  results: 'the ledger: one JSON a machine and paper, with raw samples',
  scripts: 'start, test, and the makers of papers, kernels, packs and this page',
};

function tree(): string {
  const packages = readdirSync(join(root, 'packages')).map((name) => `packages/${name}`);
  const unknown = packages.filter((path) => !purposes[path]);
  if (unknown.length > 0) throw new Error(`readme: no purpose is written down for ${unknown.join(', ')}`);
  const present = Object.keys(purposes).filter((path) => existsSync(join(root, path)));
  const width = Math.max(...present.map((path) => path.length));
  return ['```', ...present.map((path) => `${path.padEnd(width)}  ${purposes[path]}`), '```'].join('\n');
}

function replaceBetween(text: string, name: string, content: string): string {
  const begin = `<!-- ${name}: written by npm run readme -->`;
  const end = `<!-- end of ${name} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`readme: README.md has lost its markers of ${name}`);
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
}

/** README.md as it should be. */
export function freshReadme(): string {
  const text = readFileSync(readme, 'utf8');
  const tables = { papers: papersTable(), speed: speedTable(), tree: tree() };
  return Object.entries(tables).reduce((page, [name, table]) => replaceBetween(page, name, table), text);
}

if (import.meta.main) {
  writeFileSync(readme, freshReadme());
  console.log('README.md is fresh');
}
