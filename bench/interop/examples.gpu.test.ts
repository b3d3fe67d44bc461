import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unaryModel } from '../onnx-model.ts';
import { peersAreInstalled } from '../peers/installed.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/interop.md'), 'utf8');
const examples = [...page.matchAll(/^## (.+?)\n[\s\S]*?```ts\n([\s\S]*?)```\n```text\n([\s\S]*?)```/gm)].map(
  ([, name, code, prints]) => ({ name, code, prints }),
);
/** Inside bench/, so that Node finds the peers. */
const folder = join(import.meta.dirname, '../.cache/examples');

beforeAll(() => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'tanh.onnx'), unaryModel('Tanh', [1, 2, 8, 4]));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program as a reader would; the last line ends it, since open devices keep Node alive. */
function run(code: string): Promise<{ printed: string; said: string; status: number | null }> {
  const program = `${code}\nprocess.exit(0);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], { cwd: folder });
  let [printed, said] = ['', ''];
  child.stdout.on('data', (bytes) => {
    printed += bytes;
  });
  child.stderr.on('data', (bytes) => {
    said += bytes;
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ printed, said, status })));
}

describe.skipIf(!peersAreInstalled)('docs/interop.md (peers: npm run bench)', () => {
  test('has an example for each library of its table', () => {
    expect(examples.map(({ name }) => name)).toEqual([
      'Typed arrays',
      'Raw GPUBuffers',
      'jax-js',
      'onnxruntime-web',
      'onnxruntime-node',
      'TensorFlow.js',
    ]);
  });

  test.each(examples)('$name: the example prints what the page says', async ({ code, prints }) => {
    const { printed, said, status } = await run(code);
    // a library announces its registrations on the same stream
    expect({ printed: printed.split('\n').slice(-2).join('\n'), status }, said).toEqual({
      printed: prints,
      status: 0,
    });
  });
});
