import { wgsl } from '../../wgsl/assemble.ts';
import { each } from './text.ts';

/** Reads of a thread that are under way together: one after another, each would wait for the memory. */
const together = (count: number) => [4, 3, 2].find((size) => count % size === 0) ?? 1;

/** `name(tile, chunk, lane)` copies `total` vec4s: `read` says what stands at place i, `write` where it goes. */
export const copy = (spec: { name: string; total: number; threads: number; read: string; write: string }) => {
  const { name, total, threads, read, write } = spec;
  const count = Math.ceil(total / threads);
  const size = together(count);
  return wgsl`
fn ${name}(tile: Located, chunk: u32, lane: u32) {
  for (var n = 0u; n < ${count / size}u; n++) {
${each(size, (k) => `    let i${k} = (n * ${size}u + ${k}u) * THREADS + lane;\n    let numbers${k} = ${read}(tile, chunk, i${k});`)}
${each(size, (k) => (total % threads === 0 ? `    ${write}(i${k}, numbers${k});` : `    if (i${k} < ${total}u) { ${write}(i${k}, numbers${k}); }`))}
  }
}`;
};
