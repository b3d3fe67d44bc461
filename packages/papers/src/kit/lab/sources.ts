import type { InputKind } from '../paper.ts';
import type { TokenInputs } from './features.ts';
import { readImageSize } from './image-size.ts';
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

/** A message for the reader: the file cannot be used, and what could be. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

/** Where the site serves packages/papers/assets. */
const ASSETS = '/assets-lab/';
/** Longer side that a picture is decoded to; a token never needs more. */
const DECODED_SIDE = 1024;
const MAX_FRAMES = 64;

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
 * Reads the reader's own files in the browser. One picture, a clip (several pictures, an animated picture, a strip of
 * frames side by side, a video) or a text, as the paper takes.
 * @throws SourceError in words: not a picture, too large, empty
 */
export async function loadFiles(files: readonly File[], kinds: readonly InputKind[]): Promise<Source> {
  const [file] = files;
  if (!file) throw new SourceError('No file was chosen.');
  const header = readImageSize(new Uint8Array(await file.slice(0, 1 << 18).arrayBuffer()));
  if (header) {
    if (header.width * header.height > MAX_PIXELS) {
      const mega = Math.round((header.width * header.height) / 1e6);
      throw new SourceError(
        `${file.name} has ${header.width} x ${header.height} pixels, ${mega} megapixels; allowed: at most ${MAX_PIXELS / 1e6}. It was not decoded.`,
      );
    }
    if (kinds.includes('clip') && (files.length > 1 || !kinds.includes('image') || header.format === 'gif'))
      return clipOf(files, header);
    if (kinds.includes('image'))
      return { kind: 'image', name: file.name, notes: [], pixels: await decode(file, header) };
    throw new SourceError(`${file.name} is a picture; this lab takes ${listed(kinds)}.`);
  }
  if (file.type.startsWith('video/') && kinds.includes('clip'))
    return { kind: 'clip', name: file.name, notes: [], frames: await videoFrames(file) };
  if (kinds.includes('text')) return textOf(file);
  throw new SourceError(
    `${file.name} is not a picture that a browser reads (PNG, JPEG, GIF, WebP, BMP); this lab takes ${listed(kinds)}.`,
  );
}

/** Tokens of a source on a grid. */
export function tokensOf(
  source: Source,
  grid: readonly number[],
): TokenInputs & { pieces?: readonly string[] } {
  const shape = { grid, heads: LAB_HEADS, headDim: LAB_HEAD_DIM };
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

async function clipOf(
  files: readonly File[],
  header: { format: string; width: number; height: number },
): Promise<Source> {
  const name = files.length > 1 ? `${files.length} pictures` : files[0].name;
  if (files.length > 1) {
    const frames: Pixels[] = [];
    for (const file of files.slice(0, MAX_FRAMES)) {
      const size = readImageSize(new Uint8Array(await file.slice(0, 1 << 18).arrayBuffer()));
      if (!size || size.width * size.height > MAX_PIXELS)
        throw new SourceError(`${file.name} is not a picture of at most ${MAX_PIXELS / 1e6} megapixels.`);
      frames.push(await decode(file, size));
    }
    const notes = files.length > MAX_FRAMES ? [`Only the first ${MAX_FRAMES} pictures are used.`] : [];
    return { kind: 'clip', name, notes, frames };
  }
  const frames = await animatedFrames(files[0]);
  if (frames.length > 1) return { kind: 'clip', name, notes: [], frames };
  const pixels = await decode(files[0], header, 4096);
  const count = Math.round(pixels.width / pixels.height / 1.5);
  if (count >= 2)
    return {
      kind: 'clip',
      name,
      notes: [`Read as a strip of ${count} frames.`],
      frames: cutStrip(pixels, count),
    };
  throw new SourceError(
    `${name} is a single picture; a clip is a video, an animated picture, several pictures or a strip of frames.`,
  );
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
    return pixelsOf(await createImageBitmap(blob, resize));
  } catch {
    throw new SourceError('The picture could not be decoded: the file is damaged or cut off.');
  }
}

function pixelsOf(bitmap: ImageBitmap | VideoFrame | HTMLVideoElement, size?: [number, number]): Pixels {
  const [width, height] =
    size ??
    ('displayWidth' in bitmap ? [bitmap.displayWidth, bitmap.displayHeight] : [bitmap.width, bitmap.height]);
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new SourceError('This browser gives no 2-D canvas.');
  context.drawImage(bitmap, 0, 0, width, height);
  if ('close' in bitmap) bitmap.close();
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

function cutStrip(strip: Pixels, count: number): Pixels[] {
  const width = Math.floor(strip.width / count);
  return Array.from({ length: count }, (_, frame) => {
    const data = new Uint8ClampedArray(width * strip.height * 4);
    for (let y = 0; y < strip.height; y++) {
      const from = (y * strip.width + frame * width) * 4;
      for (let i = 0; i < width * 4; i++) data[y * width * 4 + i] = strip.data[from + i];
    }
    return { width, height: strip.height, data };
  });
}

/** Frames of an animated GIF or WebP, where the browser can take them apart; else one. */
async function animatedFrames(file: File): Promise<Pixels[]> {
  if (typeof ImageDecoder === 'undefined') return [];
  try {
    const decoder = new ImageDecoder({ data: await file.arrayBuffer(), type: file.type });
    await decoder.tracks.ready;
    const count = Math.min(decoder.tracks.selectedTrack?.frameCount ?? 1, MAX_FRAMES);
    const frames: Pixels[] = [];
    for (let frameIndex = 0; frameIndex < count; frameIndex++)
      frames.push(pixelsOf((await decoder.decode({ frameIndex })).image));
    decoder.close();
    return frames;
  } catch {
    return []; // not a format it knows: the caller tries it as a still picture
  }
}

/** Sixteen frames spread over a video. */
async function videoFrames(file: File): Promise<Pixels[]> {
  const video = document.createElement('video');
  const address = URL.createObjectURL(file);
  const happens = (event: string) =>
    new Promise<void>((resolve, reject) => {
      video.addEventListener(event, () => resolve(), { once: true });
      video.addEventListener(
        'error',
        () => reject(new SourceError(`${file.name} is not a video that this browser plays.`)),
        { once: true },
      );
    });
  try {
    video.muted = true;
    const ready = happens('loadeddata');
    video.src = address;
    await ready;
    const shrink = Math.min(1, 480 / Math.max(video.videoWidth, video.videoHeight));
    const size: [number, number] = [
      Math.round(video.videoWidth * shrink),
      Math.round(video.videoHeight * shrink),
    ];
    const frames: Pixels[] = [];
    for (let i = 0; i < 16; i++) {
      const moved = happens('seeked');
      video.currentTime = ((i + 0.5) / 16) * Math.min(video.duration || 1, 60);
      await moved;
      frames.push(pixelsOf(video, size));
    }
    return frames;
  } finally {
    URL.revokeObjectURL(address);
  }
}
