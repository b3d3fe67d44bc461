/** Geometry of the token mask: frames of equal size, an optional sink. */
export interface TokenMaskOptions {
  frames: number;
  perFrame: number;
  sink: boolean;
}

/**
 * Of each distance in frames, the largest distance in positions that is kept; −1 where no pair is.
 * Equations (1) and (2) in one number: the band |k − l| < s / 2ᵉ while it has a width, then its diagonal
 * (width 0) on every ⌈2ᵉ / s⌉-th frame.
 * @returns [frames]
 */
export function bandWidths(frames: number, perFrame: number): Int32Array {
  const widths = new Int32Array(frames);
  let power = 1;
  for (let distance = 0; distance < frames; distance++) {
    if (distance >= 2 * power) power *= 2;
    if (power <= perFrame) widths[distance] = Math.floor(perFrame / power) - 1;
    else widths[distance] = distance % Math.ceil(power / perFrame) === 0 ? 0 : -1;
  }
  return widths;
}

/** Pairs that the token mask keeps, counted without visiting them. */
export function countEntries({ frames, perFrame, sink }: TokenMaskOptions): number {
  let entries = 0;
  bandWidths(frames, perFrame).forEach((width, distance) => {
    const band = bandEntries(perFrame, width);
    // pairs of frames at this distance; with a sink those whose key frame is the first are full
    const pairs = distance === 0 ? frames : 2 * (frames - distance);
    entries += sink ? (pairs - 1) * band + perFrame * perFrame : pairs * band;
  });
  return entries;
}

/** Pairs of positions of one frame at most `width` apart. */
function bandEntries(perFrame: number, width: number): number {
  if (width < 0) return 0;
  const reach = Math.min(width, perFrame - 1);
  return perFrame + reach * (2 * perFrame - reach - 1);
}

/** What a block of queries has with a block of keys. */
export const NOTHING = 0;
export const SOME = 1;
export const EVERYTHING = 2;

/**
 * How much of each pair of blocks the token mask keeps, by interval arithmetic on the pieces of frames in a block.
 * Text and whatever else lies beyond the video is kept with everything.
 * @param tokens video and text tokens
 * @returns [blocks * blocks], row-major: NOTHING, SOME or EVERYTHING
 */
export function touchedBlocks(tokens: number, blockSize: number, options: TokenMaskOptions): Uint8Array {
  const { frames, perFrame, sink } = options;
  const widths = bandWidths(frames, perFrame);
  const blocks = Math.ceil(tokens / blockSize);
  const pieces = Array.from({ length: blocks }, (_, block) =>
    piecesOf(block * blockSize, Math.min((block + 1) * blockSize, tokens), frames, perFrame),
  );
  const touched = new Uint8Array(blocks * blocks);
  for (let row = 0; row < blocks; row++) {
    for (let column = 0; column < blocks; column++) {
      let some = false;
      let every = true;
      for (const a of pieces[row]) {
        for (const b of pieces[column]) {
          if (a.frame === TEXT || b.frame === TEXT || (sink && b.frame === 0)) {
            some = true;
            continue;
          }
          const width = widths[Math.abs(a.frame - b.frame)];
          const nearest = Math.max(0, a.first - b.last, b.first - a.last);
          const farthest = Math.max(a.last - b.first, b.last - a.first);
          if (nearest <= width) some = true;
          if (farthest > width) every = false;
        }
        if (some && !every) break;
      }
      touched[row * blocks + column] = some ? (every ? EVERYTHING : SOME) : NOTHING;
    }
  }
  return touched;
}

const TEXT = -1;

/** Runs of positions of one frame inside [start, end): frame (TEXT beyond the video), first and last position. */
function piecesOf(start: number, end: number, frames: number, perFrame: number) {
  const pieces: { frame: number; first: number; last: number }[] = [];
  for (let token = start; token < end; ) {
    const frame = Math.floor(token / perFrame);
    if (frame >= frames) {
      pieces.push({ frame: TEXT, first: 0, last: 0 });
      break;
    }
    const next = Math.min((frame + 1) * perFrame, end);
    pieces.push({ frame, first: token - frame * perFrame, last: next - 1 - frame * perFrame });
    token = next;
  }
  return pieces;
}
