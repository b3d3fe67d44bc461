// Runs the imports that are due, as a process that a test may kill: node run-imports.ts <PostgreSQL> <fake arXiv> <pause>.
import { politeClient } from '../import/client.ts';
import { runPlans } from '../import/plans.ts';
import { openPostgres } from '../postgres.ts';

const [url, fake, pause] = process.argv.slice(2);
const database = await openPostgres(url, (message) => console.error(message));
const hosts = { 'export.arxiv.org': fake, 'rss.arxiv.org': fake, 'oaipmh.arxiv.org': fake };
// So that the fake source knows whom to kill.
const userAgent = `Saccade test, process ${process.pid}`;
const { signal } = new AbortController();
const ended = await runPlans({
  database,
  zone: 'UTC',
  signal,
  fetchText: politeClient(database, { hosts, pauseMs: Number(pause), timeoutMs: 2000, userAgent }),
  leaseSeconds: 2,
});
console.log(ended);
await database.close();
