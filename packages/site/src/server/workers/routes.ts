import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import {
  CLOCK_MINUTES,
  LEASE_SECONDS,
  MOST_BYTES,
  publicKeySchema,
  type WorkerMessage,
  workerMessage,
} from '../../shared/worker.ts';
import type { Database } from '../database.ts';
import type { Ledger } from '../ledger.ts';
import type { Limits } from '../limits.ts';
import { Refused } from '../refused.ts';
import { CLIENT_HEADER } from '../security.ts';
import { isSignedBy } from './keys.ts';
import {
  failMeasurement,
  noteProgress,
  releaseMeasurement,
  storeResult,
  takeMeasurement,
} from './measurements.ts';

export interface WorkerServices {
  database: Database;
  limits: Limits;
  ledger: Pick<Ledger, 'refresh'>;
}

/** What was wrong with a message, in the form of the API's refusals. */
class Bad extends Error {
  readonly status: 400 | 401 | 409 | 429;
  readonly body: { error: { argument: string; given: string | null; allowed: string } };
  readonly retryAfter?: number;

  constructor(
    status: Bad['status'],
    argument: string,
    given: string | null,
    allowed: string,
    retryAfter?: number,
  ) {
    super(`${argument}: ${allowed}`);
    this.status = status;
    this.body = { error: { argument, given, allowed } };
    this.retryAfter = retryAfter;
  }
}

/**
 * Measuring machines speak here: POST /worker with a message (shared/worker.ts) whose bytes are signed by Ed25519 in
 * the header Saccade-Signature. Nothing rides on a cookie. A message counts once, within minutes of its time.
 */
export function workerRoutes(services: WorkerServices): Hono {
  const { limits } = services;
  const app = new Hono();
  app.post(
    '/',
    bodyLimit({
      maxSize: MOST_BYTES,
      onError: (context) =>
        context.json(
          { error: { argument: 'body', given: 'more', allowed: `at most ${MOST_BYTES} bytes` } },
          413,
        ),
    }),
    async (context) => {
      try {
        const bytes = new Uint8Array(await context.req.arrayBuffer());
        const signature = context.req.header('saccade-signature') ?? '';
        const client = context.req.header(CLIENT_HEADER) ?? 'unknown';
        const { message, worker } = await verified(services, bytes, signature, client);
        const { allowed, retryAfter } = await limits.use('worker', worker);
        if (!allowed)
          throw new Bad(
            429,
            'worker',
            null,
            `fewer messages; wait ${retryAfter} s and try again`,
            retryAfter,
          );
        return context.json(
          await carriedOut(services, worker, message, {
            message: new TextDecoder().decode(bytes),
            signature,
          }),
        );
      } catch (error) {
        if (error instanceof Refused)
          return context.json(
            { error: { argument: 'job', given: null, allowed: error.message } },
            error.status,
          );
        if (!(error instanceof Bad)) throw error;
        if (error.retryAfter) context.header('Retry-After', String(error.retryAfter));
        return context.json(error.body, error.status);
      }
    },
  );
  return app;
}

/** A message that a registered worker signed, understood, in time and for the first time. */
async function verified(
  { database, limits }: WorkerServices,
  bytes: Uint8Array,
  signature: string,
  client: string,
): Promise<{ message: WorkerMessage; worker: string }> {
  const given = parse(bytes);
  const key = publicKeySchema.safeParse((given as { worker?: unknown } | undefined)?.worker);
  const [worker] = key.success
    ? await database.query<{ id: string; revoked: boolean }>(
        'SELECT id, revoked_at IS NOT NULL AS revoked FROM workers WHERE public_key = $1',
        [key.data],
      )
    : [];
  const stranger = async (argument: string, value: string | null, allowed: string): Promise<Bad> => {
    const { allowed: may, retryAfter } = await limits.use('worker refused', client);
    return may
      ? new Bad(401, argument, value, allowed)
      : new Bad(429, argument, value, `a registered worker; wait ${retryAfter} s and try again`, retryAfter);
  };
  if (!key.success || !worker)
    throw await stranger(
      'worker',
      key.success ? key.data : null,
      'a public key that an admin has registered here, under Moderate → Machines',
    );
  if (worker.revoked) throw await stranger('worker', key.data, 'a key that was not revoked');
  if (!isSignedBy(key.data, bytes, signature))
    throw await stranger(
      'Saccade-Signature',
      signature.slice(0, 100),
      "the Ed25519 signature of this body's bytes by the worker's key, as base64url",
    );
  const parsed = workerMessage.safeParse(given);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    throw new Bad(400, path.join('.') || 'message', valueAt(given, path), message);
  }
  const { at, nonce } = parsed.data;
  if (Math.abs(Date.parse(at) - Date.now()) > CLOCK_MINUTES * 60_000)
    throw new Bad(
      400,
      'at',
      at,
      `within ${CLOCK_MINUTES} minutes of this server's clock, which says ${new Date().toISOString()}`,
    );
  await database.query('DELETE FROM worker_nonces WHERE used_at < now() - make_interval(mins => $1)', [
    3 * CLOCK_MINUTES,
  ]);
  const fresh = await database.query(
    'INSERT INTO worker_nonces (worker_id, nonce) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1',
    [worker.id, nonce],
  );
  if (fresh.length === 0)
    throw new Bad(409, 'nonce', nonce, 'one that was not used before: this is a replay');
  return { message: parsed.data, worker: worker.id };
}

async function carriedOut(
  { database, ledger }: WorkerServices,
  worker: string,
  message: WorkerMessage,
  signed: { message: string; signature: string },
): Promise<object> {
  switch (message.kind) {
    case 'claim': {
      await database.query('UPDATE workers SET seen_at = now(), machine = $2 WHERE id = $1', [
        worker,
        JSON.stringify(message.machine),
      ]);
      const taken = await takeMeasurement(database, {
        worker,
        papers: message.papers,
        leaseSeconds: LEASE_SECONDS,
      });
      return { taken: taken ? { ...taken, leaseSeconds: LEASE_SECONDS } : null };
    }
    case 'progress':
      await database.query('UPDATE workers SET seen_at = now() WHERE id = $1', [worker]);
      await noteProgress(database, { ...message, worker, leaseSeconds: LEASE_SECONDS });
      return {};
    case 'release':
      await releaseMeasurement(database, { ...message, worker });
      return {};
    case 'failed':
      await failMeasurement(database, { ...message, worker });
      return {};
    case 'result': {
      const { slug, quick } = message.ledger;
      await storeResult(database, { ...message, worker, slug, quick, ...signed });
      await ledger.refresh();
      return {};
    }
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new Bad(400, 'body', null, 'JSON in UTF-8');
  }
}

/** What stood where a schema found fault, short enough to be repeated. */
function valueAt(given: unknown, path: readonly PropertyKey[]): string | null {
  let value = given;
  for (const part of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[part];
  return value === undefined ? null : JSON.stringify(value).slice(0, 100);
}
