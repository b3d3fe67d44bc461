// Compiles the kernel four times: with and without relaxed SIMD, for one thread and for shared memory.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const here = dirname(fileURLToPath(import.meta.url));
mkdirSync(join(here, '../dist'), { recursive: true });
for (const relaxed of [false, true]) {
  for (const shared of [false, true]) {
    const name = `attention${relaxed ? '-relaxed' : ''}${shared ? '-shared' : ''}.wasm`;
    const { error, stderr } = await asc.main([
      ...['attention.ts', 'backward.ts'],
      ...['--baseDir', here, '--outFile', `../dist/${name}`],
      ...['-O3', '--noAssert', '--runtime', 'stub', '--use', 'abort=', '--importMemory', '--enable', 'simd'],
      ...(relaxed ? ['--enable', 'relaxed-simd'] : []),
      ...(shared
        ? ['--enable', 'threads', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536']
        : ['--disable', 'threads']),
    ]);
    if (error) {
      process.stderr.write(stderr.toString());
      throw error;
    }
  }
}
