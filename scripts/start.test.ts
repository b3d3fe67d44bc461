import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
let data: string;
const started: ChildProcess[] = [];

beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), 'saccade-start-'));
});
afterAll(() => {
  for (const child of started)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  rmSync(data, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, 'localhost');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

const script = [process.execPath, join(root, 'scripts/start.mjs')] as const;

/** `npm start`, without npm unless it is asked for, on a data directory of the test's own. */
function start(port: number, [program, ...given]: readonly string[] = script) {
  const child = spawn(program, given, {
    cwd: root,
    env: { ...process.env, PORT: String(port), HOST: 'localhost', SACCADE_DATA: data },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let said = '';
  child.stdout.on('data', (text) => {
    said += text;
  });
  child.stderr.on('data', (text) => {
    said += text;
  });
  return { child, said: () => said, ended: once(child, 'exit') };
}

/** Milliseconds until the feed answers. */
async function firstAnswer(port: number, server: ReturnType<typeof start>): Promise<number> {
  const begun = performance.now();
  for (;;) {
    if (server.child.exitCode !== null)
      throw new Error(`the server ended with ${server.child.exitCode}: ${server.said()}`);
    const answer = await fetch(`http://localhost:${port}/`).catch(() => undefined);
    if (answer) {
      expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('<')]);
      return performance.now() - begun;
    }
    await new Promise((later) => setTimeout(later, 50));
  }
}

const SECOND_START_MS = 5000;

describe('npm start', () => {
  test('serves, keeps its data, answers soon the second time, refuses a second server, and ends when told', async () => {
    const port = await freePort();
    const first = start(port);
    await firstAnswer(port, first);
    expect(first.said()).toContain(`http://localhost:${port}`);

    const rival = start(await freePort());
    const [rivalCode] = await rival.ended;
    expect([rivalCode, rival.said()]).toEqual([1, expect.stringMatching(/process \d+|pid \d+/i)]);

    first.child.kill('SIGTERM');
    expect((await first.ended)[0]).toBe(0);

    // Other tests take the processor as they like: the best of a few starts is what the program needs.
    const waited: number[] = [];
    do {
      const again = start(port);
      waited.push(await firstAnswer(port, again));
      again.child.kill('SIGINT');
      expect((await again.ended)[0]).toBe(0);
    } while (waited.length < 4 && Math.min(...waited) >= SECOND_START_MS);
    expect(Math.min(...waited)).toBeLessThan(SECOND_START_MS);
  }, 240_000);

  test('the server ends with the npm that started it, and gives the data back', async () => {
    const port = await freePort();
    const server = start(port, ['npm', 'start']);
    await firstAnswer(port, server);
    server.child.kill('SIGTERM');
    await server.ended;
    const gone = () =>
      fetch(`http://localhost:${port}/`).then(
        () => false,
        () => true,
      );
    await expect.poll(gone, { timeout: 20_000 }).toBe(true);
    await expect.poll(() => existsSync(join(data, 'saccade.lock')), { timeout: 20_000 }).toBe(false);
  }, 240_000);
});
