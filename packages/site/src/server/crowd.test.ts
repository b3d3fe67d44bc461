import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase } from './testing/databases.ts';
import { logIn, post, crowdSettings as settings } from './testing/logins.ts';
import { type Started, start } from './testing/start.ts';

/** SACCADE_CLIENTS=100 is the run of the acceptance table; the suite takes fewer. */
const CLIENTS = Number(process.env.SACCADE_CLIENTS ?? 20);
const papers = ['fna', 'gna', 'halonet', 'biformer', 'power-attention'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-crowd-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Every third vote is cut off on its way, once. */
const isCut = (client: number, n: number) => (client + n) % 3 === 0;
/**
 * First every paper is voted for, then a second time, and some change their mind: those whose first vote was not cut
 * off, since a request that nobody waits for any more may still arrive after the next one.
 */
const takesBack = (client: number, n: number) => n >= 5 && (client + n) % 4 === 0 && !isCut(client, n - 5);

/**
 * Ten votes of each client, all at once over the servers; each is sent again, to the next server, until it is
 * acknowledged. With several servers the first is killed when half of the votes are through.
 */
async function vote(servers: readonly Started[], cookies: readonly string[]): Promise<number> {
  let cut = 0;
  let through = 0;
  await Promise.all(
    cookies.map(async (cookie, client) => {
      for (let n = 0; n < 10; n++) {
        const wanted = takesBack(client, n) ? '0' : '1';
        const send = (attempt: number, signal?: AbortSignal) =>
          post(
            `${servers[(client + n + attempt) % servers.length].address}/papers/${papers[n % 5]}.data`,
            client,
            { intent: 'vote', wanted, inPlace: '1' },
            { signal, headers: { cookie } },
          );
        if (isCut(client, n)) {
          await send(0, AbortSignal.timeout((client * 7 + n) % 40)).catch(() => {
            cut++;
          });
        }
        // A connection that the server closes while it idles breaks too: what was not acknowledged is sent again.
        let answer: Response | undefined;
        for (let attempt = 0; !answer && attempt < 5; attempt++)
          answer = await send(attempt).catch(() => undefined);
        expect(answer?.status, servers.map((server) => server.said()).join('\n')).toBe(200);
        if (++through === cookies.length * 5 && servers.length > 1) servers[0].process.kill('SIGKILL');
      }
    }),
  );
  return cut;
}

async function counts(address: string): Promise<Record<string, number>> {
  const of = async (slug: string) =>
    ((await (await fetch(`${address}/api/papers/${slug}`)).json()) as { upvotes: number }).upvotes;
  return Object.fromEntries(await Promise.all(papers.map(async (slug) => [slug, await of(slug)] as const)));
}

const expected = Object.fromEntries(
  papers.map((slug, paper) => [
    slug,
    Array.from({ length: CLIENTS }, (_, client) => client).filter((client) => !takesBack(client, paper + 5))
      .length,
  ]),
);

describe(`ten votes each of ${CLIENTS} clients at once, a third of them cut off and sent again`, () => {
  test('embedded: none lost, none double', async () => {
    const data = join(folder, 'data');
    const server = await start(data, join(folder, 'results'), '0', settings);
    try {
      const cut = await vote([server], await logIn(server.address, data, CLIENTS));
      expect(cut).toBeGreaterThan(CLIENTS / 2);
      expect(await counts(server.address)).toEqual(expected);
    } finally {
      await server.stop();
    }
  }, 300_000);

  test.skipIf(!process.env.TEST_DATABASE_URL)(
    'two servers on one PostgreSQL, one of them killed: none lost, none double (skipped without TEST_DATABASE_URL)',
    async () => {
      const data = join(folder, 'data');
      const { url, drop } = await createDatabase(process.env.TEST_DATABASE_URL!);
      const servers = await Promise.all(
        [1, 2].map(() => start(data, join(folder, 'results'), '0', { ...settings, DATABASE_URL: url })),
      );
      try {
        const cut = await vote(servers, await logIn(servers[0].address, data, CLIENTS));
        expect(cut).toBeGreaterThan(CLIENTS / 2);
        expect(servers[0].process.signalCode).toBe('SIGKILL');
        expect(await counts(servers[1].address)).toEqual(expected);
      } finally {
        await Promise.all(servers.map((server) => server.stop()));
        await drop();
      }
    },
    300_000,
  );
});
