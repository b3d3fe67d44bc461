import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database.ts';
import { SourceError } from './record.ts';

/** Where the importer may go, each with the group whose hosts share one queue: arXiv counts all its interfaces as one. */
export const sources: Readonly<Record<string, string>> = {
  'export.arxiv.org': 'arxiv',
  'rss.arxiv.org': 'arxiv',
  'oaipmh.arxiv.org': 'arxiv',
  'huggingface.co': 'huggingface',
};

export interface PoliteOptions {
  /** Who asks: name and contact. */
  userAgent?: string;
  /** Between the end of a request and the beginning of the next, over all processes on this database. */
  pauseMs?: number;
  /** First wait after a refusal that does not say how long; it doubles each time. */
  backOffMs?: number;
  tries?: number;
  timeoutMs?: number;
  mostBytes?: number;
  signal?: AbortSignal;
  /** For tests: where a source really is. */
  hosts?: Readonly<Record<string, string>>;
  /** Told while it waits. */
  progress?: (message: string) => void;
}

const AGENT = 'Saccade/0.1 (a daily papers site; https only, one request at a time)';

/**
 * Gets texts from the sources, one request at a time and at least three seconds apart over all processes that share the
 * database. 429 and 503 hold everybody back, for as long as Retry-After says or twice as long each time.
 * @throws SourceError if the address is not of a source, redirects, is too large, or goes on refusing
 */
export function politeClient(
  database: Database,
  options: PoliteOptions = {},
): (url: string) => Promise<string> {
  const { pauseMs = 3000, backOffMs = 30_000, tries = 5, progress, signal } = options;
  return async (url) => {
    const { address, group } = placeOf(url, options.hosts);
    for (let attempt = 1; ; attempt++) {
      await takeTurn(database, group, options);
      let heldMs = pauseMs;
      try {
        const answer = await get(address, options);
        if (typeof answer === 'string') return answer;
        // a little more or less, so that processes that were refused together do not return together
        heldMs = Math.max(
          pauseMs,
          answer.retryAfterMs ?? backOffMs * 2 ** (attempt - 1) * (0.9 + 0.2 * Math.random()),
        );
        if (attempt >= tries)
          throw new SourceError(`${address.host} answered ${answer.status} ${tries} times; try again later`);
        progress?.(`${address.host} answered ${answer.status}; waiting ${Math.ceil(heldMs / 1000)} s`);
      } finally {
        await giveTurn(database, group, heldMs);
      }
      signal?.throwIfAborted();
    }
  };
}

function placeOf(url: string, hosts: PoliteOptions['hosts']): { address: URL; group: string } {
  const given = new URL(url);
  const group = Object.hasOwn(sources, given.hostname) ? sources[given.hostname] : undefined;
  if (!group || given.protocol !== 'https:' || given.port !== '' || given.username !== '')
    throw new SourceError(
      `the address is ${url.slice(0, 200)}; allowed: https on ${Object.keys(sources).join(', ')}`,
    );
  const elsewhere = hosts?.[given.hostname];
  return { address: elsewhere ? new URL(`${given.pathname}${given.search}`, elsewhere) : given, group };
}

/** Waits until this process may ask: nobody of the group is asking, and the pause after the last is over. */
async function takeTurn(
  database: Database,
  group: string,
  { timeoutMs = 60_000, signal }: PoliteOptions,
): Promise<void> {
  await database.query('INSERT INTO import_turns (host) VALUES ($1) ON CONFLICT DO NOTHING', [group]);
  for (;;) {
    signal?.throwIfAborted();
    // a process that died while it asked holds the others back no longer than its request could have lasted
    const taken = await database.query(
      `UPDATE import_turns SET busy_until = clock_timestamp() + $2 * interval '1 millisecond'
       WHERE host = $1 AND next_at <= clock_timestamp() AND (busy_until IS NULL OR busy_until <= clock_timestamp()) RETURNING host`,
      [group, timeoutMs + 10_000],
    );
    if (taken.length > 0) return;
    const [{ wait }] = await database.query<{ wait: number }>(
      `SELECT extract(epoch FROM greatest(next_at, busy_until) - clock_timestamp())::float8 * 1000 AS wait FROM import_turns WHERE host = $1`,
      [group],
    );
    await sleep(Math.min(Math.max(wait, 20), 1000), undefined, { signal });
  }
}

async function giveTurn(database: Database, group: string, heldMs: number): Promise<void> {
  await database.query(
    `UPDATE import_turns SET busy_until = NULL, next_at = clock_timestamp() + $2 * interval '1 millisecond' WHERE host = $1`,
    [group, Math.round(heldMs)],
  );
}

/** In the place of a client where the network must not be asked. */
export const noNetwork = async (): Promise<never> => {
  throw new SourceError('SACCADE_OFFLINE is set, so nothing is asked of the network');
};

interface Refused {
  status: number;
  retryAfterMs?: number;
}

async function get(
  address: URL,
  { userAgent = AGENT, timeoutMs = 60_000, mostBytes = 64_000_000, signal }: PoliteOptions,
): Promise<string | Refused> {
  const limit = AbortSignal.timeout(timeoutMs);
  const response = await fetch(address, {
    headers: { 'User-Agent': userAgent },
    // an address that leads elsewhere is not one that was allowed
    redirect: 'manual',
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new SourceError(`${address.host} cannot be reached: ${reasonOf(error)}`);
  });
  if (response.status === 429 || response.status === 503) {
    await response.body?.cancel();
    return { status: response.status, retryAfterMs: retryAfterOf(response.headers.get('retry-after')) };
  }
  if (response.status >= 300 && response.status < 400)
    throw new SourceError(`${address.host} redirects; allowed: an answer from there`);
  const text = await readText(response, address, mostBytes);
  // arXiv says in an Atom feed what was wrong with a question, whatever the status
  if (!response.ok && !(response.status === 400 && text.includes('/api/errors')))
    throw new SourceError(
      `${address.host} answered ${response.status}: ${text.replace(/\s+/g, ' ').slice(0, 200)}`,
    );
  return text;
}

async function readText(response: Response, address: URL, mostBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > mostBytes) throw new SourceError(`${address.host} sent more than ${mostBytes} bytes`);
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

/** Seconds, or a date; no more than an hour, since a typing error there must not stop imports for ever. */
function retryAfterOf(header: string | null): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : undefined;
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : message;
}
