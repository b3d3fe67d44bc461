// `npm run pack:gpu [-- --bench]`: everything that a bare x86-64 Linux machine with a GPU needs to run `saccade`
// and the benchmarks, as a few archives in .gpu/ (ignored by git) with a run script. Copy .gpu/ (and .gl/) there and
//   bash .gpu/run.sh saccade check --all
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const folder = join(root, '.gpu');
const drivers = join(root, '.gl');
/** The machines we borrow take at most this much beside the repository. */
const LIMIT_BYTES = 64 * 2 ** 20;
/** Packages that measuring does not need: pages, and image files for `saccade run --image`. */
const LEFT_OUT = new Set(['react', 'sharp']);

const driverNeeds = [
  'libegl1',
  'libglvnd0',
  'libgl1',
  'libglx0',
  'libx11-6',
  'libxext6',
  'libxcb1',
  'libxau6',
  'libxdmcp6',
  'libbsd0',
  'libmd0',
];

const withBench = process.argv.includes('--bench');

function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26, ...options });
  if (result.status !== 0) {
    throw new Error(`${command} ${args.join(' ')} failed: ${result.error?.message ?? result.stderr.trim()}`);
  }
  return result.stdout.trim();
}

/** Folders below node_modules that the given workspaces need at run time, by the lock file. */
function runtimeModules(workspaces: readonly string[]): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<
      string,
      { dependencies?: Record<string, string>; optionalDependencies?: Record<string, string>; link?: boolean }
    >;
  };
  const found = new Set<string>();
  const visit = (from: string) => {
    const { dependencies = {}, optionalDependencies = {} } = packages[from] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (LEFT_OUT.has(name)) continue;
      // Node's own search: the nearest node_modules upwards.
      let base = from;
      let place = `${base ? `${base}/` : ''}node_modules/${name}`;
      while (!packages[place] && base !== '') {
        base = base.includes('/node_modules/') ? base.slice(0, base.lastIndexOf('/node_modules/')) : '';
        place = `${base ? `${base}/` : ''}node_modules/${name}`;
      }
      if (!packages[place] || found.has(place) || !existsSync(join(root, place))) continue;
      found.add(place);
      if (!packages[place].link) visit(place);
    }
  };
  for (const workspace of workspaces) visit(workspace);
  return [...found].sort();
}

function archive(name: string, args: readonly string[], cwd = root): void {
  const path = join(folder, name);
  run('tar', ['-cJf', path, ...args], { cwd, env: { ...process.env, XZ_OPT: '-T0 -6' } });
  console.log(`${name}: ${(statSync(path).size / 2 ** 20).toFixed(1)} MiB`);
}

