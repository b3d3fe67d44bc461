import autocannon from 'autocannon';
import { logIn, post } from '../../packages/site/src/server/testing/logins.ts';
import type { FilledSite } from './filled.ts';
import { quantile, type Row, rounded, thinned } from './row.ts';

const atLeast = { PostgreSQL: 300, PGlite: 100 } as const;
const CONNECTIONS = 20;

/** The feed page asked for by readers without an account, as often as it is answered; then again while one votes each second. */
export async function feedRows({ engine, site, data }: FilledSite, seconds: number): Promise<Row[]> {
  const still = await load(site.address, seconds);
  const [cookie] = await logIn(site.address, data, 1);
  let voted = 0;
  const voting = setInterval(() => {
    const form = { intent: 'vote', wanted: String(++voted % 2), inPlace: '1' };
    post(`${site.address}/papers/fna.data`, 0, form, { headers: { cookie } }).catch(() => {});
  }, 1000);
  const changing = await load(site.address, seconds);
  clearInterval(voting);
  return [
    row(`feed page, ${engine}`, engine, still),
    row(`feed page, ${engine}, with a vote each second`, engine, changing),
  ];
}

interface Loaded {
  perSecond: number;
  failed: number;
  kilobytes: number;
  samplesMs: number[];
}

async function load(url: string, seconds: number): Promise<Loaded> {
  const options = { url, connections: CONNECTIONS, headers: { 'accept-encoding': 'gzip' } };
  await autocannon({ ...options, duration: 2 });
  const samplesMs: number[] = [];
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const running = autocannon({ ...options, duration: seconds }, (error, done) =>
      error ? reject(error) : resolve(done),
    );
    running.on('response', (_client, _status, _bytes, timeMs) => samplesMs.push(timeMs));
  });
  return {
    perSecond: result.requests.total / result.duration,
    failed: result.errors + result.timeouts + result.non2xx,
    kilobytes: result.throughput.total / result.requests.total / 1000,
    samplesMs,
  };
}

function row(
  what: string,
  engine: FilledSite['engine'],
  { perSecond, failed, kilobytes, samplesMs }: Loaded,
): Row {
  const p99Ms = quantile(samplesMs, 0.99);
  const limits = engine === 'PostgreSQL' ? ', p99 under 100 ms' : '';
  return {
    what,
    figures: {
      requestsPerSecond: Math.round(perSecond),
      p50Ms: rounded(quantile(samplesMs, 0.5)),
      p99Ms: rounded(p99Ms),
      connections: CONNECTIONS,
      kilobytesEach: rounded(kilobytes),
      failed,
    },
    atLeast: `${atLeast[engine]} requests/s${limits}`,
    holds: perSecond >= atLeast[engine] && (engine === 'PGlite' || p99Ms < 100) && failed === 0,
    samplesMs: thinned(samplesMs),
  };
}
