/** a * b + c; fused where the module is built with relaxed SIMD and the processor can. */
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/**
 * 2^x for x up to 127. Exactly 0 below -126 and exactly 1 at 0; NaN stays NaN.
 * Polynomial of Cephes' exp2f on [-0.5, 0.5]; adding 1.5 * 2^23 leaves the rounded integer in the low bits.
 */
export function exp2(x: v128): v128 {
  const magic = f32x4.splat(12582912.0);
  const shifted = f32x4.add(x, magic);
  const f = f32x4.sub(x, f32x4.sub(shifted, magic));
  let p = madd(f, f32x4.splat(1.5353361883195e-4), f32x4.splat(1.339887440266574e-3));
  p = madd(p, f, f32x4.splat(9.61843735767464e-3));
  p = madd(p, f, f32x4.splat(5.550332471162809e-2));
  p = madd(p, f, f32x4.splat(2.402264791363012e-1));
  p = madd(p, f, f32x4.splat(6.931472028550421e-1));
  p = madd(p, f, f32x4.splat(1.0));
  const power = i32x4.add(i32x4.shl(shifted, 23), i32x4.splat(0x3f800000));
  return v128.andnot(f32x4.mul(p, power), f32x4.lt(x, f32x4.splat(-126.0)));
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
