// npm run bench [-- case …] [--quick]: our engines beside their peers, which live in bench/ only.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { childEnvironment, install, pinnedNode, root } from './install.mjs';

const bench = join(root, 'bench');
install();
if (!existsSync(join(bench, 'node_modules/onnxruntime-node'))) {
  console.log('Installing the peers into bench/ …');
  // The peer's install script fetches CUDA libraries, which nothing here uses.
  const result = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: bench,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0)
    throw new Error(`npm ci in bench/ ended with ${result.error?.message ?? result.status}`);
}
build('wasm');
const { status } = spawnSync(pinnedNode(), [join(bench, 'run.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env: childEnvironment(),
});
process.exit(status ?? 1);
