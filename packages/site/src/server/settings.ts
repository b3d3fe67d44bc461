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
});

/**
 * PORT, HOST and SACCADE_DATA from the environment.
 * @throws Error that names the variable, what was given and what is allowed
 */
export function readSettings(environment: NodeJS.ProcessEnv): { port: number; host: string; data: string } {
  const parsed = schema.safeParse(environment);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    throw new Error(`${String(path[0])} is ${environment[String(path[0])]}; allowed: ${message}`);
  }
  const { PORT, HOST, SACCADE_DATA } = parsed.data;
  return { port: PORT, host: HOST, data: resolve(SACCADE_DATA) };
}
