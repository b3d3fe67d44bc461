import { wgsl } from '../../wgsl/assemble.ts';
import type { Candidates } from '../request.ts';

export type Storage = 'f32' | 'f16';

export const THREADS = 256;

/** Element of a buffer that is read number by number. */
export const numberElement = { f32: 'f32', f16: 'u32' } as const;

/** `fn <name>Number(at) -> f32` of a tensor's buffer. */
export const numberOf = {
  f32: (name: string) => `fn ${name}Number(at: u32) -> f32 { return ${name}[at]; }`,
  f16: (name: string) =>
    `fn ${name}Number(at: u32) -> f32 { return unpack2x16float(${name}[at / 2u])[at % 2u]; }`,
};

/** Which list a head among batch x heads uses: its own, or one that it shares. */
export const listStage = wgsl`
fn listOf(head: u32) -> u32 {
  let batch = select(head / shape.heads, 0u, shape.listBatches == 1u);
  return batch * shape.listHeads + head % shape.heads / (shape.heads / shape.listHeads);
}`;

/** Larger scores have larger ranks: the bits of an f32 in the order of its values. */
export const rankStage = wgsl`
const FORCED = 0xffffffffu;
const LOWEST = 0x007fffffu;  // of -Infinity, with which NaN ranks; -0 ranks with 0

fn rankOf(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return LOWEST; }
  if (bits == 0x80000000u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}`;

export const candidateFields = {
  rows: 'u32',
  columns: 'u32',
  causal: 'u32',
  sink: 'u32',
  local: 'u32',
  rowsPerColumn: 'u32',
  firstRow: 'u32',
} as const;

export function candidateShape(candidates: Candidates, rows: number, columns: number) {
  return { ...candidates, causal: Number(candidates.causal), rows, columns };
}

export const candidateStage = wgsl`
fn ownColumn(row: u32) -> u32 { return (shape.firstRow + row % shape.rows) / shape.rowsPerColumn; }

fn candidateCount(row: u32) -> u32 {
  return select(shape.columns, min(ownColumn(row) + 1u, shape.columns), shape.causal == 1u);
}

fn isForced(row: u32, column: u32) -> bool {
  let own = ownColumn(row);
  return column < shape.sink || (column <= own && column + shape.local > own);
}`;
