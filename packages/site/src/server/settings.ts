import { resolve } from 'node:path';
import { z } from 'zod';

/** Set but empty is not set: compose files and units often leave a variable empty. */
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional());

const schema = z.object({
  PORT: z.coerce
    .number('a number')
    .int('a whole number')
    .min(0, 'at least 0')
    .max(65535, 'at most 65535')
    .default(4173),
  HOST: z.string().min(1, 'a host name or address').default('localhost'),
  SACCADE_DATA: z.string().min(1, 'a directory').default('./data'),
  SACCADE_RESULTS: z.string().min(1, 'a directory').optional(),
  DATABASE_URL: optional(
    z.string().regex(/^postgres(ql)?:\/\//, 'postgresql://user:password@host:port/database'),
  ),
});

export interface Settings {
  port: number;
  host: string;
  /** Where the embedded database and other files of this process lie. */
  data: string;
  /** The ledger's folder; default: results/ of the clone. */
  results?: string;
  /** A PostgreSQL server instead of the embedded database. */
  databaseUrl?: string;
}

/**
 * The settings from the environment: PORT, HOST, SACCADE_DATA, SACCADE_RESULTS, DATABASE_URL.
 * @throws Error that names the variable, what was given and what is allowed; the value of a secret is not repeated
 */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const parsed = schema.safeParse(environment);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    const name = String(path[0]);
    const given = secret.has(name) ? 'not understood' : environment[name];
    throw new Error(`${name} is ${given}; allowed: ${message}`);
  }
  const { PORT, HOST, SACCADE_DATA, SACCADE_RESULTS, DATABASE_URL } = parsed.data;
  return {
    port: PORT,
    host: HOST,
    data: resolve(SACCADE_DATA),
    results: SACCADE_RESULTS && resolve(SACCADE_RESULTS),
    databaseUrl: DATABASE_URL,
  };
}

/** Holds a password, so messages do not repeat it. */
const secret = new Set(['DATABASE_URL']);
