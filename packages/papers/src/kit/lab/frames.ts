import type { ImageHeader } from './image-size.ts';
import type { Pixels } from './tokens.ts';

/** A message for the reader: the file cannot be used, and what could be. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

/** A clip is cut down to this many frames. */
export const MAX_FRAMES = 64;
/** Frames taken from a video. */
const VIDEO_FRAMES = 16;
/** Of a longer video only the beginning is looked at. */
const VIDEO_SECONDS = 60;
/** Longer side of a frame: a token never needs more, and there are many frames. */
const FRAME_SIDE = 480;
/** A browser that does not answer within this will not. */
const VIDEO_PATIENCE_MS = 10_000;

/** Pixels of anything a canvas draws, drawn at `size`; a bitmap or frame is closed. @throws SourceError without a canvas */
export function pixelsOf(
  drawable: ImageBitmap | VideoFrame | HTMLVideoElement,
  { width, height }: { width: number; height: number },
): Pixels {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new SourceError('This browser gives no 2-D canvas.');
  context.drawImage(drawable, 0, 0, width, height);
  if ('close' in drawable) drawable.close();
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

function shrunk(width: number, height: number, side: number) {
  const shrink = Math.min(1, side / Math.max(width, height));
  return {
    width: Math.max(1, Math.round(width * shrink)),
    height: Math.max(1, Math.round(height * shrink)),
  };
}

/** Frames side by side in one picture, each of the same width. */
export function cutStrip(strip: Pixels, count: number): Pixels[] {
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

/**
 * Frames of an animated picture, spread evenly over it. A still picture, and any in a browser that cannot look inside,
 * gives none.
 * @param most frames at most
 * @returns how many the file has, and in words why there are none although there should be
 */
export async function animatedFrames(
  file: File,
  format: ImageHeader['format'],
  most: number,
): Promise<{ frames: Pixels[]; count: number; problem?: string }> {
  if (typeof ImageDecoder === 'undefined') {
    const problem =
      format === 'gif'
        ? `This browser does not take ${file.name} apart into frames; a video or several pictures give a clip.`
        : undefined;
    return { frames: [], count: 1, problem };
  }
  const decoder = new ImageDecoder({ data: await file.arrayBuffer(), type: `image/${format}` });
  try {
    // before the whole file has been read, the count is of what has been parsed
    await Promise.all([decoder.tracks.ready, decoder.completed]);
    const count = decoder.tracks.selectedTrack?.frameCount ?? 1;
    const frames: Pixels[] = [];
    const taken = count > 1 && most > 1 ? Math.min(count, most) : 0;
    for (let i = 0; i < taken; i++) {
      const { image } = await decoder.decode({ frameIndex: Math.floor((i * count) / taken) });
      frames.push(pixelsOf(image, shrunk(image.displayWidth, image.displayHeight, FRAME_SIDE)));
    }
    return { frames, count };
  } catch (error) {
    if (error instanceof SourceError) throw error;
    // as a still picture it is tried all the same, and refused there if it is damaged
    return { frames: [], count: 1 };
  } finally {
    decoder.close();
  }
}

/** Frames spread over the first minute of a video. @throws SourceError in words: not played by this browser, without a picture */
export async function videoFrames(file: File): Promise<{ frames: Pixels[]; note: string }> {
  const video = document.createElement('video');
  const address = URL.createObjectURL(file);
  const refusal = new SourceError(
    `${file.name} is not a video that this browser plays; an animated picture or several pictures give a clip too.`,
  );
  const happens = (event: string) =>
    new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(refusal), VIDEO_PATIENCE_MS);
      const settle = (by: () => void) => () => {
        clearTimeout(late);
        by();
      };
      video.addEventListener(event, settle(resolve), { once: true });
      video.addEventListener(
        'error',
        settle(() => reject(refusal)),
        { once: true },
      );
    });
  const seek = async (seconds: number) => {
    const moved = happens('seeked');
    video.currentTime = seconds;
    await moved;
  };
  try {
    video.muted = true;
    video.preload = 'auto';
    const ready = happens('loadeddata');
    video.src = address;
    await ready;
    if (video.videoWidth === 0 || video.videoHeight === 0)
      throw new SourceError(`${file.name} has no picture in it.`);
    // a recording made in a browser does not know how long it is before its end has been seen
    if (!Number.isFinite(video.duration)) await seek(Number.MAX_SAFE_INTEGER);
    const known = Number.isFinite(video.duration) ? video.duration : video.currentTime;
    const seconds = Math.min(known || 1, VIDEO_SECONDS);
    const size = shrunk(video.videoWidth, video.videoHeight, FRAME_SIDE);
    const frames: Pixels[] = [];
    for (let i = 0; i < VIDEO_FRAMES; i++) {
      await seek(((i + 0.5) / VIDEO_FRAMES) * seconds);
      frames.push(pixelsOf(video, size));
    }
    return { frames, note: `${VIDEO_FRAMES} frames of ${seconds.toFixed(1)} seconds of video are used.` };
  } finally {
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(address);
  }
}
