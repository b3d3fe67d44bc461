import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from './database.ts';
import { keyOf, pageCache } from './page-cache.ts';
import { setVote } from './queries/votes.ts';
import { hashScripts } from './script-hashes.ts';
import { shared } from './shared.ts';
import { onEachEngine } from './testing/databases.ts';
import { person } from './testing/people.ts';

const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Request(`http://localhost${path}`, { headers, method });

onEachEngine('kept pages', (open) => {
  let database: Database;
  let rendered = 0;
  /** A page that shows the votes of paper a. */
  const pages = async (request: Request) => {
    rendered++;
    if (new URL(request.url).pathname === '/papers/gone') return new Response('gone', { status: 404 });
    const [{ upvotes }] = await database.query<{ upvotes: number }>(
      "SELECT upvotes FROM papers WHERE slug = 'a'",
    );
    return new Response(`<p>${upvotes} votes</p>`, { headers: { 'Content-Type': 'text/html' } });
  };
  const version = async () =>
    (await database.query<{ version: number }>('SELECT version FROM page_version'))[0].version;
  const rises = async (change: () => Promise<unknown>) => {
    const before = await version();
    await change();
    return (await version()) - before;
  };

  beforeAll(async () => {
    database = await open();
    await database.query(
      `INSERT INTO papers (slug, title, links, family) VALUES ('a', 'A', '[]', 'local'), ('b', 'B', '[]', 'local')`,
    );
  }, 120_000);
  afterAll(() => database?.close());
  beforeEach(() => {
    rendered = 0;
  });

  test('a page is rendered once for all who ask, and again after a vote by whichever process', async () => {
    const [here, there] = [pageCache({ database, pages }), pageCache({ database, pages })];
    const texts = await Promise.all(Array.from({ length: 20 }, async () => (await here(ask('/'))).text()));
    expect([rendered, new Set(texts)]).toEqual([1, new Set(['<p>0 votes</p>'])]);
    const { id } = await person(database, 'ada');
    await there(ask('/'));
    for (const wanted of [true, false, true]) {
      await setVote(database, { slug: 'a', userId: id, wanted });
      for (const cache of [here, there])
        expect(await (await cache(ask('/'))).text()).toBe(`<p>${Number(wanted)} votes</p>`);
    }
    // A vote that was there already changes nothing.
    rendered = 0;
    await setVote(database, { slug: 'a', userId: id, wanted: true });
    await here(ask('/'));
    expect(rendered).toBe(0);
  });

  test('the number rises once a commit, with everything that a page without an account shows', async () => {
    const ada = await person(database, 'bea');
    const of = (sql: string, parameters: unknown[] = []) => rises(() => database.query(sql, parameters));
    expect(
      await of(
        `INSERT INTO papers (slug, title, links) SELECT 'p-' || n, 'P', '[]' FROM generate_series(1, 500) n`,
      ),
    ).toBe(1);
    expect(await of("UPDATE papers SET title = 'A new one' WHERE slug = 'a'")).toBe(1);
    expect(await of("DELETE FROM papers WHERE slug = 'p-1'")).toBe(1);
    expect(
      await of("INSERT INTO comments (slug, author_id, raw, html) VALUES ('a', $1, 'x', 'x')", [ada.id]),
    ).toBe(1);
    expect(await of("UPDATE comments SET html = 'y'")).toBe(1);
    expect(
      await of(
        `INSERT INTO authorships (slug, user_id, author_name, evidence) VALUES ('a', $1, 'Bea', 'x')`,
        [ada.id],
      ),
    ).toBe(1);
    expect(await of("UPDATE users SET name = 'beatrix' WHERE id = $1", [ada.id])).toBe(1);
    expect(
      await of("INSERT INTO search_papers (paper, digest, length, terms, words) VALUES (1, '', 1, '[]', '')"),
    ).toBe(1);
    expect(await of("UPDATE papers SET title = 'x' WHERE slug = 'nobody'")).toBe(0);
    expect(await of('UPDATE users SET updated_at = now()')).toBe(0);
    expect(await of("INSERT INTO limits (key, used, ends_at) VALUES ('k', 1, now())")).toBe(0);
    const taken = rises(() =>
      database
        .transaction(async (inner) => {
          await inner.query("UPDATE papers SET title = 'never' WHERE slug = 'a'");
          throw new Error('taken back');
        })
        .catch(() => {}),
    );
    expect(await taken).toBe(0);
  });

  test('every table either raises the number, or shows on no page that is kept', async () => {
    const rows = await database.query<{ name: string; raises: boolean }>(
      `SELECT relname::text AS name, EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'page_version') AS raises
       FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
    );
    const elsewhere = new Set(
      `audit comment_versions deliveries identities import_cursors import_plans import_turns library limits logins measurements migrations
       notifications page_version reports saved_search_seen saved_searches search_postings search_size search_terms sessions
       site_facts subscribers votes worker_nonces workers`.split(/\s+/),
    );
    expect(rows.filter(({ name, raises }) => !raises && !elsewhere.has(name))).toEqual([]);
    expect(rows.filter(({ raises }) => raises)).toHaveLength(7);
  });

  test('a reader who knows the page gets 304 with the same policy, and compressed forms say the same', async () => {
    const cache = pageCache({ database, pages });
    const plain = await cache(ask('/'));
    const tag = plain.headers.get('etag')!;
    const text = await plain.text();
    const again = await cache(ask('/', { 'if-none-match': `"other", ${tag}` }));
    expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', tag]);
    for (const [accepted, encoding, unpack] of [
      ['gzip, deflate, br', 'br', brotliDecompressSync],
      ['gzip', 'gzip', gunzipSync],
      ['br;q=0, *', 'gzip', gunzipSync],
    ] as const) {
      const packed = await cache(ask('/', { 'accept-encoding': accepted }));
      expect(packed.headers.get('content-encoding')).toBe(encoding);
      expect(unpack(Buffer.from(await packed.arrayBuffer())).toString()).toBe(text);
    }
    expect(
      (await cache(ask('/', { 'accept-encoding': 'identity' }))).headers.get('content-encoding'),
    ).toBeNull();
    expect(rendered).toBe(1);
    await database.query("UPDATE papers SET upvotes = upvotes + 1 WHERE slug = 'a'");
    expect((await cache(ask('/', { 'if-none-match': tag }))).status).toBe(200);
  });

  test('who has a cookie, asks a long question or sends a form is answered anew; so is what is no page', async () => {
    const cache = pageCache({ database, pages });
    for (const request of [
      () => ask('/', { cookie: 'saccade=x' }),
      () => ask(`/?q=${'x'.repeat(121)}`),
      () => ask('/papers/a', {}, 'POST'),
      () => ask('/papers/gone'),
    ]) {
      rendered = 0;
      await cache(request());
      await cache(request());
      expect(rendered, request().url).toBe(2);
    }
  });

  test('what the database does not hold is read again before a page is kept', async () => {
    let verdicts = 0;
    const cache = pageCache({
      database,
      refresh: async () => {
        verdicts = await version();
      },
      pages: async () => new Response(String(verdicts), { headers: { 'Content-Type': 'text/html' } }),
    });
    for (let n = 0; n < 2; n++) {
      await database.query("UPDATE papers SET comments = comments + 1 WHERE slug = 'b'");
      expect(await (await cache(ask('/'))).text()).toBe(String(await version()));
    }
  });

  test('a page is no older than a minute', async () => {
    let time = 0;
    const cache = pageCache({ database, pages, now: () => time });
    for (time of [0, 59_000, 61_000]) await cache(ask('/'));
    expect(rendered).toBe(2);
  });
});

test.each([
  ['/', '/?'],
  ['/?page=2&family=local', '/?page=2&family=local'],
  ['/?q=linear+attention&page=2', '/?q=linear+attention&page=2'],
  ['/?family='.concat('x'.repeat(61)), undefined],
  ['/?constructor=x', undefined],
  ['/papers/fna', '/papers/fna?'],
  ['/papers/week/2026-W17', '/papers/week/2026-W17?'],
  ['/papers/fna?reported=x', undefined],
  ['/papers/fna.data', undefined],
  ['/subscribe', undefined],
  ['/users/ada', undefined],
])('%s is kept as %s', (path, key) => {
  expect(keyOf(ask(path))).toBe(key);
});

describe('reads that are shared', () => {
  test('begin after they were asked for', async () => {
    let began = 0;
    const ends: (() => void)[] = [];
    const read = shared(async () => {
      const mine = ++began;
      await new Promise<void>((resolve) => ends.push(resolve));
      return mine;
    });
    const first = read();
    const others = [read(), read()];
    expect(began).toBe(1);
    ends[0]();
    await first;
    await Promise.resolve();
    ends[1]();
    expect(await Promise.all([first, ...others])).toEqual([1, 2, 2]);
  });

  test('one that fails fails only those who wait for it', async () => {
    let began = 0;
    const read = shared(async () => {
      if (++began === 1) throw new Error('no');
      return began;
    });
    const first = read();
    const second = read();
    await expect(first).rejects.toThrow('no');
    expect(await second).toBe(2);
    expect(await read()).toBe(3);
  });
});

test('only scripts that bear the nonce of the rendering are allowed', () => {
  const { html, hashes } = hashScripts(
    '<link href="/a" nonce="n1"/><script nonce="n1">a()</script><script>b()</script><script src="/c" nonce="n1"></script><script nonce="n2">d()</script>',
    'n1',
  );
  expect(html).toBe(
    '<link href="/a"/><script>a()</script><script>b()</script><script src="/c"></script><script nonce="n2">d()</script>',
  );
  // printf 'a()' | openssl dgst -sha256 -binary | base64
  expect(hashes).toEqual(['sha256-qVpDBgj7bpq5hMAcGp3AOc79J3Y1Z4HvySTwKrWDoy4=']);
});
