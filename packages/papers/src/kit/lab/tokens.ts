import { ArgumentError } from '@saccade/attention';
import { type HeadWeights, queryKeyValue, seededNormal, type TokenInputs } from './features.ts';

/** Pixels as canvas and sharp give them. */
export interface Pixels {
  width: number;
  height: number;
  data: ArrayLike<number>; // RGBA, 0..255, row-major
}

/** Sub-pixels a token has on each side: values keep this much detail, so that outputs can be shown as pictures. */
export const DETAIL = 4;
const RESIDUALS = DETAIL * DETAIL;
/** Channels of value that make a picture: mean red, green, blue, then the brightness of each sub-pixel above the mean. */
export const PICTURE_CHANNELS = 3 + RESIDUALS;
/** Larger pictures are refused before they are decoded. */
export const MAX_PIXELS = 100_000_000;
/** More text than this is not read. */
export const MAX_TEXT_BYTES = 10_000_000;

const pictureHeads: readonly HeadWeights[] = [
  { bandwidth: 0.05, position: 0 },
  { bandwidth: 0.07, position: 0.25 },
  { bandwidth: 0.09, position: 0.8 },
  { bandwidth: 0.12, position: 2 },
];
const textHeads: readonly HeadWeights[] = [
  { bandwidth: 0.28, position: 0 },
  { bandwidth: 0.35, position: 1 },
  { bandwidth: 0.45, position: 4 },
  { bandwidth: 0.6, position: 14 },
];

/** The bandwidths go round when a caller wants more heads than there are. */
const headsOf = (table: readonly HeadWeights[], count: number) =>
  Array.from({ length: count }, (_, head) => table[head % table.length]);

export interface PictureOptions {
  grid: readonly number[];
  heads?: number;
  headDim?: number;
  /** Multiplies how much each head goes by place: 0 for looks alone. */
  place?: number;
}

/**
 * A picture as tokens on a grid: cropped to the grid's shape from the middle, one token a patch.
 * query = key = colour, texture and place of the patch (see queryKeyValue); value = the patch itself.
 * @param pixels RGBA
 * @throws ArgumentError if the grid has not two axes, the picture is empty or larger than MAX_PIXELS
 */
export function inputsFromPixels(pixels: Pixels, options: PictureOptions): TokenInputs {
  const { grid } = options;
  checkGrid('inputsFromPixels', grid, 2);
  return fromFrames('inputsFromPixels', [pixels], [1, grid[0], grid[1]], grid, options);
}

/**
 * A clip as tokens on a grid [frames, height, width]; frames are spread evenly over the clip.
 * @throws ArgumentError as inputsFromPixels(), and if there is no frame
 */
export function inputsFromClip(frames: readonly Pixels[], options: PictureOptions): TokenInputs {
  const { grid } = options;
  checkGrid('inputsFromClip', grid, 3);
  if (frames.length === 0) throw new ArgumentError('inputsFromClip', 'frames', '0 frames', 'at least 1');
  const chosen = Array.from(
    { length: grid[0] },
    (_, f) => frames[Math.min(frames.length - 1, Math.floor((f * frames.length) / grid[0]))],
  );
  const notes =
    frames.length < grid[0] ? [`The clip has ${frames.length} frames; some are shown more than once.`] : [];
  const made = fromFrames('inputsFromClip', chosen, [grid[0], grid[1], grid[2]], grid, options);
  return { ...made, notes: [...notes, ...made.notes] };
}

