// Installs what the bench compares with and the interop tests convert from: half a gigabyte that the root does without.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './install.mjs';

const bench = join(root, 'bench');

/** Whether bench/node_modules is what bench/package-lock.json says. */
function isFresh() {
  const hidden = join(bench, 'node_modules/.package-lock.json');
  if (!existsSync(hidden)) return false;
  const wanted = JSON.parse(readFileSync(join(bench, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

/** Installs the peers unless they are there. Throws when npm fails. */
export function installPeers() {
  if (isFresh()) return;
  console.log('Installing the peers into bench/ …');
  // onnxruntime-node's install script fetches CUDA libraries, which nothing here uses.
  const result = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: bench,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0)
    throw new Error(`npm ci in bench/ ended with ${result.error?.message ?? result.status}`);
}
