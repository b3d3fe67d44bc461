import { extname } from 'node:path';
import { DETAIL, PICTURE_CHANNELS, type TokenInputs } from '@saccade/papers/kit';

/** Pixels that a token's sub-pixel is drawn with. */
const ENLARGE = 4;

/**
 * Outputs side by side as a picture, frames of a clip below each other. The first channels of a value are its patch's
 * mean colour and the brightness of its sub-pixels, so an output is a blend of patches; heads are averaged.
 * @param outputs each [1, heads, tokens, headDim]
 */
export async function drawPictures(
  path: string,
  tokens: TokenInputs,
  outputs: readonly ArrayLike<number>[],
): Promise<Uint8Array> {
  const [, heads, count, headDim] = tokens.shape;
  const [frames, height, width] = tokens.grid.length === 3 ? tokens.grid : [1, ...tokens.grid];
  const pane = width * DETAIL;
  const gap = 2;
  const across = outputs.length * pane + (outputs.length - 1) * gap;
  const down = frames * height * DETAIL;
  const pixels = new Uint8Array(across * down * 3).fill(255);
  const patch = new Float64Array(PICTURE_CHANNELS);
  outputs.forEach((output, index) => {
    for (let token = 0; token < count; token++) {
      patch.fill(0);
      for (let head = 0; head < heads; head++)
        for (let c = 0; c < Math.min(PICTURE_CHANNELS, headDim); c++)
          patch[c] += output[(head * count + token) * headDim + c] / heads;
      const row = Math.floor(token / width) * DETAIL;
      const column = index * (pane + gap) + (token % width) * DETAIL;
      for (let i = 0; i < DETAIL * DETAIL; i++) {
        const at = ((row + Math.floor(i / DETAIL)) * across + column + (i % DETAIL)) * 3;
        for (let c = 0; c < 3; c++)
          pixels[at + c] = Math.max(0, Math.min(255, Math.round(255 * (patch[c] + patch[3 + i]))));
      }
    }
  });
  const sharp = (await import('sharp')).default;
  const image = sharp(pixels, { raw: { width: across, height: down, channels: 3 } }).resize({
    width: across * ENLARGE,
    kernel: 'nearest',
  });
  const format =
    extname(path).toLowerCase() === '.png'
      ? image.png()
      : extname(path).toLowerCase() === '.webp'
        ? image.webp()
        : image.jpeg();
  return format.toBuffer();
}
