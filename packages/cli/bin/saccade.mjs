#!/usr/bin/env node
// Plain JavaScript, so that an old Node can read it and hand over to the pinned one.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { offerSoftwareDriver } from './software-adapter.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
// From 22.18 on Node runs our TypeScript as it is.
const canRunSources = major > 22 || (major === 22 && minor >= 18);

// Dawn reads the Vulkan variables when it is loaded, which is later.
offerSoftwareDriver(process.env);

if (canRunSources) {
  // `saccade list | head` closes our output early; that is no error.
  process.stdout.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  const { main } = await import('../src/main.ts');
  const code = await main(process.argv.slice(2));
  // Dawn's threads outlive its devices: leave once everything is written.
  await new Promise((written) => process.stdout.write('', written));
  process.exit(code);
} else {
  const pinned = ['bin/node', 'bin/node.exe', 'node.exe']
    .map((name) => fileURLToPath(new URL(`../../../node_modules/node/${name}`, import.meta.url)))
    .find((path) => existsSync(path));
  if (!pinned) {
    console.error(
      `saccade: Node is ${process.versions.node}; allowed: 22.18 or newer, or the pinned one that \`npm install\` brings`,
    );
    process.exit(2);
  }
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // Ctrl-C reaches the child by itself; a signal sent to us alone does not.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}
