import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';

/**
 * Inverts lists that are on the device: a counting sort by key unit in three launches. Which query blocks visit a unit
 * is one bit each, so that the place of a visit is the number of bits before it: the same on every run.
 * A row of the lists must not name a block twice.
 */
const fields = {
  listRows: 'u32',
  queryBlocks: 'u32',
  units: 'u32',
  bitWords: 'u32',
  most: 'u32',
} as const;

const LANES = 64;

const rowsOf = {
  /** Entries name key blocks, each a unit. */
  blocks: wgsl`
fn entryCount(row: u32) -> u32 { return rows[2u * row + 1u]; }
fn unitCount(row: u32, entry: u32) -> u32 { return 1u; }
fn firstUnit(row: u32, entry: u32) -> u32 { return blocks[rows[2u * row] + entry] & 0x7fffffffu; }
fn entryWord(row: u32, entry: u32) -> u32 { return entry | (blocks[rows[2u * row] + entry] & 0x80000000u); }`,
  /** A run of slots touches units of 64. */
  ranges: wgsl`
fn entryCount(row: u32) -> u32 {
  if (rows[2u * row + 1u] == 0u) { return 0u; }
  return (rows[2u * row] + rows[2u * row + 1u] - 1u) / 64u - rows[2u * row] / 64u + 1u;
}
fn unitCount(row: u32, entry: u32) -> u32 { return 1u; }
fn firstUnit(row: u32, entry: u32) -> u32 { return rows[2u * row] / 64u + entry; }
fn entryWord(row: u32, entry: u32) -> u32 { return 0u; }`,
  intervals: wgsl`
fn entryCount(row: u32) -> u32 { return rows[2u * row + 1u]; }
fn runStart(row: u32, entry: u32) -> u32 { return blocks[2u * (rows[2u * row] + entry)] & 0x7fffffffu; }
fn runLength(row: u32, entry: u32) -> u32 {
  let end = blocks[2u * (rows[2u * row] + entry) + 1u];
  if (entry == 0u) { return end; }
  return end - blocks[2u * (rows[2u * row] + entry) - 1u];
}
fn firstUnit(row: u32, entry: u32) -> u32 { return runStart(row, entry) / 64u; }
fn unitCount(row: u32, entry: u32) -> u32 {
  let length = runLength(row, entry);
  if (length == 0u) { return 0u; }
  return (runStart(row, entry) + length - 1u) / 64u - firstUnit(row, entry) + 1u;
}
fn entryWord(row: u32, entry: u32) -> u32 { return 0u; }`,
};

export type InvertibleKind = keyof typeof rowsOf;

const listBindings = (kind: InvertibleKind) => ({
  rows: read('u32'), // [lists, queryBlocks, 2]
  ...(kind !== 'ranges' && { blocks: read('u32') }),
  shape: uniform(fields),
});

/** bits [lists, units, bitWords]: bit b of a unit is set where query block b visits it. A workgroup a row of the lists. */
export const markVisits = kept((kind: InvertibleKind) =>
  assemble({
    name: `invert-mark-${kind}`,
    bindings: { ...listBindings(kind), bits: write('atomic<u32>') },
    constants: {},
    stages: [rowsOf[kind]],
    threads: LANES,
    memoryLimit: 0,
    main: wgsl`
  let list = workgroup / shape.queryBlocks;
  let block = workgroup % shape.queryBlocks;
  for (var entry = lane; entry < entryCount(workgroup); entry += ${LANES}u) {
    for (var i = 0u; i < unitCount(workgroup, entry); i++) {
      let unit = firstUnit(workgroup, entry) + i;
      if (unit < shape.units) {
        atomicOr(&bits[(list * shape.units + unit) * shape.bitWords + block / 32u], 1u << (block % 32u));
      }
    }
  }`,
  }),
);

/** inverse [lists, units, 2]: first entry and number of entries; each list has `most` places. A workgroup a list. */
export const countVisits = assemble({
  name: 'invert-count',
  bindings: { bits: read('u32'), inverse: write('u32'), shape: uniform(fields) },
  constants: { LANES },
  memory: { parts: { type: 'u32', length: LANES } },
  stages: [
    wgsl`
fn visitsOf(cell: u32) -> u32 {
  var count = 0u;
  for (var word = 0u; word < shape.bitWords; word++) { count += countOneBits(bits[cell * shape.bitWords + word]); }
  return count;
}`,
  ],
  threads: LANES,
  memoryLimit: 4 * LANES,
  main: wgsl`
  let each = (shape.units + LANES - 1u) / LANES;
  let first = lane * each;
  let end = min(first + each, shape.units);
  var own = 0u;
  for (var unit = first; unit < end; unit++) {
    let count = visitsOf(workgroup * shape.units + unit);
    inverse[2u * (workgroup * shape.units + unit) + 1u] = count;
    own += count;
  }
  parts[lane] = own;
  workgroupBarrier();
  var start = workgroup * shape.most;
  for (var i = 0u; i < lane; i++) { start += parts[i]; }
  for (var unit = first; unit < end; unit++) {
    inverse[2u * (workgroup * shape.units + unit)] = start;
    start += inverse[2u * (workgroup * shape.units + unit) + 1u];
  }`,
});

/** The entries, after the rows of \`inverse\`: query block, entry of its own list. A workgroup a row of the lists. */
export const fillVisits = kept((kind: InvertibleKind) =>
  assemble({
    name: `invert-fill-${kind}`,
    bindings: { ...listBindings(kind), bits: read('u32'), inverse: write('u32') },
    constants: {},
    stages: [
      rowsOf[kind],
      wgsl`
fn visitsBefore(cell: u32, block: u32) -> u32 {
  var count = 0u;
  for (var word = 0u; word < block / 32u; word++) { count += countOneBits(bits[cell * shape.bitWords + word]); }
  return count + countOneBits(bits[cell * shape.bitWords + block / 32u] & ((1u << (block % 32u)) - 1u));
}`,
    ],
    threads: LANES,
    memoryLimit: 0,
    main: wgsl`
  let list = workgroup / shape.queryBlocks;
  let block = workgroup % shape.queryBlocks;
  let entriesAt = 2u * (shape.listRows / shape.queryBlocks) * shape.units;
  for (var entry = lane; entry < entryCount(workgroup); entry += ${LANES}u) {
    for (var i = 0u; i < unitCount(workgroup, entry); i++) {
      let unit = firstUnit(workgroup, entry) + i;
      if (unit < shape.units) {
        let cell = list * shape.units + unit;
        let at = entriesAt + 2u * (inverse[2u * cell] + visitsBefore(cell, block));
        inverse[at] = block;
        inverse[at + 1u] = entryWord(workgroup, entry);
      }
    }
  }`,
  }),
);
