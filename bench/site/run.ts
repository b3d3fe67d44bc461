// What `npm run load` runs: rows of the acceptance table, printed and kept as JSON.
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { commitOfSources, repository, slugify } from '../../packages/cli/src/machine.ts';
import { feedRows } from './feed.ts';
import { engines, filledSite } from './filled.ts';
import { lineRows } from './line.ts';
import type { Row } from './row.ts';
import { searchRows } from './search.ts';
import { suiteRows } from './suites.ts';

const ofTheSite = ['feed', 'search', 'line'] as const;
const ofSuites = ['votes', 'kill', 'digest'] as const;
const all: readonly string[] = [...ofTheSite, ...ofSuites];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    papers: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '20' },
    out: { type: 'string', default: join(repository, 'bench/results/site') },
  },
});
const [papers, seconds] = [Number(values.papers), Number(values.seconds)];
const wrong = [
  [
    positionals.every((name) => all.includes(name)),
    `row is ${positionals.join(', ')}; allowed: ${all.join(', ')}`,
  ],
  [Number.isInteger(papers) && papers >= 1, `--papers is ${values.papers}; allowed: a whole number from 1`],
  [
    Number.isInteger(seconds) && seconds >= 1,
    `--seconds is ${values.seconds}; allowed: a whole number from 1`,
  ],
].find(([right]) => !right);
if (wrong) {
  console.error(wrong[1]);
  process.exit(2);
}

const asked = (name: string) => positionals.length === 0 || positionals.includes(name);
const rows: Row[] = [];
const add = (more: readonly Row[]) => {
  rows.push(...more);
  for (const { what, figures, atLeast, holds } of more) {
    const told = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
    console.log(`${holds ? 'holds' : 'FAILS'}  ${what}: ${told.join(', ')} (${atLeast})`);
  }
};

const load = loadavg()[0];
if (ofTheSite.some(asked))
  for (const engine of engines) {
    console.log(`${papers} papers into ${engine} …`);
    const filled = await filledSite(engine, papers);
    try {
      if (asked('feed')) add(await feedRows(filled, seconds));
      if (asked('search')) add(await searchRows(filled));
      if (asked('line')) add(await lineRows(filled));
    } finally {
      await filled.close();
    }
  }
for (const name of ofSuites) if (asked(name)) add(suiteRows(name));

const cpu = (cpus()[0]?.model ?? process.arch).trim();
const file = {
  date: new Date().toISOString(),
  commit: commitOfSources(),
  papers,
  machine: {
    cpu,
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${process.platform} ${release()}`,
    runtime: `Node ${process.versions.node}`,
    // Others at work at the start, in processes that wanted a core: the load generator shares the cores, too.
    loadAtStart: load,
  },
  rows,
};
mkdirSync(values.out, { recursive: true });
const name = `${file.date.slice(0, 10)}-${slugify(cpu)}-${file.commit.replace('+', '-')}.json`;
writeFileSync(join(values.out, name), `${JSON.stringify(file)}\n`);
console.log(`Written to ${join(values.out, name)}`);
if (rows.some(({ holds }) => !holds)) process.exitCode = 1;
