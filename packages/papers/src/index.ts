export { type CatalogueEntry, catalogue, findPaper } from './catalogue.ts';

import { paper as biformer } from './biformer/paper.ts';
import { paper as fna } from './fna/paper.ts';
import { paper as gna } from './gna/paper.ts';
import { paper as halonet } from './halonet/paper.ts';
import type { Paper } from './kit/paper.ts';
import { paper as powerAttention } from './power-attention/paper.ts';
import { paper as radialAttention } from './radial-attention/paper.ts';

/** The papers whose mechanism runs, in the order of the catalogue's families. */
export const papers: readonly Paper[] = [fna, gna, powerAttention, radialAttention, halonet, biformer];

/** The runnable paper of a slug, or undefined. */
export function findRunnable(slug: string): Paper | undefined {
  return papers.find((paper) => paper.slug === slug);
}
