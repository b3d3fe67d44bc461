// `npm run kernels`: writes the WGSL of chosen options to packages/attention/kernels/, for reading and for the diff.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { exampleKernels } from '../packages/attention/src/softmax/tiers/examples.ts';

const folder = resolve(import.meta.dirname, '../packages/attention/kernels');
mkdirSync(folder, { recursive: true });
const kernels = exampleKernels();
for (const name of readdirSync(folder))
  if (name.endsWith('.wgsl') && !kernels.has(name)) rmSync(join(folder, name));
for (const [name, code] of kernels) writeFileSync(join(folder, name), code);
console.log(`${kernels.size} kernels in packages/attention/kernels`);
