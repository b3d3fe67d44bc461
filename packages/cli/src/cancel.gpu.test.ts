import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const bin = fileURLToPath(new URL('../bin/saccade.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'saccade-cancel-'));
afterAll(() => rmSync(folder, { recursive: true }));

// Kernel claims take minutes on a software adapter, so this one is always in the middle of something.
test('Ctrl-C ends a measurement at once and leaves no half of a ledger', async () => {
  const results = join(folder, 'results');
  const child = spawn(
    process.execPath,
    [bin, 'check', 'power-attention', '--device', 'webgpu', '--results', results],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let said = '';
  const measuring = new Promise<void>((resolve) => {
    child.stderr.on('data', (text) => {
      said += text;
      if (/power-attention \d+\/\d+/.test(said)) resolve();
    });
  });
  const ended = once(child, 'exit');
  await Promise.race([measuring, ended]);
  expect(child.exitCode).toBeNull();
  const asked = performance.now();
  child.kill('SIGINT');
  const [code, signal] = await ended;
  expect([code, signal]).toEqual([1, null]);
  expect(said).toContain('cancelled; nothing was left half-written');
  expect(performance.now() - asked).toBeLessThan(20_000);
  expect(existsSync(results)).toBe(false);
});
