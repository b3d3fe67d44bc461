import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** What a reader of the feed may download as scripts, in bytes after gzip. */
export const FEED_LIMIT_BYTES = 150_000;

interface Chunk {
  file: string;
  src?: string;
  imports?: string[];
}

/** Gzipped bytes of all scripts that the feed page loads before a reader does anything, from the build's manifest. */
export function feedScriptBytes(client: string): number {
  const manifest: Record<string, Chunk> = JSON.parse(
    readFileSync(join(client, '.vite/manifest.json'), 'utf8'),
  );
  const entries = Object.entries(manifest).filter(([name]) =>
    /entry\.client|client\/root\.|feed\/feed\./.test(name),
  );
  if (entries.length < 3)
    throw new Error(`feedScriptBytes: the manifest names ${entries.length} of the feed's 3 entries`);
  const files = new Set<string>();
  const add = ({ file, imports = [] }: Chunk) => {
    if (files.has(file)) return;
    files.add(file);
    for (const name of imports) add(manifest[name]);
  };
  for (const [, chunk] of entries) add(chunk);
  return [...files]
    .filter((file) => file.endsWith('.js'))
    .reduce((sum, file) => sum + gzipSync(readFileSync(join(client, file))).byteLength, 0);
}

if (import.meta.main) {
  const bytes = feedScriptBytes(join(import.meta.dirname, 'build/client'));
  console.log(
    `Scripts of the feed page: ${(bytes / 1000).toFixed(1)} kB gzipped; limit ${FEED_LIMIT_BYTES / 1000} kB`,
  );
  if (bytes > FEED_LIMIT_BYTES) process.exitCode = 1;
}
