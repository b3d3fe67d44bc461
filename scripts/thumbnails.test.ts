import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findRunnable } from '@saccade/papers';
import { thumbnails } from '@saccade/papers/thumbnails';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { drawMap } from './thumbnails.ts';

const folder = resolve(import.meta.dirname, '../packages/papers/assets/thumbnails');

/** Pixels that another machine's arithmetic may put one step up or down. */
const DIFFERENT_AT_MOST = 0.005;

test.each(Object.keys(thumbnails))(
  '%s: the map on its card is what its mechanism draws (npm run thumbnails)',
  async (slug) => {
    const paper = findRunnable(slug);
    expect(paper).toBeDefined();
    if (!paper) return;
    const { pixels, size, says } = await drawMap(paper);
    expect(thumbnails[slug]).toEqual({ size, says });
    const { data, info } = await sharp(readFileSync(join(folder, `${slug}.png`)))
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([size, size]);
    let different = 0;
    // only the strength is compared: a pixel that is not there has no colour
    for (let at = 3; at < pixels.length; at += 4) if (Math.abs(data[at] - pixels[at]) > 2) different++;
    expect(different / (size * size)).toBeLessThanOrEqual(DIFFERENT_AT_MOST);
  },
);