/** Node's own binary takes the longest to pack and changes least. */
function packNode(): void {
  const binary = join(root, 'node_modules/node/bin/node');
  const version = run(binary, ['--version']);
  const stamp = join(folder, 'node.version');
  if (existsSync(join(folder, 'node.txz')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === version)
    return;
  const copy = join(folder, 'node');
  run('cp', [binary, copy]);
  // Debug symbols are a fifth of it; without binutils they travel along.
  spawnSync('strip', ['--strip-unneeded', copy]);
  chmodSync(copy, 0o755);
  archive('node.txz', ['node'], folder);
  run('rm', [copy]);
  writeFileSync(stamp, version);
}

function packModules(): void {
  const modules = runtimeModules(['packages/attention', 'packages/papers', 'packages/cli']);
  const links = modules.filter((path) => path.includes('@saccade/')).concat('node_modules/saccade-cli');
  const own = modules.filter((path) => !links.includes(path));
  // Dawn for other systems, sources and declarations are most of the bytes and none of the use.
  const exclude = [
    'dist/darwin-*',
    'dist/win32-*',
    'dist/linux-arm64',
    '*.d.ts',
    '*.d.cts',
    '*.d.mts',
    '*.map',
    'zod/src',
  ];
  const args = exclude.map((pattern) => `--exclude=${pattern}`);
  archive('modules.txz', [...args, ...own, ...links]);
  console.log(`  ${own.map((path) => path.replace(/^.*node_modules\//, '')).join(', ')}`);
}

function packSources(): void {
  // What git knows or would know, so nobody's data goes along; and the built WASM, which git does not know.
  const listed = run('git', [
    'ls-files',
    '-co',
    '--exclude-standard',
    'packages',
    'bench',
    'scripts',
    'results',
    'package.json',
    'tsconfig.json',
  ]);
  const sources = listed.split('\n').filter((path) => path !== '' && existsSync(join(root, path)));
  const built = (readdirSync(join(root, 'packages/attention'), { recursive: true }) as string[])
    .filter((path) => path.endsWith('.wasm') && !path.includes('node_modules'))
    .map((path) => `packages/attention/${path}`)
    .filter((path) => !sources.includes(path));
  if (built.length === 0 && !sources.some((path) => path.endsWith('.wasm')))
    console.log('  no .wasm file: build it with `npm run build -w packages/attention` to measure that tier');
  const list = join(folder, 'sources.list');
  writeFileSync(list, [...sources, ...built].join('\n'));
  archive('sources.txz', ['-T', list]);
  run('rm', [list]);
}

function packBench(): void {
  if (!existsSync(join(root, 'bench/node_modules')))
    throw new Error('bench/node_modules is missing; npm run bench brings the peers');
  // Binaries of other systems, declarations, other forms of the same code, and what only browsers run.
  const wanted = (readdirSync(join(root, 'bench/node_modules'), { recursive: true }) as string[])
    .filter(
      (path) =>
        !/\/(darwin|win32|arm64)\/|\.d\.[cm]?ts$|\.(map|md)$|^\.bin|onnxruntime-web\/|^@types/.test(path),
    )
    .filter(
      (path) => !/^@tensorflow\/[^/]+\/(src|dist)\//.test(path) || /dist\/[^/]+\.(node\.js|wasm)$/.test(path),
    )
    .filter((path) => lstatSync(join(root, 'bench/node_modules', path)).isFile());
  const list = join(folder, 'bench.list');
  writeFileSync(list, wanted.map((path) => `bench/node_modules/${path}`).join('\n'));
  archive('bench.txz', ['-T', list]);
  run('rm', [list]);
}

/** The Vulkan loader, for a machine that has the driver but not the loader. Needs apt here; without it this step is left out. */
function fetchLoader(): void {
  mkdirSync(drivers, { recursive: true });
  if (readdirSync(drivers).some((name) => name.startsWith('libvulkan1'))) return;
  if (spawnSync('apt-get', ['--version']).status !== 0) {
    console.log('no apt-get here: bring libvulkan1 as a .deb into .gl/ if the GPU machine lacks it');
    return;
  }
  const lists = '/tmp/saccade-apt-amd64';
  mkdirSync(join(lists, 'partial'), { recursive: true });
  const options = ['-oAPT::Architecture=amd64', '-oAPT::Architectures=amd64', `-oDir::State::Lists=${lists}`];
  run('apt-get', [...options, 'update', '-q']);
  // NVIDIA's Vulkan driver loads GLX and X11 libraries even without a display.
  run('apt-get', [...options, 'download', 'libvulkan1', ...driverNeeds], { cwd: drivers });
}

const runScript = `#!/usr/bin/env bash
# Unpacks Saccade beside nothing else and runs one command in it: bash .gpu/run.sh saccade devices
# SACCADE_GPU_DIR: where to (default /tmp/saccade). Results come back as $OUT/results.tgz when OUT is set.
set -euo pipefail
here="$(cd "$(dirname "\${BASH_SOURCE[0]}")" && pwd)"
checkout="$(dirname "$here")"
target="\${SACCADE_GPU_DIR:-/tmp/saccade}"
if ! ldconfig -p | grep -q 'libvulkan\\.so\\.1'; then
  for package in "$checkout"/.gl/*.deb; do [ -e "$package" ] && dpkg -x "$package" /; done
  ldconfig
fi
mkdir -p "$target/bin"
[ -x "$target/bin/node" ] || tar -xJf "$here/node.txz" -C "$target/bin"
for part in modules sources bench; do
  if [ -e "$here/$part.txz" ]; then tar -xJf "$here/$part.txz" -C "$target"; fi
done
# Where the pack lies in a checkout, the checkout's own sources are newer.
if [ -d "$checkout/packages" ] && [ "$checkout" != "$target" ]; then
  for part in packages bench scripts results package.json; do
    if [ -e "$checkout/$part" ]; then cp -r "$checkout/$part" "$target/"; fi
  done
fi
nvidia=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -e "$nvidia" ] && [ -z "\${VK_DRIVER_FILES:-}" ]; then export VK_DRIVER_FILES="$nvidia"; fi
export XDG_RUNTIME_DIR="\${XDG_RUNTIME_DIR:-/tmp}" SACCADE_COMMIT="\${SACCADE_COMMIT:-$(cat "$here/commit")}"
export PATH="$target/bin:$PATH"
saccade() { node "$target/packages/cli/bin/saccade.mjs" "$@"; }
cd "$target"
status=0
"$@" || status=$?
if [ -n "\${OUT:-}" ]; then
  found=()
  for part in results bench/results; do if [ -e "$part" ]; then found+=("$part"); fi; done
  if [ "\${#found[@]}" -gt 0 ]; then tar -czf "$OUT/results.tgz" "\${found[@]}"; fi
fi
exit "$status"
`;

try {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      `this machine is ${process.platform} ${process.arch}; allowed: linux x64, whose binaries are packed`,
    );
  mkdirSync(folder, { recursive: true });
  packNode();
  packModules();
  packSources();
  if (withBench) packBench();
  const changed = run('git', ['status', '--porcelain']) === '' ? '' : '+changes';
  writeFileSync(join(folder, 'commit'), `${run('git', ['rev-parse', '--short=12', 'HEAD'])}${changed}\n`);
  writeFileSync(join(folder, 'run.sh'), runScript);
  fetchLoader();
  const total = [folder, drivers].reduce((sum, path) => {
    return sum + readdirSync(path).reduce((bytes, name) => bytes + statSync(join(path, name)).size, 0);
  }, 0);
  console.log(
    `.gpu and .gl: ${(total / 2 ** 20).toFixed(1)} MiB; run there: bash .gpu/run.sh saccade devices`,
  );
  if (total > LIMIT_BYTES)
    throw new Error(`.gpu and .gl are ${total} bytes; allowed: at most ${LIMIT_BYTES}`);
} catch (error) {
  console.error(`pack:gpu: ${(error as Error).message}`);
  process.exitCode = 1;
}
