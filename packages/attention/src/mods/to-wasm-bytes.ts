/** The few encodings of the WebAssembly binary format that compiled expressions need. */

/** Unsigned LEB128. */
export function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest ? low | 0x80 : low);
  } while (rest);
  return bytes;
}

/** Signed LEB128. */
export function sleb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && !(low & 0x40)) || (rest === -1 && low & 0x40)) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

/** A vector instruction. */
export const code = (number: number): number[] => [0xfd, ...leb(number)];

/** Scalar instructions. */
export const op = {
  get: (local: number) => [0x20, ...leb(local)],
  set: (local: number) => [0x21, ...leb(local)],
  tee: (local: number) => [0x22, ...leb(local)],
  i32: (value: number) => [0x41, ...sleb(value)],
  load: (offset: number) => [0x28, 2, ...leb(offset)],
  call: (index: number) => [0x10, ...leb(index)],
  add: 0x6a,
  shiftLeft: 0x74,
  shiftRight: 0x75,
} as const;

/** Vector instructions. */
export const v = {
  load: (offset: number) => [...code(0x00), 2, ...leb(offset)],
  loadSplat: (offset: number) => [...code(0x09), 2, ...leb(offset)],
  loadLane: (lane: number) => [...code(0x56), 2, 0, lane],
  store: (offset: number) => [...code(0x0b), 2, ...leb(offset)],
  shuffle: 0x0d,
  i32Splat: 0x11,
  not: 0x4d,
  andnot: 0x4f,
  and: 0x4e,
  or: 0x50,
  bitselect: 0x52,
  toInt: 0xf8,
  toFloat: 0xfa,
  lowToF64: 0xfe,
  f64ToLow: 0xfc,
  f64Div: 0xf3,
  i32: {
    extract: 0x1b,
    replace: 0x1c,
    eq: 0x37,
    ne: 0x38,
    lt: 0x39,
    gt: 0x3b,
    le: 0x3d,
    ge: 0x3f,
    abs: 0xa0,
    neg: 0xa1,
    shiftLeft: 0xab,
    shiftRight: 0xac,
    add: 0xae,
    sub: 0xb1,
    mul: 0xb5,
    min: 0xb6,
    max: 0xb8,
  },
  f32: {
    extract: 0x1f,
    replace: 0x20,
    eq: 0x41,
    ne: 0x42,
    lt: 0x43,
    gt: 0x44,
    le: 0x45,
    ge: 0x46,
    floor: 0x68,
    abs: 0xe0,
    neg: 0xe1,
    sqrt: 0xe3,
    add: 0xe4,
    sub: 0xe5,
    mul: 0xe6,
    div: 0xe7,
    min: 0xe8,
    max: 0xe9,
    nearest: 0x6a,
    pmin: 0xea,
    pmax: 0xeb,
    madd: 0x105,
  },
} as const;

/** A vector with the same number in every lane. */
export function constantOf(type: 'i32' | 'f32' | 'f64', value: number): number[] {
  const lanes =
    type === 'i32'
      ? new Int32Array(4).fill(value)
      : type === 'f32'
        ? new Float32Array(4).fill(value)
        : new Float64Array(2).fill(value);
  return [...code(0x0c), ...new Uint8Array(lanes.buffer)];
}

/** i32 division and remainder as expressions define them: by 0 gives 0, by -1 wraps around. */
const divide = [
  ...[0x20, 1, 0x45, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b],
  ...[0x20, 1, 0x41, 0x7f, 0x46, 0x04, 0x40, 0x41, 0, 0x20, 0, 0x6b, 0x0f, 0x0b],
  ...[0x20, 0, 0x20, 1, 0x6d, 0x0b],
];
const remainder = [
  ...[0x20, 1, 0x45, 0x20, 1, 0x41, 0x7f, 0x46, 0x72, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b],
  ...[0x20, 0, 0x20, 1, 0x6f, 0x0b],
];

/**
 * A module around the body of `modify` (ten i32 parameters): function 0 is the import log,
 * 1 is modify, 2 divides, 3 is the remainder.
 * @param modify declarations of locals, then instructions with the final end
 */
export function moduleOf(modify: readonly number[], shared: boolean): Uint8Array<ArrayBuffer> {
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const section = (id: number, bytes: readonly number[]) => [id, ...leb(bytes.length), ...bytes];
  const body = (bytes: readonly number[]) => [...leb(bytes.length), ...bytes];
  const fromEnv = (field: string, kind: readonly number[]) => [...name('env'), ...name(field), ...kind];
  const memory = shared ? [2, 3, 1, ...leb(65536)] : [2, 0, 1];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [
      ...[3, 0x60, 1, 0x7c, 1, 0x7c],
      ...[0x60, 10, ...new Array<number>(10).fill(0x7f), 0],
      ...[0x60, 2, 0x7f, 0x7f, 1, 0x7f],
    ]),
    ...section(2, [2, ...fromEnv('log', [0, 0]), ...fromEnv('memory', memory)]),
    ...section(3, [3, 1, 2, 2]),
    ...section(7, [1, ...name('modify'), 0, 1]),
    ...section(10, [3, ...body(modify), ...body([0, ...divide]), ...body([0, ...remainder])]),
  ]);
}
