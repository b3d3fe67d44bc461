import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, type Scalar, uniform, write } from '../../wgsl/bindings.ts';
import type { BackwardKernelOptions } from './backward-options.ts';
import { each } from './text.ts';

/** What the side 'tables' gathers from the pairs, each into its part of one array of sums. */
export interface Gathered {
  /** The largest part first, then the sums in fixed point that it sets. */
  step: 'measure' | 'add';
  /** Reads of the score expression: WGSL of the functions index<k> and, where it is not 1, partial<k>. */
  reads: readonly { table: number; size: number; index: string; partial: string | undefined }[];
  /** Number of the sums of dS per block among the tables. */
  blockSums: number | undefined;
  fields: Readonly<Record<string, Scalar>>;
}

/** Uniform fields: where each table's sums start, and how many bits a part may have. */
export function gatherFields(tables: number): Record<string, Scalar> {
  return {
    ...Object.fromEntries(Array.from({ length: tables }, (_, i) => [`tableAt${i}`, 'u32' as const])),
    keyBlocks: 'u32',
    partBits: 'u32',
  };
}

/** `maxima`: bits of the largest |part| of each table; `totals`: low and high word of each sum. */
export const gatherBindings = { maxima: write('atomic<u32>'), totals: write('atomic<u32>') };

/** Parts are whole multiples of 2^-k, with k such that the largest has `partBits` bits: 2^e <= largest < 2^(e + 1). */
const fixedPoint = wgsl`
fn fixedPoint(largest: u32) -> i32 {
  return i32(shape.partBits) - 1 - max(i32(largest >> 23u) - 127, -80);
}

fn powerOfTwo(exponent: i32) -> f32 { return bitcast<f32>(u32(exponent + 127) << 23u); }`;

const flushes = {
  measure: wgsl`
fn flush(table: u32, place: u32, part: f32) {
  let bits = bitcast<u32>(part) & 0x7fffffffu;
  if (bits > atomicLoad(&maxima[table])) { atomicMax(&maxima[table], bits); }
}`,
  /** Sums of integers do not depend on their order. 64 bits, by the carry out of the low word. */
  add: wgsl`
fn flush(table: u32, place: u32, part: f32) {
  let largest = atomicLoad(&maxima[table]);
  if (part == 0.0 || largest >= 0x7f800000u) { return; }
  let scaled = abs(part) * powerOfTwo(fixedPoint(largest));
  let wholes = floor(scaled * 2.3283064365386963e-10);
  var high = u32(wholes);
  var low = u32(scaled - wholes * 4294967296.0);
  if (part < 0.0) {
    low = ~low + 1u;
    high = ~high + select(0u, 1u, low == 0u);
  }
  let before = atomicAdd(&totals[2u * place], low);
  let carry = select(0u, 1u, before + low < before);
  atomicAdd(&totals[2u * place + 1u], high + carry);
}`,
};

/** Parts of one thread that follow each other at one place are added up before they leave it. */
const note = (k: number, table: number) => wgsl`
var<private> place${k} = NOWHERE;
var<private> pending${k} = 0.0;

fn flush${k}() {
  if (place${k} != NOWHERE) { flush(${table}u, place${k}, pending${k}); }
}

fn note${k}(place: u32, part: f32) {
  if (place != place${k}) {
    flush${k}();
    place${k} = place;
    pending${k} = 0.0;
  }
  pending${k} += part;
}`;

/** Stages of the side 'tables': `gather(tile, start, lane)` and `flushAll()`. */
export function gatherStages({ gathered, tile }: BackwardKernelOptions, pairArguments: string): string[] {
  if (!gathered) return [];
  const { reads, blockSums } = gathered;
  const tables = [...reads.map(({ table }) => table), ...(blockSums === undefined ? [] : [blockSums])];
  const { rowsPerThread } = tile;
  const ofRows = (register: string) =>
    `array<f32, ROWS>(${Array.from({ length: rowsPerThread }, (_, r) => `${register}${r}`).join(', ')})`;
  const readParts = reads.map(({ table, size, partial }, k) => {
    const factor = partial === undefined ? '' : ` * partial${k}(${pairArguments}, score)`;
    return `  note${k}(shape.tableAt${table} + u32(clamp(index${k}(${pairArguments}, score), 0, ${Math.max(size - 1, 0)})), gradient${factor});`;
  });
  const blockPart = wgsl`
  let entry = blockAt(rowAt(2u * tile.row) + u32(pair.keySlot) / shape.keyBlock) & 0x7fffffffu;
  let cell = ((tile.batch * shape.heads + tile.head) * shape.queryBlocks + tile.block) * shape.keyBlocks + entry;
  note${reads.length}(shape.tableAt${blockSums} + cell, gradient);`;
  return [
    'const NOWHERE = 0xffffffffu;',
    ...(gathered.step === 'add' ? [fixedPoint] : []),
    flushes[gathered.step],
    ...reads.flatMap(({ index, partial }) => (partial === undefined ? [index] : [index, partial])),
    ...tables.map((table, k) => note(k, table)),
    wgsl`
fn give(tile: Located, pair: Pair, score: f32, gradient: f32) {
${readParts.join('\n')}${blockSums === undefined ? '' : blockPart}
}`,
    wgsl`
fn gather(tile: Located, start: u32, lane: u32) {
  let columnLane = lane % COLUMN_LANES;
  let rowLane = (lane % THREADS) / COLUMN_LANES;
  var rowSums = ${ofRows('l')};
  var rowMeans = ${ofRows('m')};
${each(
  rowsPerThread,
  (r) => `  weights[(rowLane + ${r}u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = s${r};
  weightGradients[(rowLane + ${r}u * ROW_LANES) * (COLUMN_LANES + 1u) + columnLane] = d${r};`,
)}
${each(
  4,
  (j) => `  for (var r = 0u; r < ROWS; r++) {
    let row = rowLane + r * ROW_LANES;
    let at = row * (COLUMN_LANES + 1u) + columnLane;
    let pair = pairAt(tile, start, row, columnLane + ${j}u * COLUMN_LANES);
    let product = weights[at][${j}];
    let p = weighPair(tile, pair, product, rowSums[r]);
    if (p != 0.0) { give(tile, pair, product * shape.scale, p * (weightGradients[at][${j}] - rowMeans[r])); }
  }`,
)}
}

fn flushAll() {
${tables.map((_, k) => `  flush${k}();`).join('\n')}
}`,
  ];
}

/** A table's sums from fixed point to f32; NaN or infinite parts spoil all of them. */
export const finishTable = assemble({
  name: 'softmax-backward-table',
  bindings: {
    maxima: read('u32'),
    totals: read('u32'),
    gradient: write('u32'), // bits of f32
    shape: uniform({ size: 'u32', first: 'u32', table: 'u32', partBits: 'u32' }),
  },
  constants: {},
  stages: [fixedPoint],
  threads: 64,
  memoryLimit: 0,
  main: wgsl`
  let at = workgroup * 64u + lane;
  if (at >= shape.size) { return; }
  let largest = maxima[shape.table];
  var low = totals[2u * (shape.first + at)];
  var high = totals[2u * (shape.first + at) + 1u];
  let negative = (high >> 31u) == 1u;
  if (negative) {
    low = ~low + 1u;
    high = ~high + select(0u, 1u, low == 0u);
  }
  let number = (f32(high) * 4294967296.0 + f32(low)) * powerOfTwo(-fixedPoint(largest));
  gradient[at] = select(bitcast<u32>(select(number, -number, negative)), 0x7fc00000u, largest >= 0x7f800000u);`,
});
