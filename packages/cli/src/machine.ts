import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Device } from '@saccade/attention';
import type { LedgerFile } from '@saccade/papers/kit';

/** The folder that holds results/, packages/ and scripts/. */
export const repository = fileURLToPath(new URL('../../..', import.meta.url));

/** Small letters, digits and single hyphens: safe as a folder's name. */
export function slugify(text: string): string {
  const slug = text
    .toLowerCase()
    .replace(/\((r|tm)\)/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return slug.slice(0, 48).replace(/-+$/, '') || 'unknown';
}

/**
 * What the ledger says of a machine: hardware only, no host or user name.
 * Its id is the GPU's name, or the processor with the kind of kernel, so that results of one machine's devices do not overwrite each other.
 */
export function describeMachine(device: Device, name?: string): LedgerFile['machine'] {
  const processors = cpus();
  const cpu = (processors[0]?.model ?? process.arch).trim();
  const cores = availableParallelism();
  const isGpu = device.kind === 'webgpu' && !/swiftshader|software|llvmpipe/i.test(device.description);
  const automatic = isGpu
    ? slugify(gpuName() ?? device.description)
    : `${slugify(cpu).slice(0, 32).replace(/-+$/, '')}-${cores}-cores-${device.kind}`;
  return {
    id: name === undefined ? automatic : slugify(name),
    adapter: device.description,
    cpu,
    cores,
    os: `${process.platform} ${release()}`,
    runtime: `Node ${process.versions.node}`,
  };
}

/** NVIDIA's Vulkan driver gives Dawn its version but not always the card's name. */
function gpuName(): string | undefined {
  const result = spawnSync('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'], {
    encoding: 'utf8',
    timeout: 5000,
  });
  return result.status === 0 ? result.stdout.split('\n')[0].trim() || undefined : undefined;
}

/** Commit that was measured, marked where sources differ from it. SACCADE_COMMIT says it where there is no git. */
export function commitOfSources(): string {
  if (process.env.SACCADE_COMMIT) return process.env.SACCADE_COMMIT.trim();
  const git = (...args: string[]) =>
    spawnSync('git', args, { cwd: repository, encoding: 'utf8', timeout: 10_000 });
  const head = git('rev-parse', '--short=12', 'HEAD');
  if (head.status !== 0) return 'unknown';
  const changed = git('status', '--porcelain', '--', 'packages').stdout.trim() !== '';
  return `${head.stdout.trim()}${changed ? '+changes' : ''}`;
}
