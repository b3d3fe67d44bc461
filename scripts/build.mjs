import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { childEnvironment, root } from './install.mjs';

// What a build reads and makes. A folder stands for all files in it; tests and outputs do not count as sources.
const builds = {
  wasm: {
    workspace: 'packages/attention',
    sources: ['packages/attention/assembly', 'packages/attention/package.json', 'package-lock.json'],
    says: 'the WASM engine',
  },
  site: {
    workspace: 'packages/site',
    sources: ['packages/site', 'packages/papers', 'packages/attention', 'package-lock.json', 'tsconfig.json'],
    outputs: ['packages/site/build/server/index.js', 'packages/site/build/client/assets'],
    says: 'the site',
  },
};

const skipped = new Set([
  'node_modules',
  'build',
  'dist',
  '.cache',
  '.react-router',
  'data',
  'test-artifacts',
]);

function* files(path) {
  if (!existsSync(join(root, path))) return;
  if (statSync(join(root, path)).isFile()) {
    yield path;
    return;
  }
  for (const entry of readdirSync(join(root, path), { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    if (skipped.has(entry.name) || /\.(test|md)\b/.test(entry.name)) continue;
    if (entry.isDirectory()) yield* files(`${path}/${entry.name}`);
    else if (entry.isFile()) yield `${path}/${entry.name}`;
  }
}

/** Digest of the names and bytes of a build's sources: touching a file or switching branches back and forth costs nothing. */
function digest(sources) {
  const hash = createHash('sha256');
  for (const source of sources)
    for (const file of files(source))
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(root, file)))
        .update('\0');
  return hash.digest('hex');
}

/** Output files recorded by the last build that are gone make it stale as much as changed sources do. */
function isFresh(stamp, now) {
  if (!existsSync(stamp)) return false;
  const { digest: then, outputs } = JSON.parse(readFileSync(stamp, 'utf8'));
  return then === now && outputs.every((path) => existsSync(join(root, path)));
}

/** Builds `wasm` or `site` if its sources changed since the last time. Throws when the build fails. */
export function build(name) {
  const { workspace, sources, outputs, says } = builds[name];
  const stamp = join(root, '.cache/build', `${name}.json`);
  const now = digest(sources);
  if (isFresh(stamp, now)) return false;
  const { scripts } = JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8'));
  if (!scripts?.build) throw new Error(`${workspace}/package.json has no build script`);
  const start = Date.now();
  console.log(`Building ${says} …`);
  const command = ['run', '--silent', 'build', '-w', workspace];
  const result = spawnSync('npm', command, {
    cwd: root,
    // Tests set NODE_ENV to test, and React would come in its development form.
    env: childEnvironment({ NODE_ENV: 'production' }),
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
    throw new Error(`building ${says} ended with ${result.error?.message ?? `exit code ${result.status}`}`);
  }
  const made = outputs ?? wasmOutputs();
  const missing = made.find((path) => !existsSync(join(root, path)));
  if (missing || made.length === 0)
    throw new Error(`building ${says} did not make ${missing ?? 'a .wasm file'}`);
  mkdirSync(join(root, '.cache/build'), { recursive: true });
  writeFileSync(stamp, JSON.stringify({ digest: now, outputs: made }));
  console.log(`Built ${says} in ${Math.round((Date.now() - start) / 1000)} s.`);
  return true;
}

function wasmOutputs() {
  const made = [];
  const look = (path) => {
    if (!existsSync(join(root, path))) return;
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      if (entry.name === 'node_modules') continue;
      if (entry.isDirectory()) look(`${path}/${entry.name}`);
      else if (entry.name.endsWith('.wasm')) made.push(`${path}/${entry.name}`);
    }
  };
  look('packages/attention');
  return made;
}
