import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { userCache } from './user-cache.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-cache-'));
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'deep'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
});

test('a text is kept in the user’s cache folder, which is made', async () => {
  const cache = userCache('tiles')!;
  expect(cache.place).toBe(join(folder, 'deep', 'saccade', 'tiles.json'));
  expect(await cache.read()).toBeUndefined();
  await cache.write('first');
  await cache.write('second');
  expect(await userCache('tiles')!.read()).toBe('second');
  expect(readdirSync(join(folder, 'deep', 'saccade'))).toEqual(['tiles.json']);
});

test('a place that cannot be read or written is an error', async () => {
  writeFileSync(join(folder, 'deep'), 'a file where the folder should be');
  await expect(userCache('tiles')!.write('text')).rejects.toThrow(/EEXIST|ENOTDIR/);
  await expect(userCache('tiles')!.read()).rejects.toThrow(/ENOTDIR/);
  rmSync(join(folder, 'deep'));
  mkdirSync(join(folder, 'deep', 'saccade', 'tiles.json'), { recursive: true });
  await expect(userCache('tiles')!.write('text')).rejects.toThrow();
  expect(readdirSync(join(folder, 'deep', 'saccade'))).toEqual(['tiles.json']);
});

test('a relative or empty XDG_CACHE_HOME is passed by', () => {
  for (const value of ['', 'cache']) {
    vi.stubEnv('XDG_CACHE_HOME', value);
    expect(userCache('tiles')!.place.startsWith(homedir())).toBe(true);
  }
});
