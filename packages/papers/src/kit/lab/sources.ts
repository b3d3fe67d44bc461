import type { InputKind } from '../paper.ts';
import type { TokenInputs } from './features.ts';
import { animatedFrames, cutStrip, MAX_FRAMES, pixelsOf, SourceError, videoFrames } from './frames.ts';
import { type ImageHeader, readImageSize } from './image-size.ts';
import { LAB_HEAD_DIM, LAB_HEADS, type Sample, samples } from './settings.ts';
import {
  inputsFromClip,
  inputsFromPixels,
  inputsFromText,
  MAX_PIXELS,
  MAX_TEXT_BYTES,
  type Pixels,
} from './tokens.ts';

/** What a lab runs on, decoded once; tokens are made from it for each grid. */
export type Source = { name: string; notes: readonly string[] } & (
  | { kind: 'image'; pixels: Pixels }
  | { kind: 'clip'; frames: readonly Pixels[] }
  | { kind: 'text'; text: string }
);

/** Where the site serves packages/papers/assets. */
const ASSETS = '/assets-lab/';
/** Longer side that a picture is decoded to; a token never needs more. */
const DECODED_SIDE = 1024;

/** Fetches and decodes one of the lab's own inputs. @throws SourceError when it cannot be fetched */
export async function loadSample(id: string): Promise<Source> {
  const sample = samples.find((one) => one.id === id) as Sample;
  const response = await fetch(`${ASSETS}${sample.file}`).catch(() => undefined);
  if (!response?.ok)
    throw new SourceError(`The sample “${sample.label}” could not be loaded from this server.`);
  if (sample.kind === 'text')
    return { kind: 'text', name: sample.label, notes: [], text: await response.text() };
  const pixels = await decode(await response.blob());
  if (sample.kind === 'image') return { kind: 'image', name: sample.label, notes: [], pixels };
  return { kind: 'clip', name: sample.label, notes: [], frames: cutStrip(pixels, sample.frames ?? 1) };
}

/**
 * Reads the reader's own files in the browser: one picture, a clip (several pictures, an animated picture, a strip of
 * frames side by side, a video) or a text, as the paper takes.
 * @throws SourceError in words: not a picture, too large, empty
 */
export async function loadFiles(files: readonly File[], kinds: readonly InputKind[]): Promise<Source> {
  const [file] = files;
  if (!file) throw new SourceError('No file was chosen.');
  const header = readImageSize(new Uint8Array(await file.slice(0, 1 << 18).arrayBuffer()));
  if (header) return pictureOf(files, header, kinds);
  if (file.type.startsWith('video/')) {
    if (!kinds.includes('clip'))
      throw new SourceError(`${file.name} is a video; this lab takes ${listed(kinds)}.`);
    const { frames, note } = await videoFrames(file);
    return { kind: 'clip', name: file.name, notes: [note], frames };
  }
  if (kinds.includes('text')) return textOf(file);
  throw new SourceError(
    `${file.name} is not a picture that a browser reads (PNG, JPEG, GIF, WebP, BMP); this lab takes ${listed(kinds)}.`,
  );
}

/** One picture, or the frames of an animated one, of a strip or of several pictures, as the paper takes. */
async function pictureOf(
  files: readonly File[],
  header: ImageHeader,
  kinds: readonly InputKind[],
): Promise<Source> {
  const [file] = files;
  const { name } = file;
  if (header.width * header.height > MAX_PIXELS) {
    const mega = Math.round((header.width * header.height) / 1e6);
    throw new SourceError(
      `${name} has ${header.width} x ${header.height} pixels, ${mega} megapixels; allowed: at most ${MAX_PIXELS / 1e6}. It was not decoded.`,
    );
  }
  const clips = kinds.includes('clip');
  if (!clips && !kinds.includes('image'))
    throw new SourceError(`${name} is a picture; this lab takes ${listed(kinds)}.`);
  if (clips && files.length > 1) return severalOf(files);
  const { frames, count, problem } = await animatedFrames(file, header.format, clips ? MAX_FRAMES : 1);
  const moves = count > 1 || problem !== undefined;
  if (clips && frames.length > 1) {
    const notes = frames.length < count ? [`${frames.length} of its ${count} frames are used.`] : [];
    return { kind: 'clip', name, notes, frames };
  }
  if (kinds.includes('image')) {
    const notes = moves ? [problem ?? `The first of its ${count} frames is used.`] : [];
    return { kind: 'image', name, notes, pixels: await decode(file, header) };
  }
  if (problem !== undefined) throw new SourceError(problem);
  return stripOf(file, header);
}

