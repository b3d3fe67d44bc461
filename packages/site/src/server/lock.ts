import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  const mine: Holder = { pid: process.pid, started: startOf(process.pid), address: null };
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, JSON.stringify(mine), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = readHolder(path);
    if (holder && isAlive(holder)) {
      throw new DirectoryInUse(
        `the data directory ${directory} is in use by process ${holder.pid}` +
          `${holder.address ? `, which serves ${holder.address}` : ''}; stop it, or name another directory in SACCADE_DATA`,
      );
    }
    if (attempt > 3) throw new DirectoryInUse(`the lock ${path} of the data directory cannot be taken`);
    rmSync(path, { force: true });
  }
  return {
    announce: (address) => writeFileSync(path, JSON.stringify({ ...mine, address })),
    release: () => {
      if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
    },
  };
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
