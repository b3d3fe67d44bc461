// `node packages/site/search-speed.ts [papers]`: how long searches and feeds take beside that many papers (20,000), on
// the embedded database, or on the empty PostgreSQL server of TEST_DATABASE_URL. Processor time is told too: on a busy machine it says more than the clock.
import { openEmbedded } from './src/server/database.ts';
import { openPostgres } from './src/server/postgres.ts';
import { preparePapers } from './src/server/prepare.ts';
import { feed, findPaper } from './src/server/queries/papers.ts';
import { parseQuestion } from './src/server/search/parse.ts';
import questions from './src/server/search/questions.json' with { type: 'json' };
import { searchPapers } from './src/server/search/search.ts';
import { similarPapers } from './src/server/search/similar.ts';
import { seed } from './src/server/seed.ts';
import { addManyPapers } from './src/server/testing/many-papers.ts';

const count = Number(process.argv[2] ?? 20_000);
const ROUNDS = 5;

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const server = process.env.TEST_DATABASE_URL;
const database = server ? await openPostgres(server, console.error) : await openEmbedded();
let began = performance.now();
await seed(database);
await addManyPapers(database, count);
console.log(`${count} papers made in ${seconds(began)}`);
began = performance.now();
await preparePapers(database, 'UTC');
const [{ postings }] = await database.query<{ postings: number }>(
  'SELECT count(*)::int AS postings FROM search_postings',
);
console.log(`indexed in ${seconds(began)}: ${postings} postings`);
began = performance.now();
await preparePapers(database, 'UTC');
console.log(`a start that finds nothing to do: ${seconds(began)}`);

async function time(name: string, tasks: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (const task of tasks) await task();
  const samples: number[] = [];
  const used = process.cpuUsage();
  for (let round = 0; round < ROUNDS; round++)
    for (const task of tasks) {
      const start = performance.now();
      await task();
      samples.push(performance.now() - start);
    }
  const { user, system } = process.cpuUsage(used);
  const each = (user + system) / 1000 / samples.length;
  samples.sort((a, b) => a - b);
  const at = (share: number) =>
    `${samples[Math.min(samples.length - 1, Math.floor(share * samples.length))].toFixed(1)} ms`;
  console.log(
    `${name}: median ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)} of ${samples.length}; ${each.toFixed(1)} ms of processor time each`,
  );
}

const search = (text: string) => () => searchPapers(database, parseQuestion(text));
const asked = (questions as [string, string[]][]).map(([question]) => question);
const paper = await findPaper(database, { slug: 'fna' });
await time('thirty questions', asked.map(search));
await time(
  'phrases, exclusions, fields',
  [
    '"neighborhood attention"',
    'sparse -video',
    'author:babaceba attention',
    'family:local window',
    '"sparse attention" -"linear attention"',
    'family:local',
  ].map(search),
);
await time('similar papers', [() => similarPapers(database, paper?.number ?? 1)]);
await time('feed, newest', [() => feed(database), () => feed(database, {}, 'newest', 3)]);
await time('feed, trending', [() => feed(database, {}, 'trending')]);
await time('feed, a month', [() => feed(database, { days: { from: '2025-03-01', to: '2025-03-31' } })]);
await database.close();
