import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatPaper, functionName, makePaper } from './new-paper.ts';

const root = resolve(import.meta.dirname, '..');
let folder: string;
let papers: string;

// Beside the real papers in all but place: the kit is the real one, and packages are found upwards.
beforeAll(() => {
  mkdirSync(join(root, '.cache'), { recursive: true });
  folder = mkdtempSync(join(root, '.cache/new-paper-'));
  papers = join(folder, 'packages/papers/src');
  mkdirSync(papers, { recursive: true });
  symlinkSync(join(root, 'packages/papers/src/kit'), join(papers, 'kit'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (script: string, ...args: string[]) =>
  spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, NO_COLOR: '1' },
  });

describe('a new paper', () => {
  test('has the files of a paper, which compile and are formatted', () => {
    const made = makePaper(papers, 'paper-forty-two', 'Paper Forty-Two');
    expect(readdirSync(join(papers, 'paper-forty-two')).sort()).toEqual([
      'README.md',
      'claims.ts',
      'lab.tsx',
      'mechanism.gpu.test.ts',
      'mechanism.ts',
      'paper.ts',
      'reference.test.ts',
      'reference.ts',
    ]);
    expect(made).toHaveLength(8);
    formatPaper(papers, 'paper-forty-two');
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        include: ['packages/papers/src/paper-forty-two'],
        exclude: [],
      }),
    );
    const types = run('node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json');
    // The rest of the repository has its own type check.
    const complaints = types.stdout.split('\n').filter((line) => line.includes('paper-forty-two/'));
    expect([types.stderr, complaints]).toEqual(['', []]);
    const { stdout, stderr, status } = run(
      'node_modules/@biomejs/biome/bin/biome',
      'check',
      '--vcs-enabled=false',
      `--config-path=${root}`,
      'packages/papers/src/paper-forty-two',
    );
    expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
  });

  test('fails with the questions that its author answers', () => {
    writeFileSync(
      join(folder, 'vitest.config.ts'),
      'export default { test: { include: ["packages/**/reference.test.ts"] } };\n',
    );
    const { stdout, stderr, status } = run('node_modules/vitest/vitest.mjs', 'run', '--root', folder);
    expect(status).toBe(1);
    const says = stdout + stderr;
    for (const question of [
      'Which equations define paper-forty-two?',
      'Which small example',
      'Can a query see no key?',
      'What does the paper report?',
    ])
      expect(says).toContain(question);
  });

  test('is not made twice, nor under a name that is none', () => {
    expect(() => makePaper(papers, 'paper-forty-two')).toThrow('exists');
    for (const slug of ['', 'Fna', '../x', 'a b', '9lives', 'kit'])
      expect(() => makePaper(papers, slug)).toThrow('allowed');
    expect(readdirSync(papers).sort()).toEqual(['kit', 'paper-forty-two']);
  });
});

test('functions carry the method’s name', () => {
  expect(functionName('rectified-spaattn')).toBe('rectifiedSpaattn');
  expect(functionName('lightning-attention-2')).toBe('lightningAttention2');
});
