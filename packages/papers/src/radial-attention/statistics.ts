import { bandWidths } from './token-mask.ts';

/** Static masks of a video, compared by what they lose. */
export type VideoMask = 'radial' | 'frames' | 'diagonal';

export interface MaskGeometry {
  frames: number;
  perFrame: number;
}

/** Decay of a synthetic head with distance: weights are softmax(−time |di| − space |dk| + noise). */
export interface HeadDecay {
  time: number;
  space: number;
}

/**
 * Largest kept distance in positions for each distance in frames, −1 for none. All three keep the first frame besides.
 * `radial`: the method's; `frames`: near frames as a whole; `diagonal`: near positions in all frames.
 */
export function maskWidths(
  mask: VideoMask,
  { frames, perFrame }: MaskGeometry,
  reach: { frames: number; positions: number },
): Int32Array {
  if (mask === 'radial') return bandWidths(frames, perFrame);
  return Int32Array.from({ length: frames }, (_, distance) =>
    mask === 'frames' ? (distance <= reach.frames ? perFrame - 1 : -1) : reach.positions,
  );
}

/**
 * The smallest windows that keep at least as many pairs as the radial mask: the budget at which masks are compared.
 */
export function equalReach(geometry: MaskGeometry): { frames: number; positions: number } {
  const budget = density('radial', geometry, { frames: 0, positions: 0 });
  let frames = 0;
  while (frames < geometry.frames - 1 && density('frames', geometry, { frames, positions: 0 }) < budget)
    frames++;
  let positions = 0;
  while (
    positions < geometry.perFrame - 1 &&
    density('diagonal', geometry, { frames: 0, positions }) < budget
  )
    positions++;
  return { frames, positions };
}

/** Share of pairs that a mask keeps, first frame included. */
export function density(
  mask: VideoMask,
  geometry: MaskGeometry,
  reach: { frames: number; positions: number },
): number {
  const { frames, perFrame } = geometry;
  const widths = maskWidths(mask, geometry, reach);
  let kept = 0;
  for (let i = 0; i < frames; i++) {
    for (let j = 0; j < frames; j++) {
      const width = j === 0 ? perFrame - 1 : Math.min(widths[Math.abs(i - j)], perFrame - 1);
      if (width >= 0) kept += perFrame + width * (2 * perFrame - width - 1);
    }
  }
  return kept / (frames * perFrame) ** 2;
}

/**
 * What masks lose of a synthetic head: mean over queries of ‖p̃ − p‖₁, where p is the dense row and p̃ the masked row,
 * renormalised. It equals twice the mass outside the mask, and is computed so.
 * @param random uniform numbers in (0, 1]
 * @param stride every stride-th query only, for a quick look
 */
export function headErrors(
  head: HeadDecay,
  geometry: MaskGeometry,
  masks: readonly Int32Array[],
  random: () => number,
  stride = 1,
): number[] {
  const { frames, perFrame } = geometry;
  const tokens = frames * perFrame;
  const totals = masks.map(() => 0);
  const gaussian = normal(random);
  let queries = 0;
  for (let query = 0; query < tokens; query += stride) {
    const i = Math.floor(query / perFrame);
    const k = query % perFrame;
    let whole = 0;
    const inside = masks.map(() => 0);
    for (let j = 0; j < frames; j++) {
      const frameDistance = Math.abs(i - j);
      for (let l = 0; l < perFrame; l++) {
        const distance = Math.abs(k - l);
        const weight = Math.exp(-head.time * frameDistance - head.space * distance + 0.5 * gaussian());
        whole += weight;
        for (let m = 0; m < masks.length; m++)
          if (j === 0 || distance <= masks[m][frameDistance]) inside[m] += weight;
      }
    }
    for (let m = 0; m < masks.length; m++) totals[m] += 2 * (1 - inside[m] / whole);
    queries++;
  }
  return totals.map((total) => total / queries);
}

/** Standard normal numbers from uniform ones (Box and Muller). */
export function normal(random: () => number): () => number {
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const number = spare;
      spare = undefined;
      return number;
    }
    const radius = Math.sqrt(-2 * Math.log(Math.max(random(), Number.MIN_VALUE)));
    const angle = 2 * Math.PI * random();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/** Decays along time and space of a map of weights, by least squares on the logarithms: log w = c − time |di| − space |dk|. */
export function fitDecay(
  weights: ArrayLike<number>,
  query: number,
  { frames, perFrame }: MaskGeometry,
): HeadDecay & { rSquared: number } {
  const [i, k] = [Math.floor(query / perFrame), query % perFrame];
  const points: [number, number, number][] = [];
  for (let token = 0; token < frames * perFrame; token++) {
    if (weights[token] > 0)
      points.push([
        Math.abs(Math.floor(token / perFrame) - i),
        Math.abs((token % perFrame) - k),
        Math.log(weights[token]),
      ]);
  }
  const count = Math.max(points.length, 1);
  const mean = [0, 1, 2].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / count);
  const covariance = (a: number, b: number) =>
    points.reduce((sum, point) => sum + (point[a] - mean[a]) * (point[b] - mean[b]), 0);
  const [tt, ts, ss, tw, sw, ww] = [
    covariance(0, 0),
    covariance(0, 1),
    covariance(1, 1),
    covariance(0, 2),
    covariance(1, 2),
    covariance(2, 2),
  ];
  const determinant = tt * ss - ts * ts;
  // one frame, or one position a frame: only one of the two decays can be known
  const [slopeTime, slopeSpace] =
    determinant > 1e-9 * Math.max(tt * ss, Number.MIN_VALUE)
      ? [(tw * ss - sw * ts) / determinant, (sw * tt - tw * ts) / determinant]
      : tt > 0
        ? [tw / tt, 0]
        : [0, ss > 0 ? sw / ss : 0];
  const explained = slopeTime * tw + slopeSpace * sw;
  return { time: 0 - slopeTime, space: 0 - slopeSpace, rSquared: ww > 0 ? explained / ww : 1 };
}
