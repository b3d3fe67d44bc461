/** What compiles shaders here, with its version: the browser, or Dawn in Node. What is measured belongs to it. */
export function runtimeName(): string {
  if (typeof process === 'undefined' || process.versions?.node === undefined)
    return (globalThis.navigator as Navigator | undefined)?.userAgent ?? 'unknown browser';
  try {
    // hidden from bundlers: a page never gets here
    const { createRequire } = process.getBuiltinModule('node:module');
    const { version } = createRequire(import.meta.url)('webgpu/package.json') as { version: string };
    return `Dawn of webgpu ${version}`;
  } catch {
    return `Dawn of an unknown version, Node ${process.versions.node}`; // bundled
  }
}
