import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from './database.ts';

/** First parts of paths that are told apart; everything else, tokens and slugs among it, is not kept. */
const known = new Set(
  'about account admin api assets assets-lab comments compare day feeds healthz ledger library login metrics month notifications operator papers readyz speed submit subscribe trending unsubscribe users week worker'.split(
    ' ',
  ),
);

/** Which kind of page or answer a path is. It holds no token, name or question. */
export function routeOf(path: string): string {
  const first = path.split('/')[1]?.replace(/\.data$/, '') ?? '';
  if (first === '' || first === '_root') return '/';
  return known.has(first) ? `/${first}` : '/…';
}

export interface Metrics {
  /** Measures each answer, and logs it at level info. */
  measure: MiddlewareHandler;
  /** The text that Prometheus reads. */
  text(): Promise<string>;
  contentType: string;
}

export function createMetrics(database: Database, log: Pick<Logger, 'info'>): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const duration = new Histogram({
    name: 'saccade_request_seconds',
    help: 'Time from a request to its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  });
  const count = (name: string, help: string, label: string, sql: string) =>
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      async collect() {
        this.reset();
        // While the database is away the process is watched all the same, and has no rows to tell of.
        const rows = await database.query<{ label: string; count: number }>(sql).catch(() => []);
        for (const row of rows) this.set({ [label]: row.label }, row.count);
      },
    });
  count(
    'saccade_deliveries',
    'Digests by state',
    'state',
    'SELECT state AS label, count(*) FROM deliveries GROUP BY state',
  );
  count(
    'saccade_subscribers',
    'Subscribers by state',
    'state',
    'SELECT state AS label, count(*) FROM subscribers GROUP BY state',
  );
  count(
    'saccade_rows',
    'Papers, votes and comments',
    'table',
    `SELECT 'papers' AS label, count(*) FROM papers UNION ALL SELECT 'votes', count(*) FROM votes
     UNION ALL SELECT 'comments', count(*) FROM comments`,
  );
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    measure: async (context, next) => {
      const began = performance.now();
      await next();
      const seconds = (performance.now() - began) / 1000;
      const { method } = context.req;
      const route = routeOf(context.req.path);
      const { status } = context.res;
      duration.observe({ method, route, status }, seconds);
      log.info({ method, route, status, timeMs: Math.round(seconds * 1000) }, 'request');
    },
  };
}

/** Only a program on this machine may read the metrics; what came through a proxy did not begin here. */
export function isLocal({ req, env }: Context): boolean {
  const address = (env as Partial<HttpBindings> | undefined)?.incoming?.socket.remoteAddress ?? '';
  return (
    /^(127\.|::1$|::ffff:127\.)/.test(address) && !req.header('x-forwarded-for') && !req.header('forwarded')
  );
}
