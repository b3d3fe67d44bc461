import { z } from 'zod';
import { ledgerFileSchema, slugSchema, words } from './schemas.ts';

/** How long a worker keeps a measurement without a sign of life. */
export const LEASE_SECONDS = 120;
/** How far a message's time may be from the server's. */
export const CLOCK_MINUTES = 5;
/** The largest message, in bytes: a result with all its samples has a hundred thousand. */
export const MOST_BYTES = 4_000_000;

export const publicKeySchema = z
  .string()
  .trim()
  .regex(/^[A-Za-z0-9_-]{43}$/, 'the 43 characters that `saccade worker --show-key` prints');

export const workerName = z
  .string()
  .trim()
  .max(48, 'at most 48 characters')
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words joined by -');

const text = (most: number) => words(most).min(1, 'some text');
const machine = z.object({
  id: z
    .string()
    .max(80, 'at most 80 characters')
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words joined by -'),
  adapter: text(200),
  cpu: text(200),
  cores: z.int('a whole number').min(1, 'at least 1'),
  os: text(100),
  runtime: text(100),
});

/** What `saccade check` writes of a paper, with bounds: it comes from another machine. */
export const resultSchema = ledgerFileSchema.extend({
  machine,
  device: text(40),
  tier: text(40),
  commit: z.string().regex(/^(unknown|[0-9a-f]{7,40}(\+changes)?)$/, 'a commit, or unknown'),
  date: z.iso.datetime('an instant such as 2026-11-25T06:00:00.000Z'),
  entries: z
    .array(
      ledgerFileSchema.shape.entries.element.extend({
        id: text(100),
        states: text(2000),
        where: text(500),
        check: z.enum(['formula', 'kernel', 'quality', 'model', 'none']),
        how: text(5000),
        because: text(5000),
        samples: z.record(text(200), z.array(z.number().nullable()).max(100_000)),
        note: words(5000).optional(),
      }),
    )
    .min(1, 'at least one claim')
    .max(100, 'at most 100 claims'),
});
export type WorkerResult = z.infer<typeof resultSchema>;

const head = {
  /** Its public key: who signs. */
  worker: publicKeySchema,
  at: z.iso.datetime('an instant such as 2026-11-25T06:00:00.000Z'),
  /** Never used before: a message that was overheard does nothing a second time. */
  nonce: z.string().regex(/^[A-Za-z0-9_-]{22,64}$/, '22 to 64 characters of base64url'),
};
const held = { job: z.uuid('the id of a measurement'), lease: z.uuid('the lease that came with it') };

/** What a worker may say. The whole message is signed, so that none can be taken for another. */
export const workerMessage = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      ...head,
      kind: z.literal('claim'),
      machine,
      /** What it can measure: it may be older or newer than the site. */
      papers: z.array(slugSchema).max(1000, 'at most 1000 papers'),
    }),
    z.strictObject({ ...head, ...held, kind: z.literal('progress'), text: words(300) }),
    z.strictObject({ ...head, ...held, kind: z.literal('release') }),
    z.strictObject({ ...head, ...held, kind: z.literal('failed'), text: text(2000) }),
    z.strictObject({ ...head, ...held, kind: z.literal('result'), ledger: resultSchema }),
  ],
  'claim, progress, release, failed or result',
);
export type WorkerMessage = z.infer<typeof workerMessage>;

const id = z.uuid('an id from this page');
const flag = z.literal('1', 'absent or 1').optional();
const oneOf = z.union([z.literal('any'), id], 'any, or a machine of the list');

/** What curators may do with measurements, and admins with workers. */
export const measurementForm = z.discriminatedUnion(
  'intent',
  [
    z.object({
      intent: z.literal('measure'),
      paper: z.union([z.literal('all'), slugSchema], 'all, or a paper of the list'),
      worker: oneOf,
      quick: flag,
    }),
    z.object({ intent: z.literal('cancel'), measurement: id }),
    z.object({ intent: z.literal('retry'), measurement: id }),
    z.object({ intent: z.literal('register'), name: workerName, publicKey: publicKeySchema }),
    z.object({ intent: z.literal('revoke'), worker: id, results: flag }),
  ],
  'one of the forms of this page',
);
