import type { DType, NumberArray } from '../tensor.ts';

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Bits of the half-precision number nearest to `value` (ties to even). */
export function toHalfBits(value: number): number {
  float[0] = value;
  const x = bits[0];
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above, infinities
  if (magnitude < 0x38800000) {
    // below 2^-14: subnormal halves are multiples of 2^-24
    const scaled = Math.abs(float[0]) * 2 ** 24;
    const whole = Math.floor(scaled);
    const rest = scaled - whole;
    return sign | (whole + (rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? 1 : 0));
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Value of half-precision bits. */
export function fromHalfBits(half: number): number {
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The value that half precision keeps of a number. */
export function roundToHalf(value: number): number {
  return fromHalfBits(toHalfBits(value));
}

/** Bits of every number of `values`. */
export function toHalves(values: ArrayLike<number>): Uint16Array {
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = toHalfBits(values[i]);
  return halves;
}

let table: Float32Array | undefined;

/** The numbers that the bits stand for, by a table: files and tensors have millions. */
export function fromHalves(halves: Uint16Array): Float32Array {
  if (!table) {
    table = new Float32Array(65536);
    for (let i = 0; i < 65536; i++) table[i] = fromHalfBits(i);
  }
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = table[halves[i]];
  return values;
}

/**
 * What tensor.read() gave, as other libraries want it on the host: Float32Array for f32 and f64, Uint32Array for u32, and
 * for f16 a Float16Array, or the bits where the platform has none.
 */
export function hostArray(numbers: NumberArray, dtype: DType): object {
  if (dtype === 'u32') return numbers;
  if (dtype !== 'f16') return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
  const { Float16Array } = globalThis as { Float16Array?: { from(numbers: ArrayLike<number>): object } };
  return Float16Array ? Float16Array.from(numbers) : toHalves(numbers);
}
