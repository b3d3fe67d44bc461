import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The secret of a data directory, made at the first call; only the owner can read it. */
export function secretOf(data: string): string {
  const path = join(data, 'secret');
  if (!existsSync(path)) {
    mkdirSync(data, { recursive: true });
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, randomBytes(32).toString('base64url'), { mode: 0o600 });
    try {
      // A link appears whole, and the first one stays: two servers that start at once get the same secret.
      linkSync(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
  }
  return readFileSync(path, 'utf8').trim();
}

/** What proves to a running server that a command is its operator's: who can read the secret may do anything anyway. */
export const operatorKey = (secret: string) =>
  createHmac('sha256', secret).update('operator').digest('base64url');
