import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ArgumentError } from '@saccade/attention';
import type { Context } from '../console.ts';

export interface ServeOptions {
  port?: string;
  host?: string;
  data?: string;
}

/** `saccade serve`: the site, as `npm start` runs it. Ends when the server ends. */
export async function serve(context: Context, options: ServeOptions): Promise<number> {
  const start = fileURLToPath(new URL('../../../../scripts/start.mjs', import.meta.url));
  if (!existsSync(start))
    throw new ArgumentError('saccade', 'serve', 'outside a clone of the repository', 'inside one');
  const { port, host, data } = options;
  if (port !== undefined && !(/^\d+$/.test(port) && Number(port) <= 65535))
    throw new ArgumentError('saccade', '--port', port, 'a number from 0 to 65535');
  const server = spawn(process.execPath, [start], {
    stdio: 'inherit',
    env: {
      ...process.env,
      ...(port !== undefined && { PORT: port }),
      ...(host !== undefined && { HOST: host }),
      ...(data !== undefined && { SACCADE_DATA: data }),
    },
  });
  context.signal.addEventListener('abort', () => server.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.on('exit', (code, signal) =>
      resolve(code ?? (signal === 'SIGTERM' || signal === 'SIGINT' ? 0 : 1)),
    );
  });
}
