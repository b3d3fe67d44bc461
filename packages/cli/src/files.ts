import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ArgumentError } from '@saccade/attention';

/** Reads a whole file; what is wrong with the path is an argument's error. */
export async function readInput(argument: string, path: string): Promise<Uint8Array> {
  const size = await sizeOfInput(argument, path);
  // Node refuses larger files with a message about its own limits.
  if (size > 2 ** 31 - 1)
    throw new ArgumentError('saccade', argument, `${path}, ${size} bytes`, 'a file of at most 2 GiB');
  return readFile(path);
}

/** Size of a readable regular file. */
export async function sizeOfInput(argument: string, path: string): Promise<number> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'which does not exist' : `which cannot be read (${error.code})`;
    throw new ArgumentError('saccade', argument, `${path}, ${why}`, 'a readable file');
  });
  if (!found.isFile()) throw new ArgumentError('saccade', argument, `${path}, a folder`, 'a readable file');
  return found.size;
}

/** The first bytes of a file, at most `limit` of them. */
export async function readStart(argument: string, path: string, limit: number): Promise<Uint8Array> {
  const size = await sizeOfInput(argument, path);
  const file = await open(path);
  try {
    const bytes = new Uint8Array(Math.min(limit, size));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

/**
 * Writes a file so that a reader sees the old one or the whole new one: into a file beside it, then renamed.
 * Missing folders are made only by `makeFolders`.
 */
export async function writeAtomically(
  argument: string,
  path: string,
  data: Uint8Array | string,
  options: { makeFolders?: boolean } = {},
): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.part`);
  let file: FileHandle;
  try {
    if (options.makeFolders) await mkdir(dirname(path), { recursive: true });
    file = await open(temporary, 'wx');
  } catch (error) {
    throw unwritable(argument, path, error);
  }
  try {
    await file.writeFile(data);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw unwritable(argument, path, error);
  }
}

/** Throws unless a file could be written there: asked before long work, not after it. */
export async function checkWritable(argument: string, path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory())
    throw new ArgumentError('saccade', argument, `${path}, a folder`, 'the path of a file');
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (!folder?.isDirectory())
    throw new ArgumentError(
      'saccade',
      argument,
      path,
      `a file in an existing folder; ${dirname(path)} is none`,
    );
}

function unwritable(argument: string, path: string, error: unknown): ArgumentError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new ArgumentError(
    'saccade',
    argument,
    `${path}, which cannot be written (${code ?? message})`,
    'a writable place',
  );
}
