/** a * b + c; fused where the module is built with relaxed SIMD and the processor can. */
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

// Where expFour keeps its constants. In memory, because V8 would build each of them anew, in several instructions, for
// every vector that it does not find a register for; read from there once for four vectors, they cost next to nothing.
let constants: usize = 0;
export const CONSTANT_BYTES = 16 * 10;

/** Writes the constants of expFour to `at`, CONSTANT_BYTES of this thread's own. */
export function useConstants(at: usize): void {
  constants = at;
  putConstant(0, -127.0);
  putConstant(1, 12582912.0);
  putConstant(2, 1.0);
  putConstant(3, 1.5353361883195e-4);
  putConstant(4, 1.339887440266574e-3);
  putConstant(5, 9.61843735767464e-3);
  putConstant(6, 5.550332471162809e-2);
  putConstant(7, 2.402264791363012e-1);
  putConstant(8, 6.931471805599453e-1);
  putConstant(9, <f32>Math.LOG2E);
}

function putConstant(index: i32, number: f32): void {
  v128.store(constants + ((<usize>index) << 4), f32x4.splat(number));
}

/**
 * e^(x - base) of four vectors at `at`, in place: two rows of eight, with the bases of their halves; x - base up to 88.
 * As 2^y by Cephes' polynomial on [-0.5, 0.5], for adding 1.5 * 2^23 leaves the rounded integer in the low bits. Exactly 1
 * at 0 and exactly 0 from y = -126.5 down, where the power's bits are those of 0. NaN stays NaN: pmax keeps its first
 * operand.
 */
export function expFour(at: usize, base0: v128, base1: v128): void {
  let c = v128.load(constants, 144);
  let x0 = f32x4.mul(f32x4.sub(v128.load(at), base0), c);
  let x1 = f32x4.mul(f32x4.sub(v128.load(at, 16), base1), c);
  let x2 = f32x4.mul(f32x4.sub(v128.load(at, 32), base0), c);
  let x3 = f32x4.mul(f32x4.sub(v128.load(at, 48), base1), c);
  c = v128.load(constants);
  x0 = f32x4.pmax(x0, c);
  x1 = f32x4.pmax(x1, c);
  x2 = f32x4.pmax(x2, c);
  x3 = f32x4.pmax(x3, c);
  c = v128.load(constants, 16);
  let n0 = f32x4.add(x0, c);
  let n1 = f32x4.add(x1, c);
  let n2 = f32x4.add(x2, c);
  let n3 = f32x4.add(x3, c);
  x0 = f32x4.sub(x0, f32x4.sub(n0, c));
  x1 = f32x4.sub(x1, f32x4.sub(n1, c));
  x2 = f32x4.sub(x2, f32x4.sub(n2, c));
  x3 = f32x4.sub(x3, f32x4.sub(n3, c));
  c = v128.load(constants, 32); // 1.0, whose bits are the exponent's bias
  n0 = i32x4.add(i32x4.shl(n0, 23), c);
  n1 = i32x4.add(i32x4.shl(n1, 23), c);
  n2 = i32x4.add(i32x4.shl(n2, 23), c);
  n3 = i32x4.add(i32x4.shl(n3, 23), c);
  c = v128.load(constants, 48);
  const d = v128.load(constants, 64);
  let p0 = madd(x0, c, d);
  let p1 = madd(x1, c, d);
  let p2 = madd(x2, c, d);
  let p3 = madd(x3, c, d);
  c = v128.load(constants, 80);
  p0 = madd(p0, x0, c);
  p1 = madd(p1, x1, c);
  p2 = madd(p2, x2, c);
  p3 = madd(p3, x3, c);
  c = v128.load(constants, 96);
  p0 = madd(p0, x0, c);
  p1 = madd(p1, x1, c);
  p2 = madd(p2, x2, c);
  p3 = madd(p3, x3, c);
  c = v128.load(constants, 112);
  p0 = madd(p0, x0, c);
  p1 = madd(p1, x1, c);
  p2 = madd(p2, x2, c);
  p3 = madd(p3, x3, c);
  c = v128.load(constants, 128);
  p0 = madd(p0, x0, c);
  p1 = madd(p1, x1, c);
  p2 = madd(p2, x2, c);
  p3 = madd(p3, x3, c);
  c = v128.load(constants, 32);
  p0 = madd(p0, x0, c);
  p1 = madd(p1, x1, c);
  p2 = madd(p2, x2, c);
  p3 = madd(p3, x3, c);
  v128.store(at, f32x4.mul(p0, n0));
  v128.store(at, f32x4.mul(p1, n1), 16);
  v128.store(at, f32x4.mul(p2, n2), 32);
  v128.store(at, f32x4.mul(p3, n3), 48);
}

/** Four halves at `from` as f32; every half is exact, also below 2^-14. */
function fromHalves(h: v128): v128 {
  const magnitude = v128.and(h, i32x4.splat(0x7fff));
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  const value = f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(5.192296858534828e33));
  const special = v128.and(i32x4.ge_s(magnitude, i32x4.splat(0x7c00)), i32x4.splat(0x7f800000));
  return v128.or(v128.or(value, special), sign);
}

/** Copies `count` halves at `from` to f32 at `to`. */
export function copyHalves(from: usize, to: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to + ((<usize>i) << 2), fromHalves(v128.load_ext<u16>(from + ((<usize>i) << 1))));
  }
  for (; i < count; i++) store<f32>(to + ((<usize>i) << 2), halfAt(from + ((<usize>i) << 1)));
}

export function halfAt(from: usize): f32 {
  return f32x4.extract_lane(fromHalves(i32x4.splat(<i32>load<u16>(from))), 0);
}

/** Stores the half nearest to `value`, ties to even. */
export function storeHalf(to: usize, value: f32): void {
  const x = reinterpret<u32>(value);
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  let half: u32;
  if (magnitude > 0x7f800000) half = 0x7e00;
  else if (magnitude >= 0x47800000) half = 0x7c00;
  else if (magnitude < 0x38800000) half = <u32>nearest<f32>(reinterpret<f32>(magnitude) * 16777216.0);
  else half = (magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13;
  store<u16>(to, <u16>(sign | half));
}
