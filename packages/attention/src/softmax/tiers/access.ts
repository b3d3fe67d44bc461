import { read, type StorageBinding } from '../../wgsl/bindings.ts';

/** How rows of numbers lie in a storage buffer: by vec4 where rows are whole vec4s, else number by number. */
export type Storage = 'f32' | 'f16';

/** Binding of a tensor whose rows have `rowLength` numbers. `wide`: 16 bytes at a time, where rows are whole so. */
export function rowBinding(storage: Storage, rowLength: number, wide = false): StorageBinding {
  return read(wide && isWide(storage, rowLength) ? 'vec4<u32>' : elementOf(storage, rowLength));
}

const isWide = (storage: Storage, rowLength: number) => storage === 'f16' && rowLength % 8 === 0;

export function elementOf(storage: Storage, rowLength: number): string {
  if (rowLength % 4 !== 0) return storage === 'f32' ? 'f32' : 'u32';
  return storage === 'f32' ? 'vec4<f32>' : 'vec2<u32>';
}

/** `fn <name>Vector(row, d) -> vec4<f32>`: numbers 4d to 4d + 3 of a row; zeros beyond its end. */
export function readVector(name: string, storage: Storage, rowLength: number): string {
  const whole = rowLength % 4 === 0;
  const at = `row * ${rowLength / 4}u + d`;
  const body = whole
    ? {
        f32: `  return ${name}[${at}];`,
        f16: `  let halves = ${name}[${at}];
  return vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));`,
      }[storage]
    : `  let at = row * ${rowLength}u + 4u * d;
  let rest = ${rowLength}u - 4u * d;
  var numbers = vec4<f32>(${name}Number(at), 0.0, 0.0, 0.0);
  if (rest > 1u) { numbers.y = ${name}Number(at + 1u); }
  if (rest > 2u) { numbers.z = ${name}Number(at + 2u); }
  if (rest > 3u) { numbers.w = ${name}Number(at + 3u); }
  return numbers;`;
  const vector = `fn ${name}Vector(row: u32, d: u32) -> vec4<f32> {\n${body}\n}`;
  return whole ? vector : `${readNumber(name, storage)}\n\n${vector}`;
}

/**
 * `fn <name>Octet(row, d) -> vec4<u32>`: halves 8d to 8d + 7 of a row of f16, as they are stored; zeros beyond its end.
 * For a binding that is wide where it can be.
 */
export function readOctet(name: string, rowLength: number): string {
  const octet = `fn ${name}Octet(row: u32, d: u32) -> vec4<u32>`;
  if (isWide('f16', rowLength)) return `${octet} { return ${name}[row * ${rowLength / 8}u + d]; }`;
  // an f16 that went through f32 comes back as it was
  return `${readVector(name, 'f16', rowLength)}

${octet} {
  let low = ${name}Vector(row, 2u * d);
  var high = vec4<f32>();
  if (8u * d + 4u < ${rowLength}u) { high = ${name}Vector(row, 2u * d + 1u); }
  return vec4<u32>(pack2x16float(low.xy), pack2x16float(low.zw), pack2x16float(high.xy), pack2x16float(high.zw));
}`;
}

/** `fn <name>Number(at) -> f32`: number `at` of a buffer of f32, or of halves packed in u32. */
export function readNumber(name: string, storage: Storage): string {
  const text = {
    f32: `${name}[at]`,
    f16: `unpack2x16float(${name}[at / 2u])[at % 2u]`,
  }[storage];
  return `fn ${name}Number(at: u32) -> f32 {\n  return ${text};\n}`;
}

/** `fn <name>Store(row, d, numbers)`: writes numbers 4d to 4d + 3 of a row. Halves must come in whole vec4s. */
export function storeVector(name: string, storage: Storage, rowLength: number): string {
  const at = `row * ${rowLength / 4}u + d`;
  const body =
    rowLength % 4 === 0
      ? {
          f32: `  ${name}[${at}] = numbers;`,
          f16: `  ${name}[${at}] = vec2<u32>(pack2x16float(numbers.xy), pack2x16float(numbers.zw));`,
        }[storage]
      : `  let at = row * ${rowLength}u + 4u * d;
  for (var i = 0u; i < min(4u, ${rowLength}u - 4u * d); i++) { ${name}[at + i] = numbers[i]; }`;
  return `fn ${name}Store(row: u32, d: u32, numbers: vec4<f32>) {\n${body}\n}`;
}

/** vec4s of numbers that `readWide` reads at once. */
export function wideVectors(storage: Storage, rowLength: number): 1 | 2 {
  return isWide(storage, rowLength) ? 2 : 1;
}

/**
 * `fn <name>Raw(row, unit)`: 16 bytes of a row as stored (8 or 4 numbers), or 4 numbers where rows do not allow it;
 * `fn <name>Part0(raw)`, and `fn <name>Part1(raw)` where there are 8: four of its numbers. Read first, then unpacked,
 * so that a thread may have many reads under way. For a binding that is wide where it can be.
 */
export function readWide(name: string, storage: Storage, rowLength: number): string {
  if (isWide(storage, rowLength))
    return `fn ${name}Raw(row: u32, unit: u32) -> vec4<u32> { return ${name}[row * ${rowLength / 8}u + unit]; }

fn ${name}Part0(raw: vec4<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(raw.x), unpack2x16float(raw.y)); }

fn ${name}Part1(raw: vec4<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(raw.z), unpack2x16float(raw.w)); }`;
  return `${readVector(name, storage, rowLength)}

fn ${name}Raw(row: u32, unit: u32) -> vec4<f32> { return ${name}Vector(row, unit); }

fn ${name}Part0(raw: vec4<f32>) -> vec4<f32> { return raw; }`;
}
