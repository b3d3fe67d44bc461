// npm run bench [-- case …] [--quick]: our engines beside their peers, which live in bench/ only.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { childEnvironment, install, pinnedNode, root } from './install.mjs';
import { installPeers } from './peers.mjs';

install();
installPeers();
build('wasm');
const { status } = spawnSync(pinnedNode(), [join(root, 'bench/run.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env: childEnvironment(),
});
process.exit(status ?? 1);
