import { resolve } from 'node:path';
import { z } from 'zod';

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
});

/**
 * PORT, HOST, SACCADE_DATA and SACCADE_RESULTS (the ledger's folder; default: results/ of the clone) from the environment.
 * @throws Error that names the variable, what was given and what is allowed
 */
export function readSettings(environment: NodeJS.ProcessEnv): {
  port: number;
  host: string;
  data: string;
  results?: string;
} {
  const parsed = schema.safeParse(environment);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    throw new Error(`${String(path[0])} is ${environment[String(path[0])]}; allowed: ${message}`);
  }
  const { PORT, HOST, SACCADE_DATA, SACCADE_RESULTS } = parsed.data;
  return {
    port: PORT,
    host: HOST,
    data: resolve(SACCADE_DATA),
    results: SACCADE_RESULTS && resolve(SACCADE_RESULTS),
  };
}
