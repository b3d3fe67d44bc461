import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

/** A server of the built site as a process of its own, as `npm start` runs it. */
export interface Started {
  address: string;
  process: ChildProcess;
  /** All that the server printed. */
  said(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts the built site on a free port, unless one is given, on the embedded database, unless `settings` name another.
 * Rejects with what the server printed if it exits first.
 */
export function start(
  data: string,
  results: string,
  port = '0',
  settings: Record<string, string> = {},
): Promise<Started> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts')], {
    env: {
      ...process.env,
      DATABASE_URL: '',
      PORT: port,
      HOST: '127.0.0.1',
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
