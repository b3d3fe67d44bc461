import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '../database.ts';
import { createLimits } from '../limits.ts';
import type { Mailer, Message } from '../mail/mailer.ts';
import { grantRole } from '../queries/users.ts';
import { onEachEngine } from '../testing/databases.ts';
import { type Accounts, createAccounts } from './accounts.ts';

const secret = 'a secret of the tests that is long enough';

onEachEngine('accounts', (open) => {
  let database: Database;
  let accounts: Accounts;
  let sent: Message[];
  const mailer: Mailer = {
    kind: 'outbox',
    send: async (message) => {
      sent.push(message);
    },
    kept: async () => [],
    forget: async () => {},
    close: () => {},
  };
  const at = (origin: string) => createAccounts({ database, mailer, origin, secret });
  beforeAll(async () => {
    database = await open();
    accounts = at('http://localhost:4173');
  });
  beforeEach(async () => {
    sent = [];
    await database.query('DELETE FROM users');
  });
  afterAll(() => database.close());

  /** Asks for a link and takes the token from the mail. */
  const token = async (email: string, next = '/') => {
    await accounts.sendLink(email, next);
    const address = /http\S+/.exec(sent.at(-1)!.text)![0];
    expect(new URL(address).searchParams.get('next')).toBe(next);
    return new URL(address).searchParams.get('token')!;
  };
  const asked = (cookies: string[]) =>
    new Request('http://localhost:4173/', {
      headers: { cookie: cookies.map((cookie) => cookie.split(';')[0]).join('; ') },
    });

  test('a link logs in once, also when it is used many times at once', async () => {
    const link = await token('ada@example.org', '/papers/fna');
    const tries = await Promise.all(Array.from({ length: 10 }, () => accounts.redeem(link)));
    const [redeemed, ...others] = tries.filter((result) => result !== undefined);
    expect(others).toEqual([]);
    expect(await accounts.redeem(link)).toBeUndefined();
    const viewer = await accounts.viewer(asked(redeemed.cookies));
    expect(viewer).toMatchObject({ role: 'reader', isBot: false });
    // The name says nothing of the address.
    expect(viewer?.name).toMatch(/^reader-[0-9a-f]{8}$/);
    expect(JSON.stringify(viewer)).not.toContain('example.org');
  });

  test('an older, a wrong and no token log nobody in', async () => {
    const link = await token('ada@example.org');
    await database.query("UPDATE logins SET expires_at = now() - interval '1 second'");
    for (const wrong of [link, 'a'.repeat(32), '', "'; DROP TABLE users; --"])
      expect(await accounts.redeem(wrong)).toBeUndefined();
    expect(await database.query('SELECT * FROM sessions')).toEqual([]);
  });

  test('links and session cookies are worth nothing to who reads the database', async () => {
    const link = await token('ada@example.org');
    expect(JSON.stringify(await database.query('SELECT * FROM logins'))).not.toContain(link);
    await accounts.redeem(link);
    const [session] = await database.query<{ token: string; ip: string | null }>(
      'SELECT token, ip_address AS ip FROM sessions',
    );
    expect(session.ip || null).toBeNull();
    for (const forged of [session.token, `${session.token}.`, `${session.token}.AAAA`])
      expect(await accounts.viewer(asked([`saccade=${forged}`]))).toBeUndefined();
  });

  test('the same address in another case is the same account, in another browser another session', async () => {
    const [first, second] = [
      await accounts.redeem(await token('Ada@Example.org')),
      await accounts.redeem(await token('ada@example.org')),
    ];
    const viewers = await Promise.all([first, second].map((one) => accounts.viewer(asked(one!.cookies))));
    expect(viewers[0]?.id).toBe(viewers[1]?.id);
    const left = await accounts.leave(asked(first!.cookies));
    expect(left.join()).toMatch(/Max-Age=0/i);
    expect(await accounts.viewer(asked(first!.cookies))).toBeUndefined();
    expect(await accounts.viewer(asked(second!.cookies))).toBeDefined();
  });

  test('the cookie is HttpOnly and Lax, and on https Secure and bound to the host by its name', async () => {
    const plain = await accounts.redeem(await token('ada@example.org'));
    expect(plain?.cookies).toHaveLength(1);
    expect(plain?.cookies[0]).toMatch(/^saccade=.+; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/);
    accounts = at('https://papers.example.org');
    const secure = await accounts.redeem(await token('ada@example.org'));
    accounts = at('http://localhost:4173');
    expect(secure?.cookies[0]).toMatch(/^__Host-saccade=.+; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
    expect(secure?.cookies[0]).not.toMatch(/Domain/i);
  });

  test('who is suspended is logged out and stays out', async () => {
    const { cookies } = (await accounts.redeem(await token('bob@example.org')))!;
    await database.query('UPDATE users SET suspended_at = now()');
    expect(await accounts.viewer(asked(cookies))).toBeUndefined();
    expect(await accounts.redeem(await token('bob@example.org'))).toBeUndefined();
    expect(await database.query('SELECT * FROM sessions')).toEqual([]);
  });

  test('a role can be given before the first login, and changed after it', async () => {
    await grantRole(database, 'Root@example.org', 'admin');
    const { cookies } = (await accounts.redeem(await token('root@example.org')))!;
    expect(await accounts.viewer(asked(cookies))).toMatchObject({ role: 'admin' });
    await grantRole(database, 'root@example.org', 'curator');
    expect(await accounts.viewer(asked(cookies))).toMatchObject({ role: 'curator' });
  });

  test('limits count together over processes, say how long to wait, and store no key', async () => {
    const [one, two] = [createLimits(database, secret), createLimits(database, secret)];
    const uses = await Promise.all(
      Array.from({ length: 9 }, (_, i) => (i % 2 ? one : two).use('comment', 'ada@example.org')),
    );
    expect(uses.filter(({ allowed }) => allowed)).toHaveLength(5);
    const refused = await one.use('comment', 'ada@example.org');
    expect(refused).toMatchObject({ allowed: false, limit: 5, remaining: 0 });
    expect(refused.retryAfter).toBeGreaterThan(0);
    expect(refused.retryAfter).toBeLessThanOrEqual(60);
    expect(await one.use('comment', 'bob')).toMatchObject({ allowed: true });
    expect(await one.use('vote', 'ada@example.org')).toMatchObject({ allowed: true });
    expect(JSON.stringify(await database.query('SELECT * FROM limits'))).not.toContain('example.org');
    await database.query("UPDATE limits SET ends_at = now() - interval '1 second'");
    expect(await one.use('comment', 'ada@example.org')).toMatchObject({ allowed: true });
  });
});
