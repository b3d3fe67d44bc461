// Runs on Node 18 with nothing installed: it is what brings Node 24 and everything else.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** The pinned Node of node_modules, or the running one where that is new enough to run the sources. */
export function pinnedNode() {
  const names = process.platform === 'win32' ? ['node.exe', 'bin/node.exe'] : ['bin/node'];
  const pinned = names.map((name) => join(root, 'node_modules/node', name)).find((path) => existsSync(path));
  if (pinned) return pinned;
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 18) ? process.execPath : undefined;
}

/** Environment for children: the pinned Node and the installed commands come first. */
export function childEnvironment(extra = {}) {
  const separator = process.platform === 'win32' ? ';' : ':';
  const path = `${join(root, 'node_modules/.bin')}${separator}${process.env.PATH ?? ''}`;
  // Compiled modules are kept: a second start does not compile them again.
  const NODE_COMPILE_CACHE = process.env.NODE_COMPILE_CACHE ?? join(root, '.cache/compile');
  return { ...process.env, PATH: path, NODE_COMPILE_CACHE, ...extra };
}

/** Why node_modules does not match package-lock.json; undefined when it does. */
export function whyInstall() {
  const hidden = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(hidden)) return 'nothing is installed yet';
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    // Packages for other platforms are optional and rightly absent.
    if (!path.includes('node_modules/') || entry.optional) continue;
    if (!entry.link && installed[path]?.version !== entry.version)
      return `${path} is not at ${entry.version}`;
    if (!existsSync(join(root, path))) return `${path} is missing`;
  }
  if (!pinnedNode()) return 'the pinned Node is missing';
  return undefined;
}

function npm(args) {
  const script = process.env.npm_execpath;
  const environment = { ...process.env };
  // Development dependencies are the product here: the build and the pinned Node are among them.
  delete environment.NODE_ENV;
  const options = { cwd: root, env: environment, stdio: ['ignore', 'inherit', 'inherit'] };
  if (script?.endsWith('.js') || script?.endsWith('.cjs'))
    return spawnSync(process.execPath, [script, ...args], options);
  return spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
}

/** Installs what package-lock.json says, unless it is there already. Throws with what to do when it fails. */
export function install() {
  const reason = whyInstall();
  if (!reason) return false;
  const start = Date.now();
  console.log(`Installing packages (${reason}); this is the only step that needs the network …`);
  const result = npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
  if (result.error) throw new Error(`npm could not be started: ${result.error.message}`);
  if (result.status !== 0)
    throw new Error(`npm ci ended with exit code ${result.status}; its message is above`);
  // Where install scripts are not allowed, npm leaves the pinned Node without its binary.
  if (!pinnedNode()) npm(['rebuild', 'node', '--loglevel=error']);
  if (!pinnedNode())
    throw new Error(
      `node_modules/node has no binary and Node ${process.versions.node} is too old; allowed: 22.18 or newer. ` +
        'Allow the install script of the package `node` (npm rebuild node) or install Node 24.',
    );
  console.log(`Installed in ${Math.round((Date.now() - start) / 1000)} s.`);
  return true;
}
