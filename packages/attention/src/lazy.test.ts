import { expect, test } from 'vitest';
import { lazily } from './lazy.ts';

test('loads once, and again after a failure', async () => {
  let loads = 0;
  const load = lazily(async () => {
    loads++;
    if (loads === 1) throw new Error('no network');
    return loads;
  });
  await expect(load()).rejects.toThrow('no network');
  expect(await Promise.all([load(), load()])).toEqual([2, 2]);
  expect(await load()).toBe(2);
});
