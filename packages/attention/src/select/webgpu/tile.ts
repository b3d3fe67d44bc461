import { wgsl } from '../../wgsl/assemble.ts';
import { read, type StorageBinding } from '../../wgsl/bindings.ts';
import { numberElement, numberOf, type Storage } from './stages.ts';

/** Rows and columns of a tile of scores; each of 256 threads owns 4 x 4 of them. */
export const TILE = 64;
/** vec4s of channels that pass through workgroup memory at a time. */
export const DEPTH = 4;

/** How the rows of a tensor are read: whole vec4s where headDim has them, else number by number. */
export interface RowReading {
  storage: Storage;
  whole: boolean;
}

export function rowsOf({ storage, whole }: RowReading): StorageBinding {
  if (!whole) return read(numberElement[storage]);
  return read(storage === 'f32' ? 'vec4<f32>' : 'vec2<u32>');
}

/** `fn <name>Vector(row, d) -> vec4<f32>`: channels 4d to 4d + 3 of a row; zeros beyond its end. */
export function vectorOf(name: string, { storage, whole }: RowReading): string {
  if (!whole)
    return `${numberOf[storage](name)}
fn ${name}Vector(row: u32, d: u32) -> vec4<f32> {
  var numbers = vec4<f32>();
  for (var i = 0u; i < min(4u, shape.headDim - 4u * d); i++) { numbers[i] = ${name}Number(row * shape.headDim + 4u * d + i); }
  return numbers;
}`;
  const body = {
    f32: `return ${name}[row * (shape.headDim / 4u) + d];`,
    f16: `let halves = ${name}[row * (shape.headDim / 4u) + d];
  return vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));`,
  };
  return `fn ${name}Vector(row: u32, d: u32) -> vec4<f32> {\n  ${body[storage]}\n}`;
}

export const tileMemory = {
  leftTile: { type: 'vec4<f32>', length: TILE * DEPTH }, // 4 KiB
  rightTile: { type: 'vec4<f32>', length: TILE * DEPTH }, // 4 KiB
} as const;

export const tileRegisters = 'var<private> sums: array<vec4<f32>, 4>;';

export const tileConstants = { TILE, DEPTH };

/**
 * S += L Rᵀ over 16 channels. Lane (y, x) owns rows y, y + 16, … and columns x, x + 16, … of the tile: lanes that follow
 * each other read vectors that follow each other.
 */
export const accumulateTile = wgsl`
fn accumulateTile(lane: u32) {
  for (var d = 0u; d < DEPTH; d++) {
    let at = d * TILE;
    let a = rightTile[at + lane % 16u];
    let b = rightTile[at + lane % 16u + 16u];
    let c = rightTile[at + lane % 16u + 32u];
    let e = rightTile[at + lane % 16u + 48u];
    for (var i = 0u; i < 4u; i++) {
      let q = leftTile[at + lane / 16u + 16u * i];
      sums[i] += vec4<f32>(dot(q, a), dot(q, b), dot(q, c), dot(q, e));
    }
  }
}`;

/** Channels 16 chunk to 16 chunk + 15 of 64 rows of each side; rows at or beyond an end are zeros. One vec4 a lane and side. */
export const loadTiles = (left: string, right: string) => wgsl`
fn loadTiles(lane: u32, chunk: u32, leftRow: u32, leftEnd: u32, rightRow: u32, rightEnd: u32) {
  let row = lane / DEPTH;
  let d = chunk * DEPTH + lane % DEPTH;
  let at = lane % DEPTH * TILE + row;
  leftTile[at] = vec4<f32>();
  rightTile[at] = vec4<f32>();
  if (4u * d < shape.headDim && leftRow + row < leftEnd) { leftTile[at] = ${left}Vector(leftRow + row, d); }
  if (4u * d < shape.headDim && rightRow + row < rightEnd) { rightTile[at] = ${right}Vector(rightRow + row, d); }
}`;
