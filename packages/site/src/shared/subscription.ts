import { z } from 'zod';
import { loginForm } from './social.ts';

export const cadences = ['daily', 'weekly'] as const;

/** When digests go out: at an hour of a zone, each day that has papers or once a week. */
export interface Subscription {
  cadence: (typeof cadences)[number];
  /** 0 to 23, in `zone`. */
  hour: number;
  /** Such as Europe/Zurich. */
  zone: string;
}

export function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export const askForm = z.object({
  ...loginForm.shape,
  source: z.enum(['header', 'page'], 'header or page').default('page'),
});

export const subscriptionFields = {
  cadence: z.enum(cadences, 'daily or weekly'),
  hour: z.coerce.number('an hour').int('a whole hour').min(0, 'at least 0').max(23, 'at most 23'),
  // Names with a slash, and UTC: PostgreSQL and browsers agree on those, not on abbreviations and offsets.
  zone: z
    .string()
    .max(60, 'at most 60 characters')
    .regex(/^(UTC|[A-Za-z_]+(\/[A-Za-z0-9_+-]+)+)$/, 'a time zone such as Europe/Zurich')
    .refine(isZone, 'a time zone such as Europe/Zurich'),
} as const;

const token = z.string().min(1, 'the token of a mailed link').max(200, 'the token of a mailed link');

export const confirmForm = z.object({ token, ...subscriptionFields });

export const manageForm = z.discriminatedUnion(
  'intent',
  [
    z.object({ intent: z.literal('change'), ...subscriptionFields }),
    z.object({ intent: z.literal('unsubscribe') }),
  ],
  'one of the forms of this page',
);
