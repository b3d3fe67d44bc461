// Part of the build: the client's files compressed beside themselves, once and as small as they get. The server would
// otherwise compress them again for every reader.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** Below it the head of an answer is most of it. */
const LEAST_BYTES = 1024;

const folder = join(import.meta.dirname, 'build/client/assets');
for (const name of readdirSync(folder).filter((file) => /\.(js|css|wasm|svg)$/.test(file))) {
  const path = join(folder, name);
  const bytes = readFileSync(path);
  if (bytes.byteLength < LEAST_BYTES) continue;
  const size = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength };
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: size }));
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
}