/** Tokens of a source on a grid. @param place how much heads of a picture or clip go by place; 0 for looks alone */
export function tokensOf(
  source: Source,
  grid: readonly number[],
  place = 1,
): TokenInputs & { pieces?: readonly string[] } {
  const shape = { grid, heads: LAB_HEADS, headDim: LAB_HEAD_DIM, place };
  const made =
    source.kind === 'text'
      ? inputsFromText(source.text, shape)
      : source.kind === 'image'
        ? inputsFromPixels(source.pixels, shape)
        : inputsFromClip(source.frames, shape);
  return { ...made, notes: [...source.notes, ...made.notes] };
}

const listed = (kinds: readonly InputKind[]) =>
  kinds
    .map((kind) =>
      kind === 'image'
        ? 'a picture'
        : kind === 'clip'
          ? 'a clip (a video, an animated picture or several pictures)'
          : 'a plain text',
    )
    .join(' or ');

async function textOf(file: File): Promise<Source> {
  const notes =
    file.size > MAX_TEXT_BYTES
      ? [
          `${file.name} has ${(file.size / 1e6).toFixed(0)} MB; only the first ${MAX_TEXT_BYTES / 1e6} MB are read.`,
        ]
      : [];
  const bytes = new Uint8Array(await file.slice(0, MAX_TEXT_BYTES).arrayBuffer());
  // a text has no zero bytes; anything else is a format the lab does not read
  if (bytes.subarray(0, 4096).includes(0) || /^(image|audio|video|font|application\/pdf)/.test(file.type))
    throw new SourceError(`${file.name} is not a plain text; this lab takes text files (UTF-8).`);
  const text = new TextDecoder().decode(bytes);
  if (!/\S/.test(text)) throw new SourceError(`${file.name} has no words in it.`);
  return { kind: 'text', name: file.name, notes, text };
}

async function severalOf(files: readonly File[]): Promise<Source> {
  const frames: Pixels[] = [];
  for (const file of files.slice(0, MAX_FRAMES)) {
    const size = readImageSize(new Uint8Array(await file.slice(0, 1 << 18).arrayBuffer()));
    if (!size || size.width * size.height > MAX_PIXELS)
      throw new SourceError(`${file.name} is not a picture of at most ${MAX_PIXELS / 1e6} megapixels.`);
    frames.push(await decode(file, size));
  }
  const notes = files.length > MAX_FRAMES ? [`Only the first ${MAX_FRAMES} pictures are used.`] : [];
  return { kind: 'clip', name: `${files.length} pictures`, notes, frames };
}

async function stripOf(file: File, header: ImageHeader): Promise<Source> {
  const pixels = await decode(file, header, 4096);
  const count = Math.round(pixels.width / pixels.height / 1.5);
  if (count < 2)
    throw new SourceError(
      `${file.name} is a single picture; a clip is a video, an animated picture, several pictures or a strip of frames.`,
    );
  return {
    kind: 'clip',
    name: file.name,
    notes: [`Read as a strip of ${count} frames.`],
    frames: cutStrip(pixels, count),
  };
}

async function decode(
  blob: Blob,
  size?: { width: number; height: number },
  side = DECODED_SIDE,
): Promise<Pixels> {
  const shrink = size ? Math.min(1, side / Math.max(size.width, size.height)) : 1;
  const resize =
    size && shrink < 1
      ? {
          resizeWidth: Math.max(1, Math.round(size.width * shrink)),
          resizeHeight: Math.max(1, Math.round(size.height * shrink)),
        }
      : {};
  try {
    const bitmap = await createImageBitmap(blob, resize);
    return pixelsOf(bitmap, bitmap);
  } catch {
    throw new SourceError('The picture could not be decoded: the file is damaged or cut off.');
  }
}
