import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ArgumentError } from '@saccade/attention';
import {
  type InputKind,
  inputsFromClip,
  inputsFromPixels,
  inputsFromText,
  MAX_PIXELS,
  MAX_TEXT_BYTES,
  type Paper,
  type Pixels,
  type TokenInputs,
} from '@saccade/papers/kit';
import { readStart, sizeOfInput } from './files.ts';
import { repository } from './machine.ts';

export interface InputOptions {
  image?: string;
  clip?: string;
  text?: string;
  frames?: string;
  grid?: string;
}

/** Tokens made from a file, and what to tell about them. */
export interface MadeInputs {
  kind: InputKind;
  /** Name of the file, without its folder. */
  source: string;
  tokens: TokenInputs;
}

const axes: Record<InputKind, number> = { text: 1, image: 2, clip: 3 };
const defaultGrid: Record<InputKind, readonly number[]> = {
  text: [1024],
  image: [32, 32],
  clip: [8, 16, 16],
};
const smallGrid: Record<InputKind, readonly number[]> = { text: [256], image: [16, 16], clip: [4, 8, 8] };
const ours: Record<InputKind, string> = { text: 'moby-dick.txt', image: 'alps.jpg', clip: 'cat-trot.jpg' };
const OUR_CLIP_FRAMES = 12;
/** Tokens of one run; the plan and the sampled rows of more do not fit a command's patience. */
const MAX_TOKENS = 262_144;

/** Query, key and value from the caller's picture, clip or text, or from the one that comes with Saccade. */
export async function makeInputs(paper: Paper, options: InputOptions, small: boolean): Promise<MadeInputs> {
  const given = (['image', 'clip', 'text'] as const).filter((kind) => options[kind] !== undefined);
  if (given.length > 1)
    throw new ArgumentError(
      'saccade',
      'input',
      given.map((kind) => `--${kind}`).join(' and '),
      'one of --image, --clip, --text',
    );
  const kind = given[0] ?? paper.inputs[0];
  if (!paper.inputs.includes(kind))
    throw new ArgumentError(
      'saccade',
      `--${kind}`,
      `an input that ${paper.slug} does not take`,
      paper.inputs.map((one) => `--${one}`).join(', '),
    );
  const grid = parseGrid(options.grid, kind) ?? (small ? smallGrid : defaultGrid)[kind];
  const path = options[kind] ?? join(repository, 'packages/papers/assets', ours[kind]);
  const source = basename(path);
  if (kind === 'text') return { kind, source, tokens: await fromText(path, grid) };
  if (kind === 'image')
    return { kind, source, tokens: inputsFromPixels(await decode('--image', path), { grid }) };
  const strip = options.frames ?? (options.clip === undefined ? String(OUR_CLIP_FRAMES) : undefined);
  return { kind, source, tokens: inputsFromClip(await readClip(path, strip), { grid }) };
}

/** `32x32` as [32, 32]; undefined where nothing is given. */
export function parseGrid(text: string | undefined, kind: InputKind): number[] | undefined {
  if (text === undefined) return undefined;
  const sizes = text.split(/[x×,]/).map(Number);
  const allowed = `${axes[kind]} whole numbers of at least 1 joined by x, as in ${defaultGrid[kind].join('x')}`;
  if (sizes.length !== axes[kind] || !sizes.every((size) => Number.isInteger(size) && size >= 1))
    throw new ArgumentError('saccade', '--grid', text, allowed);
  const tokens = sizes.reduce((product, size) => product * size, 1);
  if (tokens > MAX_TOKENS)
    throw new ArgumentError('saccade', '--grid', `${text}, ${tokens} tokens`, `at most ${MAX_TOKENS} tokens`);
  return sizes;
}

async function fromText(path: string, grid: readonly number[]): Promise<TokenInputs> {
  const size = await sizeOfInput('--text', path);
  const bytes = await readStart('--text', path, MAX_TEXT_BYTES);
  if (bytes.includes(0))
    throw new ArgumentError('saccade', '--text', `${path}, which holds zero bytes`, 'a text in UTF-8');
  let text: string;
  try {
    // The cut may go through a letter: the stream form keeps its first bytes back instead of failing.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: size > bytes.length });
  } catch {
    throw new ArgumentError('saccade', '--text', `${path}, which is not UTF-8`, 'a text in UTF-8');
  }
  if (text.trim() === '')
    throw new ArgumentError('saccade', '--text', `${path}, which is blank`, 'a text with at least one word');
  const made = inputsFromText(text, { grid });
  if (size <= bytes.length) return made;
  const note = `The file has ${size} bytes; only its first ${MAX_TEXT_BYTES} were read.`;
  return { ...made, notes: [note, ...made.notes] };
}

