// Sends what is planned, as a process that a test may kill: node send-digests.ts <database> <mail server> <seconds of a claim>, where the
// database is an address of PostgreSQL or a directory of the embedded one.
import { openEmbedded } from '../database.ts';
import { sendDigests } from '../mail/digests.ts';
import { smtp } from '../mail/smtp.ts';
import { openPostgres } from '../postgres.ts';

const [place, mailUrl, leaseSeconds] = process.argv.slice(2);
const database = place.startsWith('postgres')
  ? await openPostgres(place, (message) => console.error(message))
  : await openEmbedded(place);
const mailer = smtp(mailUrl, 'Saccade <papers@example.org>');
const { signal } = new AbortController();
const counts = await sendDigests({
  database,
  mailer,
  origin: 'https://papers.example.org',
  signal,
  leaseSeconds: Number(leaseSeconds),
  lanes: 1,
});
console.log(JSON.stringify(counts));
mailer.close();
await database.close();
