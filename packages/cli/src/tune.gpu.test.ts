import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { main } from './main.ts';

const folder = mkdtempSync(join(tmpdir(), 'saccade-tune-command-'));
beforeAll(() => vi.stubEnv('XDG_CACHE_HOME', folder));
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

async function saccade(...args: string[]) {
  let out = '';
  let error = '';
  const code = await main(args, {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    interactive: false,
  });
  return { code, out, error };
}

const family = ['--head-dim', '4', '--dtype', 'f32', '--mask', 'dense', '--tokens', '16', '--heads', '1'];

test('tune keeps what it finds, passes a broken cache by with a note, and says where', async () => {
  const file = join(folder, 'saccade', 'tiles.json');
  mkdirSync(join(folder, 'saccade'));
  writeFileSync(file, 'not JSON');
  const told = await saccade('tune', '--tier', 'portable', ...family);
  expect(told.code).toBe(0);
  expect(told.error).toMatch(
    /^1\/1 f32, headDim 4, dense, 16 tokens, 1 heads\nthe tuned tiles in .* not used/,
  );
  expect(told.out).toContain(`kept in ${file}; attend() uses it from now on`);
  const name = 'portable, f32, headDim 4, dense, by 16 queries, 16-63 tokens, 1-7 heads';
  expect(told.out).toContain(name);
  const [entries] = Object.values(JSON.parse(readFileSync(file, 'utf8')).adapters);
  expect(Object.keys(entries as object)).toEqual([name]);
});

test('a place that cannot be written is a failure; --json has the result all the same', async () => {
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'saccade', 'tiles.json'));
  const told = await saccade('tune', '--tier', 'portable', ...family, '--json');
  expect([told.code, told.error]).toEqual([1, '']);
  const result = JSON.parse(told.out);
  expect(result).toMatchObject({ device: 'webgpu', tier: 'portable', kept: false });
  expect(result.note).toMatch(/^the result cannot be kept in/);
  expect(result.families[0].timed.length).toBeGreaterThan(0);
});

test.each([
  [['--device', 'wasm'], /device is a device of the kind wasm; allowed: a WebGPU device/],
  [['--head-dim', '64,x'], /--head-dim is 64,x; allowed: whole numbers/],
  [['--head-dim', '0'], /headDims is 0; allowed: integers from 1/],
  [['--dtype', 'f64'], /dtypes is f64; allowed: f32, f16/],
  [['--mask', 'window'], /masks is window; allowed: dense, causal/],
])('tune refuses %s as bad usage', async (args, words) => {
  const told = await saccade('tune', ...args);
  expect([told.code, told.out]).toEqual([2, '']);
  expect(told.error).toMatch(words);
});