/** RGBA of a picture. Its size is read from the header first, so that a huge one is refused before it is decoded. */
async function decode(argument: string, path: string, page = 0): Promise<Pixels> {
  await sizeOfInput(argument, path);
  const sharp = await loadSharp();
  const { width, height } = await sizeOfPicture(argument, path);
  if (width * height > MAX_PIXELS)
    throw new ArgumentError(
      'saccade',
      argument,
      `${path}, ${width} x ${height} = ${Math.round((width * height) / 1e6)} megapixels`,
      `at most ${MAX_PIXELS / 1e6} megapixels`,
    );
  try {
    const { data, info } = await sharp(path, { page, limitInputPixels: MAX_PIXELS })
      .rotate()
      .toColourspace('srgb')
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data };
  } catch (error) {
    throw unreadable(argument, path, error);
  }
}

async function sizeOfPicture(
  argument: string,
  path: string,
): Promise<{ width: number; height: number; pages: number }> {
  const sharp = await loadSharp();
  try {
    const {
      width,
      height,
      pageHeight,
      pages = 1,
    } = await sharp(path, { limitInputPixels: false }).metadata();
    return { width, height: pageHeight ?? height, pages };
  } catch (error) {
    throw unreadable(argument, path, error);
  }
}

const unreadable = (argument: string, path: string, error: unknown) =>
  new ArgumentError(
    'saccade',
    argument,
    `${path}, which cannot be decoded (${(error as Error).message.split('\n')[0]})`,
    'a whole picture in PNG, JPEG, WebP, GIF, AVIF or TIFF',
  );

/** Loaded only where there is a picture: it brings a native library. */
async function loadSharp() {
  return (await import('sharp')).default;
}

/** Frames of an animated picture, of a folder of pictures, or of a strip of equal frames side by side. */
async function readClip(path: string, strip: string | undefined): Promise<Pixels[]> {
  const argument = '--clip';
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) {
    const names = (await readdir(path)).filter((name) => /\.(png|jpe?g|webp|gif|avif|tiff?)$/i.test(name));
    if (names.length === 0)
      throw new ArgumentError(
        'saccade',
        argument,
        `${path}, a folder without pictures`,
        'a folder of frames',
      );
    names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const frames: Pixels[] = [];
    for (const name of spread(names)) frames.push(await shrink(await decode(argument, join(path, name))));
    return frames;
  }
  await sizeOfInput(argument, path);
  const { pages } = await sizeOfPicture(argument, path);
  if (pages > 1) {
    const frames: Pixels[] = [];
    for (const page of spread(Array.from({ length: pages }, (_, index) => index)))
      frames.push(await shrink(await decode(argument, path, page)));
    return frames;
  }
  if (strip === undefined)
    throw new ArgumentError(
      'saccade',
      argument,
      `${path}, a picture with one frame`,
      'an animated GIF or WebP, a folder of frames, or a strip with --frames',
    );
  return cutStrip(await decode(argument, path), strip);
}

/** At most 64 of them, evenly: a grid has fewer frames than that. */
function spread<T>(items: readonly T[]): T[] {
  const count = Math.min(64, items.length);
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]);
}

/** Frames are kept small: 64 of a camera's size would fill the memory, and a token needs few pixels. */
async function shrink(pixels: Pixels): Promise<Pixels> {
  const sharp = await loadSharp();
  const { data, info } = await sharp(pixels.data as Uint8Array, {
    raw: { width: pixels.width, height: pixels.height, channels: 4 },
  })
    .resize({ width: 512, height: 512, fit: 'inside', withoutEnlargement: true })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

function cutStrip({ width, height, data }: Pixels, frames: string): Pixels[] {
  const count = Number(frames);
  if (!Number.isInteger(count) || count < 1 || width % count !== 0)
    throw new ArgumentError(
      'saccade',
      '--frames',
      frames,
      `a number that divides the strip's width of ${width} pixels`,
    );
  const each = width / count;
  return Array.from({ length: count }, (_, frame) => {
    const pixels = new Uint8Array(each * height * 4);
    for (let y = 0; y < height; y++) {
      const from = (y * width + frame * each) * 4;
      pixels.set((data as Uint8Array).subarray(from, from + each * 4), y * each * 4);
    }
    return { width: each, height, data: pixels };
  });
}
