import { type AttendOptions, attend, table } from '@saccade/attention';
import { relativeError } from '../kit/compare.ts';
import { type HeadWeights, queryKeyValue, seeded, seededNormal } from '../kit/lab/features.ts';
import type { Trial } from '../kit/paper.ts';
import { radialPlan } from './mechanism.ts';
import { type Options, options as schema } from './paper.ts';
import { density, equalReach, maskWidths } from './statistics.ts';

/** Side of a frame of the toy clip, in pixels; a pixel is a token. */
export const TOY_SIDE = 12;
const PATCH = 5;
const HEAD_DIM = 16;
/** How near two patches must be to be averaged, in units of the noise between two equal ones. */
const NEARNESS = 0.6;
/** How far a head along time looks in pixels, and one around the frame in frames: standard deviations. */
const PLACE_REACH = 1;
const FRAME_REACH = 0.7;

export const denoisers = ['dense', 'radial', 'frames', 'diagonal'] as const;
export type Denoiser = (typeof denoisers)[number];

export interface Denoised {
  frames: number;
  clean: Float32Array; // [frames, TOY_SIDE, TOY_SIDE], 0 to 1
  noisy: Float32Array; // like clean
  results: {
    name: Denoiser;
    picture: Float32Array; // like clean
    /** Share of the pairs that the mask keeps. */
    density: number;
    /** Root mean square error where the clean clip has a dot, and elsewhere: noise that is left, and ghosts. */
    dotError: number;
    groundError: number;
    /** ‖picture − dense‖ / ‖dense‖: what the mask itself changes. */
    differsFromDense: number;
  }[];
  noisyDotError: number;
  noisyGroundError: number;
}

/**
 * Ringed dots that move straight on over a ground that stays, and come in again on the other side. What is needed to
 * tell a ground pixel from noise lies at the same place in other frames; of a dot, at other places.
 * @returns clip [frames, TOY_SIDE, TOY_SIDE] and, like it, 1 where a dot is
 */
export function movingDots(frames: number, seed = 5): { clip: Float32Array; dots: Uint8Array } {
  const random = seeded(seed);
  const ground = smoothGround(random);
  const paths = Array.from({ length: 2 }, (_, i) => ({
    x: Math.floor(random() * TOY_SIDE),
    y: Math.floor((i * TOY_SIDE) / 2 + (random() * TOY_SIDE) / 4),
    u: i === 0 ? 2 : -1,
    v: i === 0 ? 1 : 0,
  }));
  const clip = new Float32Array(frames * TOY_SIDE * TOY_SIDE);
  const dots = new Uint8Array(clip.length);
  for (let token = 0; token < clip.length; token++) {
    const frame = Math.floor(token / TOY_SIDE ** 2);
    const [y, x] = [Math.floor(token / TOY_SIDE) % TOY_SIDE, token % TOY_SIDE];
    clip[token] = ground[token % TOY_SIDE ** 2];
    for (const { x: left, y: top, u, v } of paths) {
      const radius = Math.hypot(apart(x, left + u * frame), apart(y, top + v * frame));
      if (radius >= 2.5) continue;
      clip[token] = radius < 1.3 ? 1 : 0;
      dots[token] = 1;
    }
  }
  return { clip, dots };
}

/** Distance on a circle, so that a dot at the rim is whole. */
function apart(a: number, b: number): number {
  const d = (((a - b) % TOY_SIDE) + TOY_SIDE) % TOY_SIDE;
  return Math.min(d, TOY_SIDE - d);
}

/** A few waves: no two places look alike. @returns [TOY_SIDE, TOY_SIDE], around 0.5 */
function smoothGround(random: () => number): Float32Array {
  const waves = Array.from({ length: 6 }, () => ({
    down: Math.floor(random() * 4) - 1,
    across: 1 + Math.floor(random() * 3),
    phase: 2 * Math.PI * random(),
  }));
  return Float32Array.from({ length: TOY_SIDE ** 2 }, (_, place) => {
    const [y, x] = [Math.floor(place / TOY_SIDE), place % TOY_SIDE];
    const sum = waves.reduce(
      (all, { down, across, phase }) =>
        all + Math.sin((2 * Math.PI * (down * y + across * x)) / TOY_SIDE + phase),
      0,
    );
    return 0.5 + sum / 12.5;
  });
}

/** Brightness of the pixels around each pixel of its frame, around the corner at the rim. @returns [tokens, PATCH²] */
function patches(clip: Float32Array): Float32Array {
  const channels = PATCH * PATCH;
  const around = new Float32Array(clip.length * channels);
  const wrap = (i: number) => (i + TOY_SIDE) % TOY_SIDE;
  for (let token = 0; token < clip.length; token++) {
    const first = token - (token % TOY_SIDE ** 2);
    const [y, x] = [Math.floor(token / TOY_SIDE) % TOY_SIDE, token % TOY_SIDE];
    for (let c = 0; c < channels; c++) {
      const row = wrap(y + Math.floor(c / PATCH) - (PATCH >> 1));
      const column = wrap(x + (c % PATCH) - (PATCH >> 1));
      around[token * channels + c] = clip[first + row * TOY_SIDE + column];
    }
  }
  return around;
}

