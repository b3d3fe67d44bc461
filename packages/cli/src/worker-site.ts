import { setTimeout as wait } from 'node:timers/promises';
import { ArgumentError } from '@saccade/attention';
import { z } from 'zod';
import type { WorkerKey } from './worker-key.ts';

const takenSchema = z.object({
  taken: z
    .object({
      job: z.string(),
      lease: z.string(),
      slug: z.string(),
      quick: z.boolean(),
      leaseSeconds: z.number().positive(),
    })
    .nullable(),
});
export type Taken = NonNullable<z.infer<typeof takenSchema>['taken']>;

const refusalSchema = z.object({
  error: z.object({ argument: z.string(), given: z.string().nullable(), allowed: z.string() }),
});

/** The site did not carry a message out, and said why. */
export class SiteRefused extends Error {
  override readonly name = 'SiteRefused';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface WorkerSite {
  /** The next measurement for this machine, or null. */
  claim(fields: object): Promise<Taken | null>;
  /** @throws SiteRefused; its status 409 says that the measurement is not this machine's any more */
  say(kind: 'progress' | 'release' | 'failed' | 'result', taken: Taken, fields?: object): Promise<void>;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
const TIMEOUT_MS = 60_000;

/**
 * A site that gives measurements. A site that cannot be reached, or asks to wait, is asked again, with pauses that double.
 * @param complain told of each pause
 * @throws ArgumentError where the address is none, or the site does not know the key
 */
export function workerSite(
  address: string,
  key: WorkerKey,
  { signal, complain }: { signal: AbortSignal; complain: (message: string) => void },
): WorkerSite {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.username)
    throw new ArgumentError('saccade', 'site', address, 'such as https://papers.example.org');

  const once = async (fields: object): Promise<unknown> => {
    // Signed anew for each try: a message counts once.
    const { body, signature } = key.signed(fields);
    const response = await fetch(new URL('/worker', url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Saccade-Signature': signature },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const said: unknown = await response.json().catch(() => undefined);
    if (response.ok) return said;
    const refused = refusalSchema.safeParse(said);
    if (response.status === 401 && refused.success)
      throw new ArgumentError('saccade', 'key', key.publicKey, refused.data.error.allowed);
    const { argument, given, allowed } = refused.data?.error ?? {
      argument: url.host,
      given: `${response.status}`,
      allowed: 'a site of Saccade',
    };
    throw new SiteRefused(response.status, `${argument} is ${given ?? 'refused'}; allowed: ${allowed}`);
  };
  const patiently = async (fields: object): Promise<unknown> => {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        return await once(fields);
      } catch (error) {
        if (error instanceof ArgumentError) throw error;
        const passes = error instanceof SiteRefused ? error.status === 429 || error.status >= 500 : true;
        if (!passes) throw error;
        complain(`${url.host}: ${reasonOf(error)}; trying again in ${pauseMs / 1000} s`);
        await wait(pauseMs, undefined, { signal });
      }
    }
  };
  return {
    claim: async (fields) => takenSchema.parse(await patiently({ kind: 'claim', ...fields })).taken,
    say: async (kind, { job, lease }, fields) => {
      const message = { kind, job, lease, ...fields };
      // What is only good now is not said again later.
      await (kind === 'result' || kind === 'failed' ? patiently(message) : once(message));
    },
  };
}

/** `fetch` hides why it failed in the cause. */
const reasonOf = (error: unknown): string => {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message ? cause.message : message;
};
