import { DeviceError } from '../errors.ts';

/** (func (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd) */
const relaxedProbe = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 8, 1, 0x60, 3, 0x7b, 0x7b, 0x7b, 1, 0x7b, 3, 2, 1, 0],
  ...[10, 13, 1, 11, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfd, 0x85, 0x02, 0x0b],
);
/** (func (result v128) v128.const 0) */
const simdProbe = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0],
  ...[10, 22, 1, 20, 0, 0xfd, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b],
);

export function hasSimd(): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(simdProbe);
}

export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(relaxedProbe);
}

// Written out one by one: bundlers find files by this very form.
const urls = {
  plain: () => new URL('../../dist/attention.wasm', import.meta.url),
  plainShared: () => new URL('../../dist/attention-shared.wasm', import.meta.url),
  relaxed: () => new URL('../../dist/attention-relaxed.wasm', import.meta.url),
  relaxedShared: () => new URL('../../dist/attention-relaxed-shared.wasm', import.meta.url),
};

/** The kernel for this processor, from the file system in Node and by fetch elsewhere. */
export async function loadKernel(shared: boolean, relaxed: boolean): Promise<WebAssembly.Module> {
  const url = urls[relaxed ? (shared ? 'relaxedShared' : 'relaxed') : shared ? 'plainShared' : 'plain']();
  try {
    const files = globalThis.process?.getBuiltinModule?.('node:fs/promises');
    if (files && url.protocol === 'file:') return await WebAssembly.compile(await files.readFile(url));
    const response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    throw new DeviceError(
      'the WASM kernel cannot be loaded',
      {
        needs: `${url.pathname.split('/').at(-1)}, made by npm run build -w packages/attention`,
        has: String(cause),
      },
      { cause },
    );
  }
}