/** What a head goes by besides likeness: pixels of about the same place in any frame, or of about the same frame. */
export type HeadKind = 'along time' | 'around the frame';

/** Coordinates of a pixel that the head goes by, in units that it tells apart. @returns [tokens, 3] */
function places(head: HeadKind, tokens: number): Float32Array {
  const position = new Float32Array(tokens * 3);
  for (let token = 0; token < tokens; token++) {
    if (head === 'along time') {
      position[token * 3 + 1] = (Math.floor(token / TOY_SIDE) % TOY_SIDE) / PLACE_REACH;
      position[token * 3 + 2] = (token % TOY_SIDE) / PLACE_REACH;
    } else position[token * 3] = Math.floor(token / TOY_SIDE ** 2) / FRAME_REACH;
  }
  return position;
}

/**
 * A noisy clip of moving dots, each pixel replaced by what attention makes of it: query and key are a random projection
 * of the noisy patch around a pixel, the value is the pixel. Masks of equal budget beside dense attention.
 */
export const denoise: Trial<Options, { noise: number; frames: number; head: HeadKind }, Denoised> = async (
  run,
) => {
  const { device, settings, signal, progress } = run;
  const { noise, frames, head } = settings;
  const geometry = { frames, perFrame: TOY_SIDE ** 2 };
  const { clip: clean, dots } = movingDots(frames);
  const normal = seededNormal(11);
  const noisy = clean.map((light) => light + noise * normal());
  const tokens = clean.length;
  const values = new Float32Array(tokens * HEAD_DIM);
  noisy.forEach((light, token) => {
    values[token * HEAD_DIM] = light;
  });
  // two equal patches lie noise · sqrt(2) · PATCH apart
  const bandwidth = Math.max(NEARNESS * noise * PATCH, 0.05);
  const heads: readonly HeadWeights[] = [{ bandwidth, position: bandwidth }];
  const made = queryKeyValue({
    appearance: patches(noisy),
    channels: PATCH * PATCH,
    position: places(head, tokens),
    axes: 3,
    values,
    heads,
    headDim: HEAD_DIM,
  });
  const shape = [1, 1, tokens, HEAD_DIM];
  const tensors = [made.query, made.key, made.value].map((numbers) => device.tensor(numbers, shape));
  const [query, key, value] = tensors;
  const reach = equalReach(geometry);
  const attended = (name: Denoiser): AttendOptions => {
    if (name === 'dense') return {};
    if (name === 'radial')
      return { plan: radialPlan(tokens, schema.parse({ grid: [frames, TOY_SIDE, TOY_SIDE], sink: true })) };
    const widths = table(maskWidths(name, geometry, reach), [frames]);
    const { perFrame } = geometry;
    return {
      mask: (at) =>
        at.query
          .mod(perFrame)
          .sub(at.key.mod(perFrame))
          .abs()
          .le(at.readInt(widths, at.query.div(perFrame).sub(at.key.div(perFrame)).abs()))
          .or(at.key.lt(perFrame)),
    };
  };
  const results: Denoised['results'] = [];
  const errors = (picture: ArrayLike<number>) => errorsOf(picture, clean, dots);
  const [noisyDotError, noisyGroundError] = errors(noisy);
  try {
    for (const [index, name] of denoisers.entries()) {
      signal.throwIfAborted();
      progress(index / denoisers.length, name);
      const { output, logSumExp } = await attend(query, key, value, { ...attended(name), signal });
      logSumExp.dispose();
      const read = await output.read();
      output.dispose();
      const picture = Float32Array.from({ length: tokens }, (_, token) => read[token * HEAD_DIM]);
      const [dotError, groundError] = errors(picture);
      const kept = name === 'dense' ? 1 : density(name, geometry, reach);
      const differsFromDense = relativeError(picture, results[0]?.picture ?? picture);
      results.push({ name, picture, density: kept, dotError, groundError, differsFromDense });
    }
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
  return { frames, clean, noisy, results, noisyDotError, noisyGroundError };
};

/** Root mean square errors on the dots and elsewhere. */
function errorsOf(
  picture: ArrayLike<number>,
  clean: Float32Array,
  dots: Uint8Array,
): [dots: number, ground: number] {
  const sums = [0, 0];
  const counts = [0, 0];
  clean.forEach((light, token) => {
    const part = dots[token] ? 0 : 1;
    sums[part] += (picture[token] - light) ** 2;
    counts[part]++;
  });
  const root = (part: number) => Math.sqrt(sums[part] / Math.max(counts[part], 1));
  return [root(0), root(1)];
}
