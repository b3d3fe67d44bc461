/**
 * Softmax weights as integers, so that sums do not depend on their order and every device chooses the same set:
 * weight(d) = exp(−d) · 2^24, d = maximum − score in f32. d is cut to steps of 2^-16; its upper part indexes a table,
 * its lower 8 bits correct linearly (the square that is left out is below 2^-17 of the weight).
 */
export const WEIGHT_ONE = 2 ** 24;
const STEPS = 256; // of the table, in a unit of d
/** exp(-18) · 2^24 < 1/2. */
const LONGEST = 18;
/** Sums are kept as high · 2^12 + low: high stays below 2^32 for a million weights. */
export const MOST_WEIGHTS = 2 ** 20 - 1;

/** exp(−i / 256) · 2^24, rounded. */
export const weightTable = /* @__PURE__ */ Uint32Array.from({ length: LONGEST * STEPS }, (_, i) =>
  Math.round(Math.exp(-i / STEPS) * WEIGHT_ONE),
);

/** Weight of a score: WEIGHT_ONE at the row's maximum; 0 for -Infinity and NaN, also where the whole row is that. */
export function weightOf(score: number, maximum: number): number {
  if (Number.isNaN(score) || score === -Infinity) return 0;
  if (score === maximum) return WEIGHT_ONE;
  const difference = Math.fround(maximum - score);
  if (difference >= LONGEST) return 0;
  const steps = Math.floor(difference * 65536);
  const weight = weightTable[steps >> 8];
  return weight - Math.floor((weight * (steps & 255)) / 65536);
}

/** The part of a total that must be reached: floor(total · share / 2^16). Exact below 2^53 · 2^-17. */
export function massOfShare(total: number, share: number): number {
  const low = total % 65536;
  return Math.floor(total / 65536) * share + Math.floor((low * share) / 65536);
}
