import { wgsl } from '../../wgsl/assemble.ts';

/** Sums of integer weights: x · 2^12 + y, with y below 2^12. */
export const massStage = wgsl`
fn normal(a: vec2<u32>) -> vec2<u32> { return vec2<u32>(a.x + (a.y >> 12u), a.y & 4095u); }
fn plus(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> { return normal(a + b); }
fn minus(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let borrow = u32(a.y < b.y);
  return vec2<u32>(a.x - b.x - borrow, a.y + 4096u * borrow - b.y);
}
fn reaches(a: vec2<u32>, b: vec2<u32>) -> bool { return a.x > b.x || (a.x == b.x && a.y >= b.y); }`;

/** exp(score − maximum) as x · 2^12 + y in units of 2^-24: weightOf() of weights.ts. */
export const weightStage = wgsl`
fn scoreOf(rank: u32) -> f32 { return bitcast<f32>(select(~rank, rank & 0x7fffffffu, (rank >> 31u) == 1u)); }
fn weightOf(rank: u32, maximum: u32) -> vec2<u32> {
  if (rank <= LOWEST) { return vec2<u32>(); }
  if (rank == maximum) { return vec2<u32>(4096u, 0u); }
  let difference = scoreOf(maximum) - scoreOf(rank);
  if (bitcast<u32>(difference) >= 0x41900000u) { return vec2<u32>(); }  // 18 and more, by its bits: also infinity
  let steps = u32(difference * 65536.0);
  let whole = weights[steps >> 8u];
  let weight = whole - ((whole * (steps & 255u)) >> 16u);
  return vec2<u32>(weight >> 12u, weight & 4095u);
}

// floor(total · share / 2^16)
fn shareOf(total: vec2<u32>) -> vec2<u32> {
  let low = (total.x & 65535u) * shape.share;
  let rest = (((low & 65535u) << 12u) + total.y * shape.share) >> 16u;
  return normal(vec2<u32>((total.x >> 16u) * shape.share + (low >> 16u), rest));
}`;
