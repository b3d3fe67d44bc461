import { z } from 'zod';

/** Text from outside: no control signs, which databases and headers refuse. */
export const words = (most: number) =>
  z
    .string()
    .max(most, `at most ${most} characters`)
    .refine((text) => !/\p{Cc}/u.test(text.replace(/[\n\r\t]/g, '')), 'no control characters');

/** What a card says of a paper. null: unknown. */
export const paperSchema = z.object({
  slug: z.string(),
  title: z.string(),
  arxiv: z.string().nullable(),
  /** Day in the list of papers, in the edition zone. */
  listedOn: z.string().nullable(),
  authorCount: z.int().nullable(),
  /** Comments on the list that the paper was taken from; not those written here. */
  commentCount: z.int().nullable(),
  /** Votes and comments on this site. */
  upvotes: z.int(),
  comments: z.int(),
  links: z.array(z.string()),
  family: z.string().nullable(),
  /** Ours. */
  summary: z.string().nullable(),
  /** The authors' own, on cards cut short and only where there is no summary of ours. */
  abstract: z.string().nullable(),
  runs: z.boolean(),
});
export type PaperView = z.infer<typeof paperSchema>;

/** All that is known of a paper. Instants are ISO 8601 in UTC. Title and abstract as the source has them, with LaTeX. */
export const paperDetailSchema = paperSchema.extend({
  number: z.int(),
  authors: z.array(z.string()).nullable(),
  abstractSource: z.string().nullable(),
  abstractLicence: z.string().nullable(),
  publishedAt: z.string().nullable(),
  revisedAt: z.string().nullable(),
  listedAt: z.string().nullable(),
  withdrawnAt: z.string().nullable(),
  changedAt: z.string(),
  version: z.int().nullable(),
  categories: z.array(z.string()),
  doi: z.string().nullable(),
  journal: z.string().nullable(),
  /** Name of the reader who put it forward; null: it came from a list. */
  submitter: z.string().nullable(),
  /** Where it came from: catalogue, huggingface, arxiv, bibtex, or a reader who typed it in. */
  source: z.string(),
});
export type PaperDetail = z.infer<typeof paperDetailSchema>;

/** What the feed can be asked for. Unknown names are ignored, bad values refused. */
export const feedQuery = z.object({
  q: words(250).trim().default(''),
  family: words(60).default(''),
  runs: z.enum(['', '1'], 'absent or 1').default(''),
  page: z.coerce
    .number('a number')
    .int('a whole number')
    .min(1, 'at least 1')
    .max(10_000, 'at most 10000')
    .default(1),
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
  /** Name of the worker that measured it for this site; null: a stored file. */
  worker: z.string().nullable(),
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
