import { wgsl } from '../../wgsl/assemble.ts';

/**
 * P = 2^(S − m). A hidden pair's P is 0, a visible one's never; `negative` gives −P, which stays apart from 0 as −0
 * where f16 has no number that small.
 */
export const weights = ({ negative }: { negative: boolean }) => wgsl`
// NaN by its bits: compilers may turn p < x into !(p >= x), and drivers disagree on 2^NaN.
fn weightsOf(s: vec4<f32>, base: f32) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(s);
  let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  let hidden = (bits >= vec4<u32>(HIDDEN_BITS)) & (bits <= vec4<u32>(MINUS_INFINITY));
  let p = max(bitcast<vec4<u32>>(exp2(s - base)), vec4<u32>(LEAST_BITS))${negative ? ' | vec4<u32>(SIGN_BIT)' : ''};
  return bitcast<vec4<f32>>(select(select(p, vec4<u32>(NOT_A_NUMBER), nan), vec4<u32>(0u), hidden));
}`;

/**
 * The same where only missing keys are hidden, and bases begin at -1e29: a missing key's P is 0 without a look at its bits.
 */
export const plainWeights = wgsl`
fn weightsOf(s: vec4<f32>, base: f32) -> vec4<f32> {
  let nan = (bitcast<vec4<u32>>(s) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  return bitcast<vec4<f32>>(select(bitcast<vec4<u32>>(exp2(s - base)), vec4<u32>(NOT_A_NUMBER), nan));
}`;

/** Whether a value of the tile is NaN or infinite: `noteSpoiled` where values are loaded, `isSpoiled` before P V. */
export const spoiling = {
  /** Every row sees every value: nothing to keep apart. */
  never: wgsl`
fn noteSpoiled(numbers: vec4<f32>, generation: u32) {}
fn isSpoiled(generation: u32) -> bool { return false; }`,
  noted: wgsl`
fn noteSpoiled(numbers: vec4<f32>, generation: u32) {
  let exponents = bitcast<vec4<u32>>(numbers) & vec4<u32>(0x7f800000u);
  if (any(exponents == vec4<u32>(0x7f800000u))) { atomicStore(&spoiled[0], generation); }
}
fn isSpoiled(generation: u32) -> bool { return atomicLoad(&spoiled[0]) == generation; }`,
};
