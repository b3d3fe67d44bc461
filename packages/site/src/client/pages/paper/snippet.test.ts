import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { papers } from '@saccade/papers';
import { expect, test } from 'vitest';
import { snippet } from './snippet.ts';

const site = join(import.meta.dirname, '../../../..');

test.each(papers.map(({ slug }) => slug))('%s: the code on the page runs as it stands', async (slug) => {
  // On the reference device: what `auto` finds on a machine is tested with the devices.
  const code = snippet(slug).replace("'auto'", "'reference'");
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module-typescript', '-e', code],
    { cwd: site },
  );
  expect(stdout).toContain('1, 4, 256, 32');
  expect(stdout).not.toContain('NaN');
});
