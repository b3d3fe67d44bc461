import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the lock file says of the process that holds a data directory. */
interface Holder {
  pid: number;
  /** Start time of the process, where the system tells: pids are used again. */
  started: string | null;
  address: string | null;
}

/** Another living process uses the data directory. */
export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse';
  /** Where that process serves, once it does. */
  readonly address: string | null;

  constructor(message: string, address: string | null) {
    super(message);
    this.address = address;
  }
}

/**
 * Takes the data directory for this process. PGlite lets a second process open the same files and then corrupts them,
 * so the lock is ours. A lock left by a process that is gone is taken over.
 * @returns a function that writes the address into the lock, and one that gives the directory back
 * @throws DirectoryInUse that names the process and its address
 */
export function takeDirectory(directory: string): { announce(address: string): void; release(): void } {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, 'saccade.lock');
  const draft = join(directory, `saccade.lock.${process.pid}`);
  const mine: Holder = { pid: process.pid, started: startOf(process.pid), address: null };
  writeFileSync(draft, JSON.stringify(mine));
  try {
    // A link appears whole or not at all: nobody reads a lock that is half written.
    while (!linked(draft, path)) {
      const holder = readHolder(path);
      if (holder && isAlive(holder)) throw inUse(directory, holder);
      // Two may find the same stale lock. Who moves away a lock that is alive after all puts it back.
      renameSync(path, `${draft}.stale`);
      const moved = readHolder(`${draft}.stale`);
      if (moved && isAlive(moved)) {
        linked(`${draft}.stale`, path);
        throw inUse(directory, moved);
      }
    }
  } finally {
    rmSync(draft, { force: true });
    rmSync(`${draft}.stale`, { force: true });
  }
  return {
    announce: (address) => {
      writeFileSync(draft, JSON.stringify({ ...mine, address }));
      renameSync(draft, path);
    },
    release: () => {
      if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
    },
  };
}

/** False where the target is there already. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function inUse(directory: string, { pid, address }: Holder): DirectoryInUse {
  return new DirectoryInUse(
    `the data directory ${directory} is in use by process ${pid}${address ? `, which serves ${address}` : ''}; ` +
      'stop it, or name another directory in SACCADE_DATA',
    address,
  );
}

function readHolder(path: string): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8'));
    return Number.isInteger(holder.pid) ? holder : undefined;
  } catch {
    return undefined; // gone, or cut short by a crash: nobody holds it
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = startOf(pid);
  return started === null || now === null || started === now;
}

/** Field 22 of /proc/<pid>/stat: clock ticks between boot and the start of the process. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
