import { code, constantOf, op, v } from './to-wasm-bytes.ts';

const f32 = (value: number) => constantOf('f32', value);

/** Coefficients of Cephes' expf on [-ln 2 / 2, ln 2 / 2], highest power first: e^r = 1 + r + r² p(r). */
const polynomial = [1.9875691e-4, 1.3981999e-3, 8.3334519e-3, 4.1665796e-2, 1.6666665e-1, 0.5];
/** ln 2 in two parts: products of the first with small integers are exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444e-4;

/**
 * e^x of the four lanes on the stack. Infinity above 88.73, 0 below -87.34 (halves of the smallest normal number
 * are not kept), NaN stays NaN. Error about one unit in the last place.
 */
export function emitExp(x: number[], local: () => number): number[] {
  const [value, n, r, sum] = [local(), local(), local(), local()];
  const bytes = [
    ...[...x, ...op.set(value)],
    // The clamp keeps a NaN: pmax and pmin return their first operand unless the second is smaller or larger.
    ...[...op.get(value), ...f32(-88), ...code(v.f32.pmax), ...f32(88.8), ...code(v.f32.pmin), ...op.tee(r)],
    ...[...f32(Math.LOG2E), ...code(v.f32.mul), ...code(v.f32.nearest), ...op.set(n)],
    ...[...op.get(r), ...op.get(n), ...f32(LN2_HIGH), ...code(v.f32.mul), ...code(v.f32.sub)],
    ...[...op.get(n), ...f32(LN2_LOW), ...code(v.f32.mul), ...code(v.f32.sub), ...op.set(r)],
    ...[...f32(polynomial[0]), ...op.set(sum)],
  ];
  for (const coefficient of polynomial.slice(1)) {
    bytes.push(
      ...[...op.get(sum), ...op.get(r), ...code(v.f32.mul), ...f32(coefficient), ...code(v.f32.add)],
      ...op.set(sum),
    );
  }
  bytes.push(
    ...[...op.get(sum), ...op.get(r), ...code(v.f32.mul), ...op.get(r), ...code(v.f32.mul)],
    ...[...op.get(r), ...code(v.f32.add), ...f32(1), ...code(v.f32.add), ...op.set(sum)],
    // 2^n in two factors, so that neither leaves the normal numbers where the product is one
    ...[...op.get(n), ...code(v.toInt), ...op.tee(n), ...op.i32(1), ...code(v.i32.shiftRight), ...op.set(r)],
    ...[...op.get(sum), ...powerOf2(op.get(r)), ...code(v.f32.mul)],
    ...[...powerOf2([...op.get(n), ...op.get(r), ...code(v.i32.sub)]), ...code(v.f32.mul)],
    ...[...op.get(value), ...f32(-87.33654), ...code(v.f32.lt), ...code(v.andnot)],
  );
  return bytes;
}

/** 2^n from integer lanes. */
function powerOf2(n: number[]): number[] {
  return [...n, ...constantOf('i32', 127), ...code(v.i32.add), ...op.i32(23), ...code(v.i32.shiftLeft)];
}

/** tanh x = sign(x) (1 - 2 / (e^2|x| + 1)), by its odd series of Cephes' tanhf below 0.625. */
export function emitTanh(x: number[], local: () => number): number[] {
  const [value, size, square, series] = [local(), local(), local(), local()];
  const coefficients = [
    -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1,
  ];
  const bytes = [...x, ...op.tee(value), ...code(v.f32.abs), ...op.set(size)];
  bytes.push(
    ...[...op.get(value), ...op.get(value), ...code(v.f32.mul), ...op.set(square)],
    ...[...f32(coefficients[0]), ...op.set(series)],
  );
  for (const coefficient of coefficients.slice(1)) {
    bytes.push(
      ...[...op.get(series), ...op.get(square), ...code(v.f32.mul), ...f32(coefficient), ...code(v.f32.add)],
      ...op.set(series),
    );
  }
  const twice = [...op.get(size), ...f32(2), ...code(v.f32.mul)];
  return [
    ...bytes,
    ...[...op.get(series), ...op.get(square), ...code(v.f32.mul), ...op.get(value), ...code(v.f32.mul)],
    ...[...op.get(value), ...code(v.f32.add)],
    ...[...f32(1), ...f32(2), ...emitExp(twice, local), ...f32(1), ...code(v.f32.add), ...code(v.f32.div)],
    ...[...code(v.f32.sub), ...op.get(value), ...f32(-0), ...code(v.and), ...code(v.or)],
    ...[...op.get(size), ...f32(0.625), ...code(v.f32.lt), ...code(v.bitselect)],
  ];
}
