// npm run bench [-- case …] [--quick] [--out folder]: our engines and their peers, into JSON and a picture
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Device, openDevice } from '../packages/attention/src/index.ts';
import { commitOfSources, describeMachine } from '../packages/cli/src/machine.ts';
import { type BenchFile, benchFileSchema } from '../packages/site/src/shared/bench.ts';
import { cases, peers, quick } from './cases.ts';
import { picture } from './picture.ts';
import { report } from './report.ts';
import { runCase } from './time.ts';
import { runTorch } from './torch.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, out: { type: 'string' } },
});
const unknown = positionals.filter((id) => !cases.some(({ facts }) => facts.id === id));
if (unknown.length > 0) {
  const known = cases.map(({ facts }) => facts.id).join(', ');
  console.error(`case is ${unknown.join(', ')}; allowed: ${known}`);
  process.exit(2);
}

const device = await openDevice('auto');
const graphics = device.kind === 'webgpu' && device.capabilities.software !== true;
const chosen = cases
  .filter(({ facts }) => positionals.length === 0 || positionals.includes(facts.id))
  .map((item) => (values.quick ? quick(item) : item));
const all: Pick<BenchFile, 'results' | 'skipped'> = { results: [], skipped: [] };
const folder = values.out ?? join(import.meta.dirname, 'results');
const facts = {
  date: new Date().toISOString(),
  commit: commitOfSources(),
  quick: values.quick,
  machine: describeMachine(await deviceOfRecord(device)),
};
const name = join(folder, `${facts.date.slice(0, 10)}-${facts.machine.id}-${facts.commit.replace('+', '-')}`);
/** Takes results in and writes what there is: a run that is ended early keeps its finished cases. */
const add = ({ results, skipped }: typeof all) => {
  all.results.push(...results);
  all.skipped.push(...skipped);
  const file = benchFileSchema.parse({ ...facts, ...all } satisfies BenchFile);
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${name}.json`, `${JSON.stringify(file, null, 1)}\n`);
  writeFileSync(`${name}.svg`, picture(file));
};

for (const item of chosen) {
  const { id, threads } = item.facts;
  if (threads !== undefined || graphics || values.quick) add(await runCase(item, peers));
  else {
    const why = `full size needs a graphics processor; here is ${device.description}. --quick tries a small one`;
    add({ results: [], skipped: [{ case: id, peer: 'all', why }] });
  }
  console.log(report(id, all));
}
// PyTorch has no use for the sizes of --quick, and would wait for its compiler
if (!values.quick) {
  for await (const done of runTorch(chosen)) {
    add(done);
    for (const id of [
      ...done.results.map((result) => result.case.id),
      ...done.skipped.map((entry) => entry.case),
    ])
      console.log(report(id, all));
  }
}

console.log(`raw samples: ${name}.json\npicture: ${name}.svg`);
process.exit(0); // devices that peers opened keep Node alive

/** A machine goes by its graphics processor, or by its processor where that is all it has. */
async function deviceOfRecord(found: Device): Promise<Device> {
  return graphics ? found : openDevice('wasm');
}
