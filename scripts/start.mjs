// `npm start`: installs and builds what is missing, then serves the site. Plain JavaScript for any Node from 18 on.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { childEnvironment, install, pinnedNode, root } from './install.mjs';

const main = join(root, 'packages/site/src/server/main.ts');

try {
  install();
  build('wasm');
  build('site');
  if (!existsSync(main)) throw new Error(`${main} is missing`);
} catch (error) {
  console.error(`npm start: ${error.message}`);
  process.exit(1);
}

const server = spawn(pinnedNode(), [main, ...process.argv.slice(2)], {
  // The data directory is relative to where the reader started us, which for `npm start` is the root.
  cwd: process.cwd(),
  // React, too, comes in the form for readers then: half the time of a page, and less to load.
  env: childEnvironment({ NODE_ENV: 'production' }),
  stdio: 'inherit',
});
// A terminal sends Ctrl-C to both processes; a supervisor signals only this one.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => server.kill(signal));
// Told to end, npm tells its shell, which ends without telling us: the server would keep the port and the data.
if (process.env.npm_lifecycle_event) {
  const shell = process.ppid;
  setInterval(() => process.ppid !== shell && server.kill('SIGTERM'), 500).unref();
}
server.on('error', (error) => {
  console.error(`npm start: the server could not be started: ${error.message}`);
  process.exit(1);
});
server.on('exit', (code, signal) =>
  process.exit(code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)),
);
