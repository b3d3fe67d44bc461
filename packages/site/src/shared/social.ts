import { z } from 'zod';

const idSchema = z.uuid('an id from this page');
/** How far an account is with a paper. */
export const readStates = ['none', 'to read', 'reading', 'read'] as const;
export type ReadState = (typeof readStates)[number];

const tag = z
  .string()
  .max(40, 'tags of at most 40 characters')
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._+-]*$/u, 'tags of letters, digits, spaces and . _ + -');
/** Tags as people write them: with commas between, in any case, twice. */
const tagsSchema = z
  .string()
  .max(1000, 'at most 1000 characters')
  .transform((text) => [
    ...new Set(
      text
        .split(',')
        .map((part) => part.trim().toLowerCase())
        .filter(Boolean),
    ),
  ])
  .pipe(z.array(tag).max(20, 'at most 20 tags'));

// A database keeps no NUL in text.
const noNul = (text: string) => !text.includes('\0');
const words = (most: number) =>
  z
    .string()
    .trim()
    .min(1, 'some text')
    .max(most, `at most ${most} characters`)
    .refine(noNul, 'text without NUL characters');

export const COMMENT_LIMIT = 10_000;
const text = words(COMMENT_LIMIT);
export const reason = words(500);

/** What the forms of a paper's page may ask for, by their field `intent`. */
export const paperForm = z.discriminatedUnion(
  'intent',
  [
    z.object({ intent: z.literal('vote'), wanted: z.enum(['0', '1'], '0 or 1') }),
    z.object({ intent: z.literal('comment'), text, parent: idSchema.optional() }),
    z.object({ intent: z.literal('edit'), text, comment: idSchema }),
    z.object({ intent: z.literal('delete'), comment: idSchema }),
    z.object({ intent: z.literal('report'), comment: idSchema, reason }),
    z.object({ intent: z.literal('claim'), authorName: words(200), evidence: words(2000) }),
    z.object({
      intent: z.literal('keep'),
      bookmarked: z.literal('1', 'absent or 1').optional(),
      state: z.enum(readStates, `one of ${readStates.join(', ')}`),
      note: z
        .string()
        .trim()
        .max(5000, 'at most 5000 characters')
        .refine(noNul, 'text without NUL characters'),
      tags: tagsSchema,
    }),
  ],
  'one of the forms of this page',
);

export const loginForm = z.object({
  email: z.string().trim().toLowerCase().max(254, 'at most 254 characters').pipe(z.email('a mail address')),
});

export const nameForm = z.object({
  name: z
    .string()
    .trim()
    .regex(/^[a-z0-9](?:-?[a-z0-9]){1,29}$/i, '2 to 30 letters and digits, with single - between them'),
});

export const accountForm = z.discriminatedUnion(
  'intent',
  [
    nameForm.extend({ intent: z.literal('rename') }),
    z.object({ intent: z.literal('delete'), sure: z.literal('delete', 'the word delete') }),
    z.object({ intent: z.literal('leave') }),
  ],
  'one of the forms of this page',
);

/** What the forms of the library may ask for. */
export const libraryForm = z.discriminatedUnion(
  'intent',
  [
    z.object({ intent: z.literal('save'), name: words(80), query: words(400) }),
    z.object({ intent: z.literal('forget'), search: idSchema }),
    z.object({ intent: z.literal('seen'), search: idSchema }),
  ],
  'one of the forms of this page',
);

const userId = z.string().regex(/^[\w-]{1,64}$/, 'an id from this page');
/** What curators and admins may decide. */
export const decisionForm = z.discriminatedUnion(
  'intent',
  [
    z.object({ intent: z.literal('remove'), comment: idSchema, reason }),
    z.object({ intent: z.literal('keep'), comment: idSchema }),
    z.object({
      intent: z.literal('claim'),
      claim: idSchema,
      decision: z.enum(['confirm', 'deny'], 'confirm or deny'),
      reason,
    }),
    z.object({ intent: z.literal('approve'), submission: idSchema }),
    z.object({ intent: z.literal('refuse'), submission: idSchema, reason }),
    z.object({ intent: z.literal('bot'), user: userId, isBot: z.enum(['0', '1'], '0 or 1') }),
    z.object({ intent: z.literal('suspend'), user: userId, suspended: z.enum(['0', '1'], '0 or 1'), reason }),
    z.object({
      intent: z.literal('role'),
      user: userId,
      role: z.enum(['reader', 'author', 'curator', 'admin'], 'a role'),
    }),
  ],
  'one of the forms of this page',
);
