import type { z } from 'zod';

/** A request that is not carried out, with words for the person who made it. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: 400 | 403 | 404 | 409 | 429;
  /** Seconds, with 429. */
  readonly retryAfter?: number;

  constructor(status: Refused['status'], message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/**
 * A form's fields by a schema.
 * @throws Refused 400 that names the field, what was given and what is allowed
 */
export function parseForm<Schema extends z.ZodType>(schema: Schema, form: FormData): z.infer<Schema> {
  const given = Object.fromEntries([...form].filter(([, value]) => typeof value === 'string'));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  const name = String(path[0] ?? 'form');
  const value = name in given ? `“${String(given[name]).slice(0, 60)}”` : 'missing';
  throw new Refused(400, `${name} is ${value}; allowed: ${message}.`);
}