function fromFrames(
  where: string,
  frames: readonly Pixels[],
  [frameCount, height, width]: readonly [number, number, number],
  grid: readonly number[],
  { heads = 4, headDim = 32, place = 1 }: PictureOptions,
): TokenInputs {
  if (headDim < 4) throw new ArgumentError(where, 'headDim', headDim, 'at least 4');
  const tokens = frameCount * height * width;
  const channels = 3 + RESIDUALS;
  const axes = frameCount > 1 ? 3 : 2;
  const patches = new Float32Array(tokens * channels);
  const position = new Float32Array(tokens * axes);
  const side = Math.max(height, width);
  frames.forEach((frame, f) => {
    checkPixels(where, frame);
    const small = resample(frame, width * DETAIL, height * DETAIL);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const token = (f * height + y) * width + x;
        patchOf(small, width * DETAIL, y, x, patches, token * channels);
        const at = token * axes;
        if (axes === 3) position[at] = f / Math.max(frameCount, 8);
        position[at + axes - 2] = y / side;
        position[at + axes - 1] = x / side;
      }
    }
  });
  const values = new Float32Array(tokens * headDim);
  for (let token = 0; token < tokens; token++) {
    for (let c = 0; c < Math.min(channels, headDim); c++)
      values[token * headDim + c] = patches[token * channels + c];
  }
  const made = queryKeyValue({
    appearance: standardised(patches, channels),
    channels,
    position,
    axes,
    values,
    heads: headsOf(pictureHeads, heads).map((head) => ({ ...head, position: place * head.position })),
    headDim,
  });
  return { ...made, shape: [1, heads, tokens, headDim], grid: [...grid], notes: [] };
}

/** Mean colour, then brightness of each sub-pixel above its mean, all on a scale where black is 0 and white is 1. */
function patchOf(
  small: Float32Array,
  stride: number,
  y: number,
  x: number,
  into: Float32Array,
  at: number,
): void {
  let mean = 0;
  for (let i = 0; i < RESIDUALS; i++) {
    const pixel = ((y * DETAIL + Math.floor(i / DETAIL)) * stride + x * DETAIL + (i % DETAIL)) * 3;
    for (let c = 0; c < 3; c++) into[at + c] += small[pixel + c] / RESIDUALS;
    const light = (small[pixel] + small[pixel + 1] + small[pixel + 2]) / 3;
    into[at + 3 + i] = light;
    mean += light / RESIDUALS;
  }
  for (let i = 0; i < RESIDUALS; i++) into[at + 3 + i] -= mean;
}

/** Faint pictures are stretched, so that one table of bandwidths serves all; texture counts less than colour. */
function standardised(patches: Float32Array, channels: number): Float32Array {
  const tokens = patches.length / channels;
  let mean = 0;
  let squares = 0;
  for (let token = 0; token < tokens; token++) {
    const light = patches[token * channels + 1];
    mean += light / tokens;
    squares += (light * light) / tokens;
  }
  const gain = 0.25 / Math.max(Math.sqrt(Math.max(squares - mean * mean, 0)), 0.02);
  return patches.map((x, i) => x * gain * (i % channels < 3 ? 0.6 : 0.35));
}

/** The middle of a picture with the aspect ratio of `width` by `height`: pixels a step, and where it begins. */
export function cropOf(
  pixels: Pick<Pixels, 'width' | 'height'>,
  width: number,
  height: number,
): { scale: number; left: number; top: number } {
  const scale = Math.min(pixels.width / width, pixels.height / height);
  return { scale, left: (pixels.width - width * scale) / 2, top: (pixels.height - height * scale) / 2 };
}

/** Area-averaged copy of the middle of a picture with the target's aspect ratio. @returns [height, width, 3] in 0..1 */
export function resample(pixels: Pixels, width: number, height: number): Float32Array {
  const { scale, left, top } = cropOf(pixels, width, height);
  const small = new Float32Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const y0 = Math.min(pixels.height - 1, Math.floor(top + y * scale));
    const y1 = Math.min(pixels.height, Math.max(y0 + 1, Math.floor(top + (y + 1) * scale)));
    for (let x = 0; x < width; x++) {
      const x0 = Math.min(pixels.width - 1, Math.floor(left + x * scale));
      const x1 = Math.min(pixels.width, Math.max(x0 + 1, Math.floor(left + (x + 1) * scale)));
      const sum = [0, 0, 0];
      for (let v = y0; v < y1; v++)
        for (let u = x0; u < x1; u++)
          for (let c = 0; c < 3; c++) sum[c] += pixels.data[(v * pixels.width + u) * 4 + c];
      const area = (y1 - y0) * (x1 - x0) * 255;
      for (let c = 0; c < 3; c++) small[(y * width + x) * 3 + c] = sum[c] / area;
    }
  }
  return small;
}

