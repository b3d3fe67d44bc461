import { z } from '@hono/zod-openapi';
import { daySchema, monthSchema, weekSchema } from '../../shared/calendar.ts';
import { verdictSchema, words } from '../../shared/schemas.ts';

/** An account in the shape of Hugging Face's API. */
export const userSchema = z
  .object({
    _id: z.string(),
    avatarUrl: z.string(),
    fullname: z.string(),
    name: z.string(),
    type: z.enum(['user', 'org']),
    isPro: z.boolean(),
  })
  .openapi('User');

export const authorSchema = z
  .object({ _id: z.string(), name: z.string(), hidden: z.boolean() })
  .openapi('Author');

/** What we know beyond that API: everything of ours is under this one key. */
export const saccadeSchema = z
  .object({
    slug: z.string(),
    page: z.url(),
    runs: z.boolean(),
    family: z.string().nullable(),
    summary: z.string().nullable().openapi({ description: 'Written here; not the abstract' }),
    listedOn: z.string().nullable().openapi({ description: 'Day in the edition zone; null: unknown' }),
    authorCount: z
      .int()
      .nullable()
      .openapi({ description: 'null: unknown, which an empty list of authors cannot say' }),
    commentsOnList: z.int().nullable(),
    abstract: z
      .object({ source: z.string().nullable(), licence: z.string().nullable() })
      .nullable()
      .openapi({ description: 'null: `summary` of the paper is our own, for want of an abstract' }),
    version: z.int().nullable(),
    categories: z.array(z.string()),
    doi: z.string().nullable(),
    journal: z.string().nullable(),
    links: z.array(z.string()),
    verdicts: z.record(z.string(), z.int()).openapi({ description: 'How many claims have which verdict' }),
  })
  .openapi('Saccade');

export const paperSchema = z
  .object({
    id: z.string().openapi({ description: 'arXiv id without version; the slug where there is none' }),
    authors: z.array(authorSchema),
    title: z.string(),
    summary: z.string(),
    publishedAt: z.iso.datetime().optional(),
    submittedOnDailyAt: z.iso.datetime().optional(),
    upvotes: z.int(),
    discussionId: z.string(),
    githubRepo: z.string().optional(),
    projectPage: z.string().optional(),
    withdrawnAt: z.iso.datetime().optional(),
    saccade: saccadeSchema,
  })
  .openapi('Paper');

export const dailyItemSchema = z
  .object({
    paper: paperSchema,
    publishedAt: z.iso.datetime().optional(),
    title: z.string(),
    summary: z.string(),
    thumbnail: z.url(),
    numComments: z.int(),
    submittedBy: userSchema,
    isAuthorParticipating: z.boolean(),
  })
  .openapi('DailyItem');

// no models, data sets or Spaces are linked here
const none = z.array(z.object({ id: z.string() })).max(0);
export const paperDetailSchema = paperSchema
  .extend({
    linkedModels: none,
    numTotalModels: z.literal(0),
    linkedDatasets: none,
    numTotalDatasets: z.literal(0),
    linkedSpaces: none,
    numTotalSpaces: z.literal(0),
    saccade: saccadeSchema.extend({ ledger: z.array(verdictSchema) }),
  })
  .openapi('PaperDetail');

export const refusalSchema = z
  .object({ error: z.object({ argument: z.string(), given: z.string().nullable(), allowed: z.string() }) })
  .openapi('Refusal');

const limit = (most: number, usual: number) =>
  z.coerce
    .number('a number')
    .int('a whole number')
    .min(1, 'at least 1')
    .max(most, `at most ${most}`)
    .default(usual);

export const dailyQuery = z
  .object({
    date: daySchema.optional(),
    week: weekSchema.optional(),
    month: monthSchema.optional(),
    submitter: words(100).optional(),
    sort: z.enum(['publishedAt', 'trending'], 'publishedAt, trending').default('publishedAt'),
    p: z.coerce
      .number('a number')
      .int('a whole number')
      .min(0, 'at least 0')
      .max(100_000, 'at most 100000')
      .default(0),
    limit: limit(100, 50),
  })
  .refine(({ date, week, month }) => [date, week, month].filter(Boolean).length <= 1, {
    path: ['date'],
    message: 'one of date, week and month',
  });

export const searchQuery = z.object({
  q: words(250).trim().min(1, 'at least one character'),
  limit: limit(120, 20),
});

export const listQuery = z.object({
  cursor: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, 'the cursor of a Link header')
    .optional(),
  limit: limit(100, 50),
});

export const idParam = z.object({
  id: words(80)
    .min(1, 'an arXiv id or a slug')
    .openapi({ param: { name: 'id', in: 'path' }, example: '2403.04690' }),
});
