// A PostgreSQL server for tests, in a temporary directory, on a free port. Plain JavaScript for any Node from 18 on.
// `node scripts/postgres.mjs` starts one and prints TEST_DATABASE_URL until it is interrupted.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aptInstall, isDebian } from './system.mjs';

/** Folder of initdb and postgres, the newest first; undefined where there is none. */
function findBinaries() {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian)
    ? readdirSync(debian)
        .filter((name) => /^\d+$/.test(name))
        .sort((a, b) => b - a)
    : [];
  const folders = versions.map((version) => join(debian, version, 'bin'));
  folders.push(...(process.env.PATH ?? '').split(':'));
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))));
}

/** PostgreSQL refuses to run as root, so root lends it the package's own user. */
function owner() {
  if (process.getuid?.() !== 0) return {};
  const id = (flag) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  return { uid: id('-u'), gid: id('-g') };
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Starts a server, installing Debian's package first where this is root's to do.
 * @returns its address for TEST_DATABASE_URL, and what stops it and removes its files
 * @throws Error that says why there is none
 */
export async function startPostgres() {
  if (process.platform === 'win32') throw new Error('not tried on Windows');
  let binaries = findBinaries();
  if (!binaries && isDebian() && process.getuid?.() === 0) {
    aptInstall(['postgresql']);
    binaries = findBinaries();
  }
  if (!binaries) throw new Error('no PostgreSQL found; install it, or name a server in TEST_DATABASE_URL');
  const who = owner();
  if (who.uid !== undefined && !(who.uid > 0)) throw new Error('this is root, and there is no user postgres');
  const folder = mkdtempSync(join(tmpdir(), 'saccade-postgres-'));
  const password = randomBytes(12).toString('hex');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, password);
  if (who.uid !== undefined) for (const path of [folder, passwordFile]) chownSync(path, who.uid, who.gid);
  const data = join(folder, 'data');
  const initialised = spawnSync(
    join(binaries, 'initdb'),
    [
      ...['-D', data, '-U', 'saccade', '--encoding=UTF8', '--locale=C', '--no-sync'],
      ...['--auth=scram-sha-256', `--pwfile=${passwordFile}`],
    ],
    { ...who, cwd: folder, encoding: 'utf8' },
  );
  if (initialised.status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`initdb failed: ${initialised.stderr.trim()}`);
  }
  const port = await freePort();
  // A file, not a pipe: who waits for tests in the foreground reads no pipe, and a full one would stop the server.
  const log = join(folder, 'log');
  const output = openSync(log, 'w');
  const server = spawn(
    join(binaries, 'postgres'),
    [
      ...['-D', data, '-p', String(port), '-k', folder, '-c', 'listen_addresses=127.0.0.1'],
      ...['-c', 'fsync=off', '-c', 'max_connections=200', '-c', 'shared_buffers=64MB'],
    ],
    { ...who, cwd: folder, stdio: ['ignore', 'ignore', output] },
  );
  closeSync(output);
  const ended = new Promise((resolve) => server.once('exit', resolve));
  const stop = async () => {
    // SIGINT ends its sessions; SIGTERM would wait for them.
    server.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  while (!readFileSync(log, 'utf8').includes('ready to accept connections')) {
    const pause = new Promise((resolve) => setTimeout(resolve, 100, 'pause'));
    if ((await Promise.race([ended, pause])) === 'pause') continue;
    const said = readFileSync(log, 'utf8').trim();
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`postgres ended at once: ${said}`);
  }
  return { url: `postgresql://saccade:${password}@127.0.0.1:${port}/postgres`, stop };
}

if (process.argv[1] === import.meta.filename) {
  const { url, stop } = await startPostgres();
  console.log(`TEST_DATABASE_URL=${url}`);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop().then(() => process.exit(0)));
}