/** Words with the space before them, and punctuation marks: joined they are the text again. */
export function splitText(text: string): string[] {
  return text.match(/\s*(?:[\p{L}\p{N}'’]+|[^\p{L}\p{N}\s])|\s+$/gu) ?? [];
}

/** A text as tokens, with the pieces they stand for. */
export interface TextInputs extends TokenInputs {
  pieces: readonly string[]; // [tokens]
}

/**
 * The first `grid[0]` words of a text. A word's features are the hashed three-letter runs in it, mixed with those of
 * the two words before it; query = key = features and place, value = features.
 * @throws ArgumentError if the text has no words or the grid has not one axis
 */
export function inputsFromText(
  text: string,
  options: { grid: readonly number[]; heads?: number; headDim?: number },
): TextInputs {
  const where = 'inputsFromText';
  const { grid, heads = 4, headDim = 32 } = options;
  checkGrid(where, grid, 1);
  // a word of this many letters is the longest that is likely: no need to split what will not be read
  const head = text.slice(0, grid[0] * 40);
  const all = splitText(head);
  if (all.length === 0) throw new ArgumentError(where, 'text', 'without a word', 'at least one word');
  const notes: string[] = [];
  const wanted = grid[0];
  const pieces = all.slice(0, wanted);
  if (all.length > wanted || head.length < text.length)
    notes.push(`Only the first ${wanted} words and marks of the text are used.`);
  if (pieces.length < wanted) {
    notes.push(`The text has ${pieces.length} words and marks; it is repeated to fill ${wanted}.`);
    for (let i = 0; pieces.length < wanted; i++) pieces.push(pieces[i]);
  }
  const channels = Math.max(2, headDim - 2);
  const words = new Float32Array(wanted * channels);
  pieces.forEach((piece, token) => {
    words.set(wordFeatures(piece, channels), token * channels);
  });
  const mixed = words.map((x, i) => {
    const before = i >= channels ? words[i - channels] : 0;
    const twoBefore = i >= 2 * channels ? words[i - 2 * channels] : 0;
    return x + 0.35 * before + 0.15 * twoBefore;
  });
  const position = Float32Array.from({ length: wanted }, (_, token) => token / 1024);
  const values = new Float32Array(wanted * headDim);
  for (let token = 0; token < wanted; token++) {
    for (let c = 0; c < Math.min(channels, headDim); c++)
      values[token * headDim + c] = words[token * channels + c];
  }
  const made = queryKeyValue({
    appearance: mixed,
    channels,
    position,
    axes: 1,
    values,
    heads: headsOf(textHeads, heads),
    headDim,
  });
  return { ...made, shape: [1, heads, wanted, headDim], grid: [...grid], pieces, notes };
}

const known = new Map<string, Float32Array>();

/** Sum of one fixed random vector a three-letter run, scaled to length 1: words that share letters lie close. */
function wordFeatures(piece: string, channels: number): Float32Array {
  const word = `<${piece.trim().toLowerCase()}>`;
  const name = `${channels}:${word}`;
  const cached = known.get(name);
  if (cached) return cached;
  const features = new Float32Array(channels);
  for (let i = 0; i + 3 <= Math.max(word.length, 3); i++) {
    const normal = seededNormal(hash(word.slice(i, i + 3)));
    for (let c = 0; c < channels; c++) features[c] += normal();
  }
  const length = Math.hypot(...features) || 1;
  for (let c = 0; c < channels; c++) features[c] /= length;
  if (known.size > 20_000) known.clear();
  known.set(name, features);
  return features;
}

/** FNV-1a. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

function checkGrid(where: string, grid: readonly number[], axes: number): void {
  if (grid.length !== axes || !grid.every((size) => Number.isInteger(size) && size >= 1))
    throw new ArgumentError(where, 'grid', `[${grid.join(', ')}]`, `${axes} integers of at least 1`);
}

function checkPixels(where: string, { width, height, data }: Pixels): void {
  const given = `${width} x ${height} pixels`;
  if (!(width >= 1 && height >= 1)) throw new ArgumentError(where, 'picture', given, 'at least 1 x 1');
  if (width * height > MAX_PIXELS)
    throw new ArgumentError(where, 'picture', given, `at most ${MAX_PIXELS / 1e6} megapixels`);
  if (data.length !== width * height * 4)
    throw new ArgumentError(
      where,
      'picture',
      `${data.length} bytes`,
      `${width * height * 4}, RGBA of ${given}`,
    );
}
