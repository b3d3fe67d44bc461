import { generateKeyPairSync } from 'node:crypto';
import { simpleParser } from 'mailparser';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Viewer } from '../accounts/accounts.ts';
import type { Database } from '../database.ts';
import { answerFrom } from '../queries/answers.ts';
import { newFor, saveSearch, searchesOf } from '../queries/searches.ts';
import {
  ask,
  confirmSubscription,
  countSubscribers,
  editionsMailed,
  findPending,
  sweepPending,
  unsubscribe,
} from '../queries/subscribers.ts';
import { indexPapers } from '../search/index-papers.ts';
import { onEachEngine } from '../testing/databases.ts';
import { type MailRules, type MailServer, mailServer } from '../testing/mail-server.ts';
import { person } from '../testing/people.ts';
import { planDigests, sendDigests } from './digests.ts';
import { smtp } from './smtp.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const dkim = {
  domainName: 'example.org',
  keySelector: 'test',
  privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
};
const origin = 'https://papers.example.org';

onEachEngine('digests', (open) => {
  let database: Database;
  let server: MailServer;
  let rules: MailRules;
  beforeAll(async () => {
    database = await open();
    const day = async (slug: string, on: string) =>
      database.query(
        `INSERT INTO papers (slug, title, listed_on, links, family, summary) VALUES ($1, $2, $3, '[]', 'local', 'What it does.')`,
        [slug, `Title of ${slug}`, on],
      );
    await day('monday', '2026-03-02');
    await day('tuesday', '2026-03-03');
    await day('tuesday-too', '2026-03-03');
    await day('thursday', '2026-03-05');
    await database.query(
      "UPDATE papers SET summary = NULL, abstract = 'An abstract of $O(n)$.' WHERE slug = 'tuesday-too'",
    );
  }, 120_000);
  afterAll(() => database?.close());
  beforeEach(async () => {
    rules = {};
    server = await mailServer({
      refuse: (address) => rules.refuse?.(address),
      at: (step, address) => rules.at?.(step, address),
    });
    await database.query('DELETE FROM subscribers');
    return () => server.close();
  });

  const subscribe = async (
    email: string,
    chosen: { cadence?: 'daily' | 'weekly'; hour?: number; zone?: string } = {},
  ) => {
    const asked = await ask(database, { email, source: 'page' });
    if (!('confirm' in asked)) throw new Error('subscribed already');
    const token = await confirmSubscription(database, asked.confirm, {
      cadence: 'daily',
      hour: 8,
      zone: 'UTC',
      ...chosen,
    });
    await database.query("UPDATE subscribers SET confirmed_at = '2026-01-01' WHERE email = $1", [email]);
    return token!;
  };
  const send = async (options: { leaseSeconds?: number } = {}) => {
    const mailer = smtp(server.url, 'Saccade <papers@example.org>', dkim);
    try {
      return await sendDigests({
        database,
        mailer,
        origin,
        signal: new AbortController().signal,
        ...options,
      });
    } finally {
      mailer.close();
    }
  };
  const plan = (at: string) => planDigests(database, 'UTC', new Date(at));
  const spans = async () =>
    (
      await database.query<{ first_day: string; edition: string }>(
        'SELECT first_day, edition FROM deliveries ORDER BY edition',
      )
    ).map(({ first_day, edition }) => `${first_day} ${edition}`);

  test('nothing goes to who has not confirmed, and a token confirms once', async () => {
    const asked = await ask(database, { email: 'ada@example.org', source: 'header' });
    if (!('confirm' in asked)) throw new Error('subscribed already');
    expect(await plan('2026-03-04T09:00Z')).toBe(0);
    expect(await findPending(database, asked.confirm)).toEqual({ cadence: 'daily', hour: 8, zone: 'UTC' });
    const chosen = { cadence: 'weekly', hour: 7, zone: 'Europe/Zurich' } as const;
    expect(await confirmSubscription(database, asked.confirm, chosen)).toBeTypeOf('string');
    expect(await confirmSubscription(database, asked.confirm, chosen)).toBeUndefined();
    expect(await ask(database, { email: 'ada@example.org', source: 'page' })).toHaveProperty('manage');
    // Confirmed after that hour: the first digest is the next one.
    expect(await plan('2026-03-04T09:00Z')).toBe(0);
  });

  test('a token is too old after 24 hours, and the row goes after seven days', async () => {
    const asked = await ask(database, { email: 'ada@example.org', source: 'page' });
    if (!('confirm' in asked)) throw new Error('subscribed already');
    await database.query("UPDATE subscribers SET confirm_ends_at = now() - interval '1 s'");
    expect(await findPending(database, asked.confirm)).toBeUndefined();
    expect(
      await confirmSubscription(database, asked.confirm, { cadence: 'daily', hour: 8, zone: 'UTC' }),
    ).toBeUndefined();
    expect(await sweepPending(database)).toBe(0);
    await database.query("UPDATE subscribers SET created_at = now() - interval '8 days'");
    expect(await sweepPending(database)).toBe(1);
  });

  test.each([
    ['before the hour, the day before yesterday', 'UTC', '2026-03-04T07:59Z', ['2026-03-02 2026-03-02']],
    ['at the hour, yesterday', 'UTC', '2026-03-04T08:00Z', ['2026-03-03 2026-03-03']],
    ['the hour is that of the zone', 'Asia/Tokyo', '2026-03-03T23:30Z', ['2026-03-02 2026-03-02']],
    [
      'a day that is not over is not sent',
      'Pacific/Auckland',
      '2026-03-03T20:00Z',
      ['2026-03-02 2026-03-02'],
    ],
    ['a day without papers is not sent', 'UTC', '2026-03-05T09:00Z', []],
  ])('%s', async (_name, zone, at, expected) => {
    await subscribe('ada@example.org', { zone });
    await plan(at);
    expect(await spans()).toEqual(expected);
  });

  test('editions follow each other without a gap or a day twice, whenever the server was down', async () => {
    await subscribe('ada@example.org');
    for (const at of ['2026-03-03T09:00Z', '2026-03-03T10:00Z', '2026-03-05T12:00Z', '2026-03-06T09:00Z'])
      await plan(at);
    // On the 5th there is no paper of the 4th alone, but the mail of the 4th was missed.
    expect(await spans()).toEqual([
      '2026-03-02 2026-03-02',
      '2026-03-03 2026-03-04',
      '2026-03-05 2026-03-05',
    ]);
  });

  test('a weekly digest comes on Monday with seven days', async () => {
    await subscribe('ada@example.org', { cadence: 'weekly' });
    for (const at of ['2026-03-08T09:00Z', '2026-03-09T08:00Z', '2026-03-11T08:00Z']) await plan(at);
    expect(await spans()).toEqual(['2026-03-02 2026-03-08']);
  });

  test('a digest has both parts, list headers, and a signature over both of them', async () => {
    const token = await subscribe('ada@example.org');
    await plan('2026-03-04T09:00Z');
    expect(await send()).toEqual({ sent: 1, failed: 0 });
    expect(await send()).toEqual({ sent: 0, failed: 0 });
    const [{ raw }] = server.mails;
    const mail = await simpleParser(raw);
    expect(mail.subject).toBe('2 papers, 2026-03-03');
    for (const part of [mail.text, mail.html]) {
      expect(part).toContain('Title of tuesday-too');
      expect(part).toContain('An abstract of O(n).');
      expect(part).toContain(`${origin}/papers/tuesday-too`);
      expect(part).toContain(`${origin}/unsubscribe/${token}`);
    }
    const unfolded = raw.replace(/\r\n[ \t]+/g, ' ');
    expect(unfolded).toContain(`List-Unsubscribe: <${origin}/unsubscribe/${token}>`);
    expect(unfolded).toContain('List-Unsubscribe-Post: List-Unsubscribe=One-Click');
    expect(mail.messageId).toMatch(/^<digest-2026-03-03-[0-9a-f-]{36}@papers.example.org>$/);
    const covered = /DKIM-Signature:.*?; h=([^;]+);/i
      .exec(unfolded)![1]
      .toLowerCase()
      .split(/[:\s]+/);
    expect(covered).toEqual(
      expect.arrayContaining(['list-unsubscribe', 'list-unsubscribe-post', 'list-id', 'from', 'subject']),
    );
  });

  test('a mailbox that is not there pauses at once; a server that is busy is asked again', async () => {
    await subscribe('gone@example.org');
    await subscribe('busy@example.org');
    await plan('2026-03-04T09:00Z');
    rules.refuse = (address) => (address.startsWith('gone') ? 550 : 450);
    expect(await send()).toEqual({ sent: 0, failed: 2 });
    expect(await countSubscribers(database)).toEqual({ active: 1, pending: 0, paused: 1 });
    rules.refuse = undefined;
    expect(await send()).toEqual({ sent: 0, failed: 0 });
    await database.query('UPDATE deliveries SET try_at = now()');
    expect(await send()).toEqual({ sent: 1, failed: 0 });
    expect(server.mails.map(({ to }) => to)).toEqual(['busy@example.org']);
  });

  test('who unsubscribes while a digest is on its way gets none', async () => {
    const token = await subscribe('ada@example.org');
    await plan('2026-03-04T09:00Z');
    rules.at = async (step) => {
      if (step === 'recipient') await unsubscribe(database, token);
    };
    expect(await send()).toEqual({ sent: 0, failed: 1 });
    expect(server.mails).toEqual([]);
  });

  test('whose claim ran out hands nothing over, however late it comes', async () => {
    await subscribe('ada@example.org');
    await plan('2026-03-04T09:00Z');
    let first = true;
    rules.at = async (step) => {
      if (step !== 'recipient' || !first) return;
      first = false;
      // The slow one waits here until the other one has sent it.
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await send()).toEqual({ sent: 1, failed: 0 });
    };
    expect(await send({ leaseSeconds: 0.2 })).toEqual({ sent: 0, failed: 1 });
    expect(server.mails).toHaveLength(1);
    expect(await editionsMailed(database)).toEqual([
      { edition: '2026-03-03', planned: 0, sent: 1, unconfirmed: 0, failed: 0 },
    ]);
  });

  describe('saved searches', () => {
    const paper = (slug: string, title: string, listedOn: string | null) =>
      database.query(
        `INSERT INTO papers (slug, title, listed_on, links, family, summary) VALUES ($1, $2, $3, '[]', 'local', 'Sliding.')`,
        [slug, title, listedOn],
      );
    const mailsTo = async (address: string) =>
      Promise.all(server.mails.filter(({ to }) => to === address).map(({ raw }) => simpleParser(raw)));
    const countIn = (text: string | undefined, word: string) => (text ?? '').split(word).length - 1;
    let ada: Viewer;
    beforeEach(async () => {
      ada = await person(database, 'ada');
      await subscribe('ada@example.org');
      await subscribe('bob@example.org');
      await indexPapers(database);
      const answer = answerFrom(database);
      for (const [name, query] of [
        ['a <b>window</b>', 'q=windowed'],
        ['sliding', 'q=sliding+windowed'],
      ])
        await saveSearch(database, { userId: ada.id, name, query, answer });
      await paper('found', 'Windowed attention', '2026-03-03');
      await paper('unlisted', 'Windowed and unlisted', null);
      await indexPapers(database);
      return async () => {
        await database.query('DELETE FROM users');
        await database.query("DELETE FROM papers WHERE slug IN ('found', 'unlisted', 'later')");
      };
    });

    test('a new paper that matches comes in one digest, once, and to nobody else as a match', async () => {
      await plan('2026-03-04T09:00Z');
      expect(await send()).toEqual({ sent: 2, failed: 0 });
      const [mail] = await mailsTo('ada@example.org');
      expect(mail.subject).toBe('4 papers, 2026-03-03');
      for (const part of [mail.text, String(mail.html)]) {
        expect(countIn(part, `${origin}/papers/found`)).toBe(1);
        expect(countIn(part, `${origin}/papers/unlisted`)).toBe(1);
        expect(part).toContain('Title of tuesday-too');
        expect(part).toContain(`${origin}/?q=windowed`);
      }
      expect(mail.text).toContain('New for your search “a <b>window</b>”');
      expect(mail.html).toContain('a &lt;b&gt;window&lt;/b&gt;');
      const [other] = await mailsTo('bob@example.org');
      expect(other.text).not.toContain('New for your search');
      expect(other.text).not.toContain('unlisted');
      expect(countIn(other.text, `${origin}/papers/found`)).toBe(1);

      // The library knows that it was told, and the next digest tells what is new since.
      const answer = answerFrom(database);
      for (const search of await searchesOf(database, ada.id))
        expect(await newFor(database, search, answer)).toEqual([]);
      await paper('later', 'Windowed later', '2026-03-05');
      await indexPapers(database);
      await plan('2026-03-06T09:00Z');
      await send();
      const [, next] = await mailsTo('ada@example.org');
      expect(countIn(next.text, '/papers/found') + countIn(next.text, '/papers/unlisted')).toBe(0);
      expect(countIn(next.text, '/papers/later')).toBe(1);
    });

    test('a second try tells the same; what never arrives is new again', async () => {
      await plan('2026-03-04T09:00Z');
      rules.refuse = () => 450;
      expect(await send()).toEqual({ sent: 0, failed: 2 });
      rules.refuse = undefined;
      await database.query('UPDATE deliveries SET try_at = now()');
      expect(await send()).toEqual({ sent: 2, failed: 0 });
      const [mail] = await mailsTo('ada@example.org');
      expect(countIn(mail.text, '/papers/unlisted')).toBe(1);

      await paper('later', 'Windowed later', '2026-03-05');
      await indexPapers(database);
      await plan('2026-03-06T09:00Z');
      rules.refuse = () => 550;
      expect(await send()).toEqual({ sent: 0, failed: 2 });
      const [search] = await searchesOf(database, ada.id);
      expect(await newFor(database, search, answerFrom(database))).toEqual(['later']);
    });
  });
});
