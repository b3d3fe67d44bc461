import { z } from 'zod';
import data from './catalogue.json' with { type: 'json' };

/** What a paper works by. One word each, so that a reader can filter by it. */
export const familyNames = [
  'local',
  'dynamic sparse',
  'routing',
  'token pruning',
  'linear',
  'spectral',
  'reweighting',
  'vision restoration',
  'multimodal',
  'diffusion guidance',
  'analysis',
] as const;

const entry = z.strictObject({
  slug: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  title: z.string().min(1),
  /** Day in the list of papers; null: the list does not say. */
  listedOn: z.iso.date().nullable(),
  authorCount: z.int().positive().nullable(),
  commentCount: z.int().nonnegative().nullable(),
  links: z.array(z.url({ protocol: /^https$/ })),
  arxiv: z
    .string()
    .regex(/^\d{4}\.\d{5}$/)
    .nullable(),
  family: z.enum(familyNames),
  /** Two or three sentences in our own words. */
  summary: z.string().min(80).max(500),
});

/** The facts of one paper, and our summary. null is unknown, and is shown as such. */
export type CatalogueEntry = z.infer<typeof entry>;

/** The papers of the list, in its order. */
export const catalogue: readonly CatalogueEntry[] = z.array(entry).parse(data);

const bySlug = new Map(catalogue.map((paper) => [paper.slug, paper]));

/** The paper of a slug, or undefined. */
export function findPaper(slug: string): CatalogueEntry | undefined {
  return bySlug.get(slug);
}
