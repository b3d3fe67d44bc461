import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { serve } from '@hono/node-server';
import type { Hono } from 'hono';
import { createRequestHandler, type ServerBuild } from 'react-router';
import { createAccounts } from './accounts/accounts.ts';
import { createApp } from './app.ts';
import { readBench } from './bench.ts';
import { type Database, openEmbedded } from './database.ts';
import { noNetwork } from './import/client.ts';
import { arxivLookUp } from './import/look-up.ts';
import { type Jobs, startJobs } from './jobs/jobs.ts';
import { siteJobs } from './jobs/site-jobs.ts';
import { createLedger, readLedger } from './ledger.ts';
import { createLimits } from './limits.ts';
import { DirectoryInUse, takeDirectory } from './lock.ts';
import { createLog } from './log.ts';
import { outbox } from './mail/outbox.ts';
import { smtp } from './mail/smtp.ts';
import { createMetrics } from './metrics.ts';
import { operator } from './operator.ts';
import { pageCache } from './page-cache.ts';
import { openPostgres } from './postgres.ts';
import { preparePapers } from './prepare.ts';
import { corpusOf } from './recommend.ts';
import { secretOf } from './secret.ts';
import { seed } from './seed.ts';
import type { Services } from './services.ts';
import { readSettings } from './settings.ts';

const site = join(import.meta.dirname, '../..');
const root = join(site, '../..');

/** The first readers are answered before the queue of jobs begins. */
const JOBS_WAIT_MS = 2000;

/** Starts the site and prints its address. Resolves when it serves. */
async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const { port, host, data, results, bench: benchFolder, databaseUrl, zone } = settings;
  const log = createLog(settings.log);
  const complain = (message: string) => log.warn(message);
  const bundle = join(site, 'build/server/index.js');
  if (!existsSync(bundle)) throw new Error(`${bundle} is missing; npm start builds it`);
  // Only the embedded database must have its directory for itself; a server takes any number of processes.
  const lock = databaseUrl ? undefined : takeDirectory(data);
  let database: Database | undefined;
  let jobs: Jobs | undefined;
  try {
    if (databaseUrl) {
      database = await openPostgres(databaseUrl, complain);
    } else {
      if (!existsSync(join(data, 'postgres'))) console.log(`Making a database in ${data} …`);
      database = await openEmbedded(join(data, 'postgres'));
    }
    const added = await seed(database);
    if (added > 0) console.log(`Added ${added} papers.`);
    await preparePapers(database, zone);
    const ledger = createLedger(readLedger(results ?? join(root, 'results'), complain), database);
    const bench = readBench(benchFolder ?? join(root, 'bench/results'), complain);
    const build = (await import(pathToFileURL(bundle).href)) as ServerBuild;
    let app: Hono | undefined;
    let stopping = false;
    const server = serve({
      // Mails name the address, and with port 0 it is known only once we listen.
      fetch: (request, bindings) => app?.fetch(request, bindings) ?? new Response(null, { status: 503 }),
      port,
      hostname: host === 'localhost' ? '127.0.0.1' : host,
    });
    const address = await new Promise<string>((resolve, reject) => {
      server.once('error', reject);
      server.once('listening', () => {
        const bound = server.address();
        resolve(
          `http://${host.includes(':') ? `[${host}]` : host}:${typeof bound === 'object' && bound ? bound.port : port}`,
        );
      });
    });
    const origin = settings.origin ?? address;
    const secret = settings.secret ?? secretOf(data);
    const mailer = settings.smtp
      ? smtp(settings.smtp.url, settings.smtp.from, settings.dkim)
      : outbox(join(data, 'outbox'));
    jobs = startJobs(
      database,
      siteJobs({ database, mailer, origin, zone, fetchText: settings.offline ? noNetwork : undefined }),
      complain,
      { afterMs: JOBS_WAIT_MS },
    );
    const services: Services = {
      database,
      ledger,
      bench,
      mailer,
      jobs,
      origin,
      accounts: createAccounts({ database, mailer, origin, secret }),
      limits: createLimits(database, secret),
      lookUp: arxivLookUp(database, settings.offline ? { fetchText: noNetwork } : {}),
      submitDays: settings.submitDays,
      corpus: corpusOf(database),
      log,
      zone,
    };
    (build.entry.module as unknown as { provide(services: Services): void }).provide(services);
    app = createApp({
      services,
      // Behind a proxy the address that readers use is not the one that requests arrive at.
      pages: pageCache({
        database,
        refresh: services.ledger.refresh,
        pages: createRequestHandler({ ...build, allowedActionOrigins: [new URL(origin).host] }, 'production'),
      }),
      client: join(site, 'build/client'),
      labAssets: join(root, 'packages/papers/assets'),
      origin,
      proxies: settings.proxies,
      operator: operator(database, secret, zone),
      metrics: createMetrics(database, log),
      log,
      isReady: () => !stopping,
    });
    lock?.announce(address);
    console.log(`Saccade serves ${address} (data in ${databaseUrl ? nameOf(databaseUrl) : data})`);
    const stop = () => {
      if (stopping) return;
      stopping = true;
      server.close(async () => {
        await jobs?.stop();
        mailer.close();
        await database?.close();
        lock?.release();
        process.exit(0);
      });
      // Keep-alive connections would hold the server open for ever.
      (server as { closeAllConnections?: () => void }).closeAllConnections?.();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  } catch (error) {
    await jobs?.stop();
    await database?.close();
    lock?.release();
    throw error;
  }
}

/** Where a database is, without its password. */
function nameOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `PostgreSQL ${pathname.slice(1)} at ${hostname}${port && `:${port}`}`;
}

try {
  await main();
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  const said =
    error instanceof DirectoryInUse || code !== 'EADDRINUSE'
      ? message
      : `${message}; another program has the port: set PORT`;
  console.error(`saccade: ${said}`);
  process.exit(1);
}
