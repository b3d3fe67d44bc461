// npm run load [-- row …] [--papers 20000] [--seconds 20] [--out folder]: the site under load and killed, on this machine.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { install, pinnedNode, root } from './install.mjs';
import { startPostgres } from './postgres.mjs';
import { prepareSystem } from './system.mjs';

install();
build('wasm');
build('site');
const { environment } = prepareSystem();
let postgres;
if (!environment.TEST_DATABASE_URL) {
  postgres = await startPostgres();
  environment.TEST_DATABASE_URL = postgres.url;
}
const { status } = spawnSync(pinnedNode(), [join(root, 'bench/site/run.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env: environment,
});
await postgres?.stop();
process.exit(status ?? 1);
