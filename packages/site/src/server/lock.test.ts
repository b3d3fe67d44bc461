import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryInUse, takeDirectory } from './lock.ts';

let directory: string;
let lock: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'saccade-lock-'));
  lock = join(directory, 'saccade.lock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const pidOfTheDead = () =>
  new Promise<number>((resolve) => {
    const child = spawn(process.execPath, ['-e', '']);
    child.on('exit', () => resolve(child.pid!));
  });

describe('the lock of a data directory', () => {
  test('is refused while its process lives, with the process and its address', () => {
    const held = takeDirectory(directory);
    held.announce('http://localhost:4173');
    expect(() => takeDirectory(directory)).toThrow(DirectoryInUse);
    expect(() => takeDirectory(directory)).toThrow(
      `process ${process.pid}, which serves http://localhost:4173`,
    );
    held.release();
    expect(existsSync(lock)).toBe(false);
  });

  test('is free again once released, and leaves no other file', () => {
    takeDirectory(directory).release();
    const again = takeDirectory(directory);
    expect(readdirSync(directory)).toEqual(['saccade.lock']);
    again.release();
    expect(readdirSync(directory)).toEqual([]);
  });

  test('is taken over from a process that is gone', async () => {
    writeFileSync(lock, JSON.stringify({ pid: await pidOfTheDead(), started: null, address: null }));
    takeDirectory(directory);
    expect(JSON.parse(readFileSync(lock, 'utf8')).pid).toBe(process.pid);
  });

  test.runIf(existsSync('/proc/self/stat'))(
    'is taken over where the pid now belongs to another process',
    () => {
      const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 30000)']);
      try {
        writeFileSync(lock, JSON.stringify({ pid: child.pid, started: '1', address: null }));
        takeDirectory(directory);
        expect(JSON.parse(readFileSync(lock, 'utf8')).pid).toBe(process.pid);
      } finally {
        child.kill();
      }
    },
  );

  test.each(['', '{"pid":', '{"pid":"7"}'])('is taken over where it cannot be read: %j', (text) => {
    writeFileSync(lock, text);
    takeDirectory(directory);
    expect(JSON.parse(readFileSync(lock, 'utf8')).pid).toBe(process.pid);
  });

  test('makes the directory where there is none', () => {
    takeDirectory(join(directory, 'a/b'));
    expect(existsSync(join(directory, 'a/b/saccade.lock'))).toBe(true);
  });

  test('release leaves a lock that is not ours', () => {
    const held = takeDirectory(directory);
    writeFileSync(lock, JSON.stringify({ pid: 1, started: null, address: null }));
    held.release();
    expect(existsSync(lock)).toBe(true);
  });
});
