import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ArgumentError } from '@saccade/attention';
import { type Context, printJson } from '../console.ts';

export interface RoleOptions {
  data?: string;
}

/**
 * `saccade role`: gives the account of an address a role, and makes the account where there is none; the first admin of
 * a site comes from here. Works while the site serves. Returns the exit code.
 */
export async function grantRole(
  context: Context,
  email: string,
  role: string,
  { data }: RoleOptions,
): Promise<number> {
  const program = fileURLToPath(new URL('../../../site/src/server/role.ts', import.meta.url));
  if (!existsSync(program))
    throw new ArgumentError('saccade', 'role', 'outside a clone of the repository', 'inside one');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, email, role], {
    env: { ...process.env, ...(data !== undefined && { SACCADE_DATA: data }) },
    encoding: 'utf8',
  });
  const said = stderr.trim().replace(/^saccade: /, '');
  if (status === 2) {
    const { argument, given, allowed } = JSON.parse(said) as Record<'argument' | 'given' | 'allowed', string>;
    throw new ArgumentError('saccade', argument, given, allowed);
  }
  if (status !== 0) throw new Error(said);
  if (context.json) printJson(context, { email, role });
  else context.console.out(stdout);
  return 0;
}
