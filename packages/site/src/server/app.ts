import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serveStatic } from '@hono/node-server/serve-static';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { compress } from 'hono/compress';
import type { Logger } from 'pino';
import { api } from './api/routes.ts';
import { exports } from './exports/routes.ts';
import { feeds } from './feeds.ts';
import { isLocal, type Metrics, routeOf } from './metrics.ts';
import { clientAddress, formsOnly, headers, sameOrigin } from './security.ts';
import type { Services } from './services.ts';
import { oneClick } from './subscribe.ts';
import { workerRoutes } from './workers/routes.ts';

/** Of a form of a page; a comment has 20,000 letters at most. */
const MOST_FORM_BYTES = 2 ** 20;

export interface AppOptions {
  services: Pick<Services, 'database' | 'ledger' | 'mailer' | 'bench' | 'limits'>;
  /** Answers everything that is a page. */
  pages: (request: Request) => Promise<Response>;
  /** Folder of the built client. */
  client: string;
  /** Folder of the labs' pictures and texts. */
  labAssets: string;
  /** Where readers reach the site. */
  origin?: string;
  /** How many proxies before the site are believed. */
  proxies?: number;
  metrics?: Metrics;
  /** Hears of errors that nobody answered. */
  log?: Pick<Logger, 'error'>;
  /** False while it stops: a proxy sends no more requests then. */
  isReady?: () => boolean;
  /** Routes for commands on this machine. */
  operator?: Hono;
}

/** All routes of the site on one Hono app; testable with app.request(). */
export function createApp({ services, pages, client, labAssets, ...options }: AppOptions): Hono {
  const app = new Hono();
  const { metrics } = options;
  if (metrics) app.use('*', metrics.measure);
  app.use('*', compress());
  app.use('*', headers(options.origin));
  app.route('/', oneClick(services));
  app.use('*', sameOrigin(options.origin));
  app.use('*', clientAddress(options.proxies ?? 0));
  app.get('/healthz', (context) => context.json({ ok: true }));
  app.get('/readyz', async (context) => {
    const ok =
      (options.isReady?.() ?? true) &&
      (await services.database.query('SELECT 1').then(
        () => true,
        () => false,
      ));
    return context.json({ ok }, ok ? 200 : 503);
  });
  app.get('/metrics', async (context) => {
    if (!metrics || !isLocal(context)) return context.notFound();
    return context.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType });
  });
  app.route('/worker', workerRoutes(services));
  app.route('/api', api(services, options.origin));
  app.route('/feeds', feeds(services, options.origin));
  app.route('/', exports(services, options.origin));
  app.get('/ledger/:machine/:file{[a-z0-9-]+\\.json}', (context) => {
    const { machine, file } = context.req.param();
    const text = services.ledger.file(machine, file.slice(0, -'.json'.length));
    if (text === undefined)
      return context.json(
        { error: { argument: 'path', given: context.req.path, allowed: 'a file named on /ledger' } },
        404,
      );
    return context.body(text, 200, {
      'Content-Type': 'application/json',
      'Content-Disposition': `attachment; filename="${machine}-${file}"`,
    });
  });
  app.get('/ledger/workers/:worker{[a-z0-9-]+}/:file{[a-z0-9-]+\\.json}', async (context) => {
    const { worker, file } = context.req.param();
    const found = await services.ledger.signed(worker, file.slice(0, -'.json'.length));
    if (!found)
      return context.json(
        { error: { argument: 'path', given: context.req.path, allowed: 'a file named on /ledger' } },
        404,
      );
    return context.body(found.message, 200, {
      'Content-Type': 'application/json',
      'Content-Disposition': `attachment; filename="${worker}-${file}"`,
      'Saccade-Signature': found.signature,
      'Saccade-Public-Key': found.publicKey,
    });
  });
  app.get('/speed/:file{[a-z0-9-]+\\.json}', (context) => {
    const { file } = context.req.param();
    const text = services.bench.text(file.slice(0, -'.json'.length));
    if (text === undefined)
      return context.json(
        { error: { argument: 'path', given: context.req.path, allowed: 'a file named on /speed' } },
        404,
      );
    return context.body(text, 200, {
      'Content-Type': 'application/json',
      'Content-Disposition': `attachment; filename="${file}"`,
    });
  });
  app.use(
    '/assets/*',
    cached('public, max-age=31536000, immutable'),
    serveStatic({ root: client, precompressed: true }),
  );
  app.use(
    '/assets-lab/*',
    cached('public, max-age=3600'),
    serveStatic({ root: labAssets, rewriteRequestPath: (path) => path.slice('/assets-lab'.length) }),
  );
  app.get('/favicon.svg', async (context) =>
    context.body(await readFile(join(client, 'favicon.svg'), 'utf8'), 200, {
      'Content-Type': 'image/svg+xml',
      'Cache-Control': 'public, max-age=86400',
    }),
  );
  if (options.operator) app.route('/operator', options.operator);
  app.use('*', bodyLimit({ maxSize: MOST_FORM_BYTES, onError: tooLarge }), formsOnly);
  app.all('*', (context) => pages(context.req.raw));
  app.onError((error, context) => {
    options.log?.error({ err: error, route: routeOf(context.req.path) }, 'request failed');
    return context.text('Something went wrong on this server. Nothing was lost; try again.', 500);
  });
  return app;
}

const tooLarge = (context: Context) =>
  context.text(`The form is too large; allowed: ${MOST_FORM_BYTES} bytes.`, 413);

function cached(value: string) {
  return async (context: { res: Response }, next: () => Promise<void>) => {
    await next();
    if (context.res.ok) context.res.headers.set('Cache-Control', value);
  };
}
