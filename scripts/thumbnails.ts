// `npm run thumbnails`: draws the attention map of each paper that runs, for its card, and lists the maps.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { attentionRows, openDevice } from '@saccade/attention';
import { papers } from '@saccade/papers';
import type { Paper } from '@saccade/papers/kit';
import sharp from 'sharp';
import { makeInputs } from '../packages/cli/src/inputs.ts';

const root = resolve(import.meta.dirname, '..');
const folder = join(root, 'packages/papers/assets/thumbnails');
export const listed = join(root, 'packages/papers/src/thumbnails.json');

/** Readable on light and on dark pages. */
const INK = [200, 96, 58];
/** What a query sees at all is drawn at least this strongly, so that the plan shows where weights are small. */
const SEEN = 0.2;
const LEVELS = 15;

/** A map's picture and what it shows. */
export interface Thumbnail {
  /** RGBA, one pixel a pair: a row a query, a column a key. */
  pixels: Uint8Array;
  /** Tokens, and pixels on each side. */
  size: number;
  says: string;
}

/**
 * The mechanism on the sample that its lab begins with, at 256 tokens, on the reference device: mean over the heads of
 * each query's weights, relative to the largest of its row.
 */
export async function drawMap(paper: Paper): Promise<Thumbnail> {
  const { kind, tokens } = await makeInputs(paper, {}, true);
  const [, heads, size] = tokens.shape;
  const device = await openDevice('reference');
  try {
    const query = device.tensor(tokens.query, tokens.shape);
    const key = device.tensor(tokens.key, tokens.shape);
    const value = device.tensor(tokens.value, tokens.shape);
    const run = await paper.mechanism();
    const { attended } = await run({ query, key, value }, paper.options.parse(paper.fit(tokens.grid)));
    const row = await attentionRows(query, key, value, attended);
    const pixels = new Uint8Array(size * size * 4);
    for (let token = 0; token < size; token++) {
      const weights = new Float64Array(size);
      const seen = new Uint8Array(size);
      for (let head = 0; head < heads; head++) {
        const { keys, weights: of } = row({ head, query: token });
        keys.forEach((at, i) => {
          if (at < 0) return;
          seen[at] = 1;
          weights[at] += of[i] / heads;
        });
      }
      const top = weights.reduce((a, b) => Math.max(a, b), 0);
      for (let at = 0; at < size; at++) {
        const strength = seen[at] ? SEEN + (1 - SEEN) * Math.sqrt(top > 0 ? weights[at] / top : 0) : 0;
        pixels.set(
          [...INK, Math.round((Math.round(strength * LEVELS) * 255) / LEVELS)],
          (token * size + at) * 4,
        );
      }
    }
    const grid = tokens.grid.join(' × ');
    return {
      pixels,
      size,
      says: `Attention map: ${grid} tokens of ${article[kind]}, a row a query, a column a key`,
    };
  } finally {
    await device.close();
  }
}

const article = { text: 'a text', image: 'a picture', clip: 'a clip' };

if (import.meta.main) {
  mkdirSync(folder, { recursive: true });
  const list: Record<string, { size: number; says: string }> = {};
  for (const paper of [...papers].sort((a, b) => a.slug.localeCompare(b.slug))) {
    const { pixels, size, says } = await drawMap(paper);
    const image = sharp(pixels, { raw: { width: size, height: size, channels: 4 } });
    writeFileSync(
      join(folder, `${paper.slug}.png`),
      await image.png({ palette: true, colours: LEVELS + 1, effort: 10 }).toBuffer(),
    );
    list[paper.slug] = { size, says };
    console.log(`${paper.slug}: ${readFileSync(join(folder, `${paper.slug}.png`)).byteLength} bytes`);
  }
  for (const name of readdirSync(folder)) if (!list[name.replace('.png', '')]) rmSync(join(folder, name));
  writeFileSync(listed, `${JSON.stringify(list, null, 2)}\n`);
}
