import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { freshReadme } from './readme.ts';

const root = resolve(import.meta.dirname, '..');
const text = readFileSync(join(root, 'README.md'), 'utf8');

test('the tables of README.md are fresh (npm run readme)', () => {
  expect(text).toBe(freshReadme());
});

test('the links of README.md and its siblings lead to files', () => {
  for (const page of ['README.md', 'CONTRIBUTING.md', 'packages/papers/ADDING.md', 'docs/plans.md']) {
    const body = readFileSync(join(root, page), 'utf8');
    const targets = [...body.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target]) => target);
    const local = targets.filter((target) => !/^https?:/.test(target));
    expect(local.length).toBeGreaterThan(0);
    for (const target of local)
      expect([page, target, existsSync(resolve(root, page, '..', target))]).toEqual([page, target, true]);
  }
});

test('every npm script that the pages name exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const page of ['README.md', 'CONTRIBUTING.md', 'packages/papers/ADDING.md']) {
    const named = [...readFileSync(join(root, page), 'utf8').matchAll(/npm run ([a-z:-]+)/g)].map(
      ([, name]) => name,
    );
    expect(named.filter((name) => !scripts[name])).toEqual([]);
  }
});

// Examples are run, so that they stay true.
test.each([
  ['README.md', 'Float32Array(524288)'],
  ['docs/plans.md', '8192 true'],
])('the library example of %s runs', (page, prints) => {
  const [, code] = readFileSync(join(root, page), 'utf8').match(/```ts\n([\s\S]*?)```/)!;
  const program = code.replace('openDevice()', "openDevice('wasm')");
  const result = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: join(root, 'packages/cli'),
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(result.stderr).toBe('');
  expect(result.stdout).toContain(prints);
  expect(result.status).toBe(0);
});
