import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { copyTemplate } from './template.ts';

/** A server of the built site as a process of its own, as `npm start` runs it. */
export interface Started {
  address: string;
  process: ChildProcess;
  /** All that the server printed. */
  said(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts the built site on a free port, unless one is given, on the embedded database, unless `settings` name another;
 * where its data directory is not there, it finds the 41 papers in it, as after a first start.
 * Rejects with what the server printed if it exits first.
 */
export async function start(
  data: string,
  results: string,
  port = '0',
  settings: Record<string, string> = {},
): Promise<Started> {
  if (!settings.DATABASE_URL && !existsSync(data)) await copyTemplate(join(data, 'postgres'), true);
  const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts')], {
    env: {
      ...process.env,
      // As scripts/start.mjs sets them; vitest's own NODE_ENV would bring React's form for developers.
      NODE_ENV: 'production',
      NODE_COMPILE_CACHE: join(import.meta.dirname, '../../../../../.cache/compile'),
      DATABASE_URL: '',
      PORT: port,
      HOST: '127.0.0.1',
      SACCADE_OFFLINE: '1',
      SACCADE_DATA: data,
      SACCADE_RESULTS: results,
      SACCADE_BENCH: join(results, '../bench'),
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return new Promise((resolve, reject) => {
    let said = '';
    const hear = (bytes: Buffer) => {
      said += bytes;
      const address = /Saccade serves (\S+)/.exec(said)?.[1];
      if (!address) return;
      resolve({
        address,
        process: child,
        said: () => said,
        stop: (signal = 'SIGTERM') => {
          child.kill(signal);
          return exited;
        },
      });
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    exited.then((code) => reject(new Error(`exit code ${code}: ${said}`)));
  });
}
