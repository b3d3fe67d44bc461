import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LimitName, policies } from './limits.ts';
import { crowdSettings, logIn, post } from './testing/logins.ts';
import { nasty } from './testing/nasty.ts';
import { type Started, start } from './testing/start.ts';

let folder: string;
let site: Started;
let cookie: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-hostile-'));
  const data = join(folder, 'data');
  site = await start(data, join(folder, 'results'), '0', crowdSettings);
  [cookie] = await logIn(site.address, data, 1);
}, 120_000);
afterAll(async () => {
  await site?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A form as its reader sends it, and which client sends the nth of them. */
interface Use {
  path: string;
  form(n: number): Record<string, string>;
  client?(n: number): number;
}
/** Of all that a form can meet; what machines meet is tried in workers/workers.test.ts. */
const uses: Record<Exclude<LimitName, 'worker' | 'worker refused'>, Use> = {
  'login link by client': { path: '/login', form: (n) => ({ email: `c${n}@example.org` }) },
  'login link by address': {
    path: '/login',
    form: () => ({ email: 'one@example.org' }),
    client: (n) => 100 + n,
  },
  'login by client': { path: '/login/link', form: () => ({ token: 'never given' }) },
  'subscribe by client': { path: '/subscribe', form: (n) => ({ email: `s${n}@example.org` }) },
  'subscribe by address': {
    path: '/subscribe',
    form: () => ({ email: 'two@example.org' }),
    client: (n) => 200 + n,
  },
  subscription: { path: '/subscribe/confirm', form: () => ({ token: 'never given' }) },
  // A form that is refused counts, too: whoever tries, tries.
  vote: { path: '/papers/fna', form: () => ({ intent: 'vote', wanted: 'perhaps' }) },
  comment: { path: '/papers/fna', form: () => ({ intent: 'comment', text: '' }) },
  report: { path: '/papers/fna', form: () => ({ intent: 'report', comment: 'none' }) },
  claim: { path: '/papers/fna', form: () => ({ intent: 'claim' }) },
  account: { path: '/account', form: () => ({ intent: 'rename', name: '' }) },
  library: { path: '/library', form: () => ({ intent: 'forget', search: 'none' }) },
  submit: { path: '/submit', form: () => ({ paper: 'none' }) },
};

test.each(Object.entries(uses))(
  'one more than the limit of %s answers 429 with Retry-After',
  async (name, use) => {
    const { most, seconds } = policies[name as LimitName];
    const send = (n: number, as: '' | '.data') =>
      post(`${site.address}${use.path}${as}`, use.client?.(n) ?? 50, use.form(n), {
        // Who is logged in is sent on from the page of logins.
        headers: use.path.startsWith('/login') ? {} : { cookie },
      });
    const statuses = await Promise.all(
      Array.from({ length: most }, async (_, n) => (await send(n, '.data')).status),
    );
    expect(statuses.filter((status) => status === 429 || status >= 500)).toEqual([]);
    for (const as of ['', '.data'] as const) {
      const refused = await send(most, as);
      expect(refused.status).toBe(429);
      const wait = Number(refused.headers.get('retry-after'));
      expect(wait).toBeGreaterThan(0);
      expect(wait).toBeLessThanOrEqual(seconds);
    }
  },
);

describe('what no reader would ask', () => {
  test.each([
    "/papers/fna' OR '1'='1",
    '/papers/fna;DROP TABLE papers',
    "/papers/date/2025-03-05' --",
    '/papers/week/2025-W10;SELECT pg_sleep(9)',
    '/?page=1;DROP TABLE papers',
    '/?page=1 UNION SELECT 1',
    '/?runs=1 OR 1=1',
    "/api/papers/1' OR '1'='1",
    '/api/daily_papers?limit=1;SELECT',
    "/api/papers?cursor=1' OR 1=1",
    '/papers/..%2f..%2fetc%2fpasswd',
    '/assets/..%2f..%2fserver%2findex.js',
    '/assets-lab/..%2f..%2f..%2fpackage.json',
    '/ledger/..%2f..%2f/package.json',
    '/speed/..%2fpackage.json',
    '/papers/http:%2f%2f169.254.169.254%2flatest',
    '/compare?papers=http://169.254.169.254/&papers=file:///etc/passwd',
    '/users/%0d%0aSet-Cookie:%20x=1',
  ])('GET %s is refused', async (path) => {
    const answer = await fetch(site.address + path.replaceAll(' ', '%20'), { redirect: 'manual' });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  test.each([
    ['/subscribe', { email: 'a@example.org\r\nBcc: b@example.org' }],
    ['/subscribe', { email: 'a@example.org, b@example.org' }],
    ['/login', { email: 'a@example.org\nTo: b@example.org' }],
    ['/login', { email: '<script>@example.org' }],
    ['/login/link', { token: "' OR '1'='1" }],
  ])('POST %s of %j is refused', async (path, form) => {
    const answer = await post(site.address + path, 300, form as Record<string, string>);
    expect(answer.status).toBe(400);
  });

  test('a path to go on to cannot add a header or lead elsewhere', async () => {
    for (const next of ['//example.org', 'https://example.org', '/\\example.org', '/a\r\nX-Evil: 1']) {
      const answer = await fetch(`${site.address}/login?next=${encodeURIComponent(next)}`);
      expect([answer.status, answer.headers.get('x-evil')]).toEqual([200, null]);
      expect(await answer.text()).not.toMatch(/value="[^"]*example\.org/);
    }
  });
});

const pages = [
  '/?q=V',
  '/?family=V',
  '/?page=V',
  '/papers/trending?page=V',
  '/papers/date/V',
  '/papers/week/V',
  '/papers/month/V',
  '/papers/V',
  '/papers/V/V',
  '/compare?papers=V',
  '/compare?V=V',
  '/users/V',
  '/comments/V',
  '/login?next=V',
  '/login/link?token=V',
  '/subscribe/confirm?token=V',
  '/unsubscribe/V',
  '/library?tag=V',
  '/feeds/family/V.atom',
  '/feeds/search.atom?q=V',
  '/feeds/date/V.rss',
  '/papers/V.bib',
  '/papers/V.md',
  '/ledger/V/V.json',
  '/ledger/workers/V/fna.json',
  '/submit?paper=V&sent=V',
  '/speed/V.json',
  '/V',
];
test('no page fails, whatever stands in its address', async () => {
  const failed: string[] = [];
  for (const page of pages)
    await Promise.all(
      nasty.map(async (value) => {
        const path = page.replaceAll('V', encodeURIComponent(value.toWellFormed()));
        // What a page does with its address it does for its data alone, too; rendering is tried with the worst of them.
        const data = page.includes('.') ? [] : [path.replace(/(\?|$)/, '.data$1')];
        for (const asked of data.length === 0 || value === '\u0000' ? [path, ...data] : data) {
          const { status } = await fetch(site.address + asked, { redirect: 'manual', headers: { cookie } });
          if (status >= 500) failed.push(`${status} ${asked.slice(0, 200)}`);
        }
      }),
    );
  expect(failed.join('\n')).toBe('');
});

test('no form fails, whatever it holds and in whatever form it comes', async () => {
  const failed: string[] = [];
  const actions = [
    '/login',
    '/login/link',
    '/subscribe',
    '/subscribe/confirm',
    '/unsubscribe/x',
    '/account',
    '/library',
    '/notifications',
    '/papers/fna',
    '/papers/unheard-of',
    '/admin/reports',
    '/admin/claims',
    '/admin/accounts',
    '/admin/submissions',
    '/admin/measurements',
    '/admin/machines',
    '/admin/imports',
    '/submit',
    '/worker',
    '/',
    '/api/papers',
    '/nowhere',
  ];
  const bodies: [string | undefined, string][] = [
    ['application/x-www-form-urlencoded', ''],
    ['application/x-www-form-urlencoded', 'intent=vote&wanted=%00&email=%ff&token=%&text=%00'],
    ['application/x-www-form-urlencoded', 'intent=__proto__&__proto__[x]=1'],
    ['application/json', '{"intent":"vote"}'],
    ['multipart/form-data; boundary=x', '--y'],
    ['multipart/form-data', 'x'],
    ['text/plain', 'x'],
    [undefined, '\u0000'],
  ];
  for (const path of actions)
    for (const [type, body] of bodies)
      for (const as of ['', '.data']) {
        const { status } = await fetch(`${site.address}${path}${as}`, {
          method: 'POST',
          body: new TextEncoder().encode(body),
          redirect: 'manual',
          headers: { origin: site.address, cookie, ...(type && { 'content-type': type }) },
        });
        if (status >= 500) failed.push(`${status} ${path}${as} ${type} ${body}`);
      }
  expect(failed.join('\n')).toBe('');
});
