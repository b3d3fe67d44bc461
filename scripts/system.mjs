// What the tests need from the machine: a Chromium, and a WebGPU adapter for Node.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findSoftwareDriver, offerSoftwareDriver } from '../packages/cli/bin/software-adapter.mjs';
import { childEnvironment, pinnedNode, root } from './install.mjs';

const browsers = {
  linux: [
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome-stable',
    '/usr/bin/google-chrome',
    '/snap/bin/chromium',
  ],
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ],
  win32: [
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
    'C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe',
    'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
  ],
};

/** Path of a Chromium or Chrome; SACCADE_CHROMIUM wins. Undefined where there is none. */
export function findChromium() {
  const named = process.env.SACCADE_CHROMIUM;
  if (named) {
    if (!existsSync(named))
      throw new Error(`SACCADE_CHROMIUM is ${named}; allowed: the path of an existing browser`);
    return named;
  }
  return (browsers[process.platform] ?? browsers.linux).find((path) => existsSync(path));
}

/** Asks Dawn for an adapter in a process of its own, since a bad Vulkan driver can end the process. */
export function probeAdapter(environment) {
  const code = `import { create } from 'webgpu';
globalThis.gpu = create([]);
globalThis.adapter = await gpu.requestAdapter();
const info = adapter?.info;
process.stdout.write(info ? (info.description || info.vendor) + (info.isFallbackAdapter ? ' (software)' : '') : '');
process.exit(0);`;
  const result = spawnSync(pinnedNode(), ['--input-type=module', '-e', code], {
    cwd: join(root, 'packages/attention'),
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  return { adapter: result.stdout?.trim() || undefined, message: result.stderr?.trim() ?? '' };
}

export function isDebian() {
  if (process.platform !== 'linux' || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}

export function aptInstall(packages) {
  console.log(`Installing ${packages.join(' and ')} with apt-get …`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = {
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 2 ** 20,
  };
  const command = ['install', '-y', '-q', '--no-install-recommends', ...packages];
  const first = spawnSync('apt-get', command, options);
  if (first.status === 0) return;
  // The package lists may be old or absent: refresh them once.
  spawnSync('apt-get', ['update', '-q'], options);
  const second = spawnSync('apt-get', command, options);
  if (second.status !== 0)
    throw new Error(`apt-get install ${packages.join(' ')} failed: ${(second.stderr ?? '').trim()}`);
}

const advice = {
  linux:
    'Install them: on Debian and Ubuntu `apt-get install chromium libvulkan1` (Ubuntu: Google Chrome instead of the snap), ' +
    'on Fedora `dnf install chromium vulkan-loader`, on Arch `pacman -S chromium vulkan-icd-loader`.',
  darwin:
    'Install Google Chrome or Chromium in /Applications; WebGPU in Node uses Metal and needs nothing more.',
  win32: 'Install Google Chrome or Edge; WebGPU in Node uses Direct3D 12 and needs nothing more.',
};

/**
 * Finds Chromium and a WebGPU adapter, installing both on Debian as root, and returns the environment
 * for the tests. Throws with what to install where they cannot be had.
 */
export function prepareSystem() {
  const here = advice[process.platform] ?? advice.linux;
  const look = () => {
    const chromium = findChromium();
    const environment = offerSoftwareDriver(childEnvironment(chromium ? { SACCADE_CHROMIUM: chromium } : {}));
    return { chromium, environment, ...probeAdapter(environment) };
  };
  let found = look();
  if ((!found.chromium || !found.adapter) && isDebian() && process.getuid?.() === 0) {
    aptInstall(['chromium', 'libvulkan1']);
    found = look();
  }
  if (!found.chromium)
    throw new Error(`no Chromium or Chrome found (SACCADE_CHROMIUM names one that lies elsewhere). ${here}`);
  if (!found.adapter)
    throw new Error(
      `Node finds no WebGPU adapter${findSoftwareDriver() ? '' : ' and no software driver'}. ${here}\nDawn says: ${found.message || 'nothing'}`,
    );
  return found;
}
