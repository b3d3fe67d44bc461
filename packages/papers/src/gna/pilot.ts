import { seeded } from '../kit/lab/features.ts';
import { windowOf } from '../kit/windows.ts';

/**
 * Error of windowed against dense attention where scores fall with distance:
 * score = −r² / (2 sigma²) + 0.5 noise on a side x side grid, values of 16 normal numbers.
 * @returns ‖o − o_dense‖ / ‖o_dense‖
 */
export function windowError(pilot: {
  side: number;
  window: number;
  stride: number;
  sigma: number;
  seed: number;
}): number {
  const { side, window, stride, sigma, seed } = pilot;
  const width = 16;
  const tokens = side * side;
  const normal = normalNumbers(seed);
  const values = Float64Array.from({ length: tokens * width }, normal);
  const axis = { length: side, window, stride, dilation: 1, causal: false };
  const windows = Array.from({ length: side }, (_, i) => windowOf(axis, i, side));
  let difference = 0;
  let size = 0;
  const dense = new Float64Array(width);
  const local = new Float64Array(width);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let denseSum = 0;
      let localSum = 0;
      dense.fill(0);
      local.fill(0);
      for (let v = 0; v < side; v++) {
        for (let u = 0; u < side; u++) {
          // the noise lifts exp by at most e^3 in practice: no maximum needs to be taken off
          const weight = Math.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * sigma * sigma) + 0.5 * normal());
          const inside = v >= windows[y][0] && v < windows[y][1] && u >= windows[x][0] && u < windows[x][1];
          denseSum += weight;
          if (inside) localSum += weight;
          const at = (v * side + u) * width;
          for (let d = 0; d < width; d++) {
            dense[d] += weight * values[at + d];
            if (inside) local[d] += weight * values[at + d];
          }
        }
      }
      for (let d = 0; d < width; d++) {
        difference += (local[d] / localSum - dense[d] / denseSum) ** 2;
        size += (dense[d] / denseSum) ** 2;
      }
    }
  }
  return Math.sqrt(difference / size);
}

/** Standard normal numbers from a seed (Box-Muller), two from each pair of uniform ones. */
function normalNumbers(seed: number): () => number {
  const uniform = seeded(seed);
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
