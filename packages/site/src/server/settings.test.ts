import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readSettings } from './settings.ts';

test('without variables it is localhost:4173 and ./data', () => {
  expect(readSettings({})).toEqual({
    port: 4173,
    host: 'localhost',
    data: resolve('data'),
    results: undefined,
  });
});

test.each([
  [{ PORT: 'abc' }, 'PORT is abc; allowed: '],
  [{ PORT: '70000' }, 'PORT is 70000; allowed: at most 65535'],
  [{ PORT: '-1' }, 'PORT is -1; allowed: at least 0'],
  [{ PORT: '1.5' }, 'PORT is 1.5; allowed: a whole number'],
  [{ HOST: '' }, 'HOST is ; allowed: a host name or address'],
])('%j is refused with what is allowed', (environment, message) => {
  expect(() => readSettings(environment)).toThrow(message);
});
