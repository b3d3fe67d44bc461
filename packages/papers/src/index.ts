import type { Paper } from './kit/paper.ts';

/** The papers whose mechanism runs, in the order of the catalogue's families. */
export const papers: readonly Paper[] = [];

/** The runnable paper of a slug, or undefined. */
export function findRunnable(slug: string): Paper | undefined {
  return papers.find((paper) => paper.slug === slug);
}
