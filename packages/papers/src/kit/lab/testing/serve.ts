import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'vite';

const here = fileURLToPath(new URL('.', import.meta.url));
const assets = fileURLToPath(new URL('../../../../assets/', import.meta.url));
const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.jpg': 'image/jpeg',
  '.txt': 'text/plain; charset=utf-8',
};

const ENTRY = 'virtual:labs';

/** The kit knows no paper: the table of labs comes from the caller. */
const entryOf = (labs: string): Plugin => ({
  name: 'labs-entry',
  resolveId: (id) => (id === ENTRY ? id : undefined),
  load: (id) =>
    id === ENTRY
      ? `import { labs } from ${JSON.stringify(labs)}; import { showLab } from ${JSON.stringify(join(here, 'page.tsx'))}; showLab(labs);`
      : undefined,
});

/**
 * Builds a page with every lab as the site's client is built, and serves it with the site's headers: workers, WASM and
 * content policy are what a reader meets.
 * @param labs the file that exports `labs`
 * @param folder where the build goes
 */
export async function serveLabs(
  labs: string,
  folder: string,
): Promise<{ address: string; close(): Promise<void> }> {
  await build({
    configFile: false,
    root: here,
    logLevel: 'error',
    worker: { format: 'es' },
    plugins: [entryOf(labs)],
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: 'es2024',
      reportCompressedSize: false,
      rolldownOptions: {
        input: ENTRY,
        output: { entryFileNames: 'page.js', assetFileNames: 'assets/[name]-[hash][extname]' },
      },
      cssCodeSplit: false,
    },
  });
  const styles = /^assets\/.*\.css$/;
  const sheet = (await readdir(folder, { recursive: true })).find((name) => styles.test(name)) ?? '';
  const page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Lab</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/${sheet}"></head><body><main><h1>Lab</h1><div id="root"></div></main><script type="module" src="/page.js"></script></body></html>`;
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://lab').pathname));
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    response.setHeader(
      'content-security-policy',
      "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'",
    );
    response.setHeader('content-type', types[extname(path)] ?? 'text/html; charset=utf-8');
    if (extname(path) === '') return response.end(page);
    const file = path.startsWith('/assets-lab/') ? join(assets, path.slice(11)) : join(folder, path);
    try {
      response.end(await readFile(file));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
