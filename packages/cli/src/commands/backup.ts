import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ArgumentError } from '@saccade/attention';
import { type Context, printJson } from '../console.ts';

export interface BackupOptions {
  data?: string;
  replace?: boolean;
}

/** `saccade backup` and `saccade restore`: the site's database to a file and back, on either engine. */
export function backUp(
  context: Context,
  task: 'backup' | 'restore',
  file: string,
  { data, replace }: BackupOptions,
): void {
  const program = fileURLToPath(new URL('../../../site/src/server/backup-main.ts', import.meta.url));
  if (!existsSync(program))
    throw new ArgumentError('saccade', task, 'outside a clone of the repository', 'inside one');
  if (task === 'restore' && !existsSync(file)) throw new ArgumentError('saccade', 'file', file, 'a backup');
  const { status, stderr } = spawnSync(
    process.execPath,
    [program, task, file, ...(replace ? ['--replace'] : [])],
    {
      env: { ...process.env, ...(data !== undefined && { SACCADE_DATA: data }) },
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(stderr.trim().replace(/^saccade: /, ''));
  if (context.json) printJson(context, { [task]: file });
  else context.console.out(task === 'backup' ? `Wrote ${file}.\n` : `Restored ${file}.\n`);
}
