import { wgsl } from '../../wgsl/assemble.ts';
import { each } from './text.ts';

/** Rows on their way from global to workgroup memory. */
export interface Carry {
  /** Of the functions: `fetch<name>` and `put<name>`, which call `read<name>` and `place<name>`. */
  name: string;
  /** Pieces that the threads of a workgroup carry together. */
  total: number;
  threads: number;
  /** Registers of a thread for them, `fetched<first>` and on; 0: none, all happens in `put`. */
  registers: number;
  first?: number;
}

/** Reads of a thread that are under way together: one after another, each would wait for the memory. */
const together = (count: number) => [4, 3, 2].find((size) => count % size === 0) ?? 1;

/**
 * `fetch<name>(tile, half, chunk, lane)` reads pieces of a tile into registers, `put<name>(tile, half, chunk,
 * generation, lane)` writes them to workgroup memory, some time and a barrier later. `read<name>(tile, half, chunk, i)`
 * gives piece i, `place<name>(i, piece, generation)` takes it. `half` says which of the lists in `keyTokens` is meant.
 */
export function carryStage({ name, total, threads, registers, first = 0 }: Carry): string {
  const pieces = Math.ceil(total / threads);
  const place = (at: string, piece: string, n: number) =>
    n < Math.floor(total / threads)
      ? `place${name}(${at}, ${piece}, generation);`
      : `if (${at} < ${total}u) { place${name}(${at}, ${piece}, generation); }`;
  if (registers > 0)
    return wgsl`
fn fetch${name}(tile: Located, half: u32, chunk: u32, lane: u32) {
${each(pieces, (n) => `  fetched${first + n} = read${name}(tile, half, chunk, ${n}u * THREADS + lane);`)}
}

fn put${name}(tile: Located, half: u32, chunk: u32, generation: u32, lane: u32) {
${each(pieces, (n) => `  ${place(`${n}u * THREADS + lane`, `fetched${first + n}`, n)}`)}
}`;
  const size = together(pieces);
  return wgsl`
fn fetch${name}(tile: Located, half: u32, chunk: u32, lane: u32) {}

fn put${name}(tile: Located, half: u32, chunk: u32, generation: u32, lane: u32) {
  for (var n = 0u; n < ${pieces / size}u; n++) {
${each(size, (k) => `    let i${k} = (n * ${size}u + ${k}u) * THREADS + lane;\n    let piece${k} = read${name}(tile, half, chunk, i${k});`)}
${each(size, (k) => `    ${place(`i${k}`, `piece${k}`, total % threads === 0 ? 0 : pieces)}`)}
  }
}`;
}
