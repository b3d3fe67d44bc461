import { z } from 'zod';

/** What the API and the pages say of a paper. null: unknown. */
export const paperSchema = z.object({
  slug: z.string(),
  title: z.string(),
  arxiv: z.string().nullable(),
  listedOn: z.string().nullable(),
  authorCount: z.int().nullable(),
  commentCount: z.int().nullable(),
  /** Votes and comments on this site. */
  upvotes: z.int(),
  comments: z.int(),
  links: z.array(z.string()),
  family: z.string(),
  summary: z.string(),
  runs: z.boolean(),
});
export type PaperView = z.infer<typeof paperSchema>;

/** What the feed can be asked for. Unknown names are ignored, bad values refused. */
export const feedQuery = z.object({
  q: z.string().trim().max(200, 'at most 200 characters').default(''),
  family: z.string().max(60, 'at most 60 characters').default(''),
  runs: z.enum(['', '1'], 'absent or 1').default(''),
});
export type FeedQuery = z.infer<typeof feedQuery>;

export const slugSchema = z
  .string()
  .max(80, 'at most 80 characters')
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words joined by -');

const verdictName = z.enum([
  'holds',
  'holds in direction',
  'does not hold',
  'not checkable here',
  'not yet measured',
]);
export type VerdictName = z.infer<typeof verdictName>;

/** One verdict with where it comes from: a row of the ledger. */
export const verdictSchema = z.object({
  slug: z.string(),
  id: z.string(),
  states: z.string(),
  where: z.string(),
  check: z.string(),
  how: z.string(),
  verdict: verdictName,
  because: z.string(),
  values: z.record(z.string(), z.number().nullable()),
  machine: z.string(),
  adapter: z.string(),
  tier: z.string(),
  quick: z.boolean(),
  commit: z.string(),
  date: z.string(),
});
export type VerdictView = z.infer<typeof verdictSchema>;

/** A stored file of the ledger, as far as the site reads it. */
export const ledgerFileSchema = z.object({
  slug: slugSchema,
  machine: z.object({ id: z.string(), adapter: z.string() }).loose(),
  device: z.string(),
  tier: z.string(),
  quick: z.boolean(),
  commit: z.string(),
  date: z.string(),
  entries: z.array(
    z.object({
      id: z.string(),
      states: z.string(),
      where: z.string(),
      check: z.string(),
      how: z.string(),
      verdict: verdictName,
      because: z.string(),
      values: z.record(z.string(), z.number().nullable()),
    }),
  ),
});
