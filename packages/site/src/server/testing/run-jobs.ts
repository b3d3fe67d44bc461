// The site's jobs with the digests due each minute, as a server that a test may kill: node run-jobs.ts <PostgreSQL> <mail server>.
import { startJobs } from '../jobs/jobs.ts';
import { siteJobs } from '../jobs/site-jobs.ts';
import { smtp } from '../mail/smtp.ts';
import { openPostgres } from '../postgres.ts';

const [url, mailUrl] = process.argv.slice(2);
const complain = (message: string) => console.error(message);
const database = await openPostgres(url, complain);
const mailer = smtp(mailUrl, 'Saccade <papers@example.org>');
const digests = siteJobs({ database, mailer, origin: 'https://papers.example.org', zone: 'UTC' })
  .filter(({ name }) => name === 'digests')
  .map((job) => ({ ...job, cron: '* * * * *' }));
const jobs = startJobs(database, digests, complain, {
  silentSeconds: 10,
  watchSeconds: 1,
  scheduleSeconds: 1,
  pollSeconds: 1,
});
process.once('SIGTERM', async () => {
  await jobs.stop();
  mailer.close();
  await database.close();
});
