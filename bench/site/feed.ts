import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';
import { logIn, post } from '../../packages/site/src/server/testing/logins.ts';
import type { FilledSite } from './filled.ts';
import { quantile, type Row, rounded, thinned } from './row.ts';

const atLeast = { PostgreSQL: 300, PGlite: 100 } as const;
const CONNECTIONS = 20;

/** The feed page asked for by readers without an account, as often as it is answered; then again while one votes each second. */
export async function feedRows({ engine, site, data }: FilledSite, seconds: number): Promise<Row[]> {
  const pid = site.process.pid!;
  const still = await load(site.address, pid, seconds);
  const [cookie] = await logIn(site.address, data, 1);
  let voted = 0;
  const voting = setInterval(() => {
    const form = { intent: 'vote', wanted: String(++voted % 2), inPlace: '1' };
    post(`${site.address}/papers/fna.data`, 0, form, { headers: { cookie } }).catch(() => {});
  }, 1000);
  const changing = await load(site.address, pid, seconds);
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
  /** Of the server's processor time; on a busy machine it says more than the clock. */
  serverMs: number;
  samplesMs: number[];
}

async function load(url: string, pid: number, seconds: number): Promise<Loaded> {
  const options = { url, connections: CONNECTIONS, headers: { 'accept-encoding': 'gzip' } };
  await autocannon({ ...options, duration: 2 });
  const samplesMs: number[] = [];
  const used = processorMs(pid);
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const running = autocannon({ ...options, duration: seconds }, (error, done) =>
      error ? reject(error) : resolve(done),
    );
    running.on('response', (_client, _status, _bytes, timeMs) => samplesMs.push(timeMs));
  });
  return {
    perSecond: result.requests.total / result.duration,
    failed: result.errors + result.timeouts + result.non2xx,
    serverMs: (processorMs(pid) - used) / result.requests.total,
    kilobytes: result.throughput.total / result.requests.total / 1000,
    samplesMs,
  };
}

function row(
  what: string,
  engine: FilledSite['engine'],
  { perSecond, failed, kilobytes, serverMs, samplesMs }: Loaded,
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
      ...(Number.isFinite(serverMs) && { serverMsEach: rounded(serverMs) }),
      failed,
    },
    atLeast: `${atLeast[engine]} requests/s${limits}`,
    holds: perSecond >= atLeast[engine] && (engine === 'PGlite' || p99Ms < 100) && failed === 0,
    samplesMs: thinned(samplesMs),
  };
}

/** Processor time of a process so far; NaN where the system does not tell. Linux counts it in hundredths of a second. */
function processorMs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.NaN;
  }
}
