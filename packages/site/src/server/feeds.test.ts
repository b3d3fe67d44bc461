import { XMLParser } from 'fast-xml-parser';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSite, type TestSite } from './testing/site.ts';

let site: TestSite;
beforeAll(async () => {
  site = await openSite();
}, 120_000);
afterAll(() => site?.close());

const xml = new XMLParser({
  ignoreAttributes: false,
  isArray: (name) => ['entry', 'item', 'link'].includes(name),
});

interface Entry {
  id: string;
  title: string;
  link: string;
}

/** What a feed reader sees, whatever the format. */
function read(kind: string, text: string): { title: string; entries: Entry[] } {
  if (kind === 'json') {
    const { title, items } = JSON.parse(text);
    return {
      title,
      entries: items.map(({ id, title: of, url }: Record<string, string>) => ({ id, title: of, link: url })),
    };
  }
  const parsed = xml.parse(text);
  const plain = (value: unknown) => String((value as { '#text'?: string })?.['#text'] ?? value);
  if (kind === 'rss') {
    const { channel } = parsed.rss;
    return {
      title: channel.title,
      entries: (channel.item ?? []).map((item: Record<string, unknown>) => ({
        id: plain(item.guid),
        title: item.title,
        link: (item.link as string[])[0],
      })),
    };
  }
  const { feed } = parsed;
  return {
    title: plain(feed.title),
    entries: (feed.entry ?? []).map((entry: Record<string, unknown>) => ({
      id: entry.id,
      title: plain(entry.title),
      link: (entry.link as Record<string, string>[])[0]['@_href'],
    })),
  };
}

describe.each(['atom', 'rss', 'json'])('%s', (kind) => {
  test.each([
    ['newest', 41],
    ['trending', 41],
    ['date/2025-03-05', 1],
    ['date/2025-03-06', 0],
    ['week/2025-W10', 2],
    ['month/2025-04', 2],
    ['family/spectral', 2],
    ['family/vision%20restoration', 2],
  ])('%s is read with %i papers', async (name, count) => {
    const { status, text } = await site.get(`/feeds/${name}.${kind}`);
    expect(status).toBe(200);
    const { title, entries } = read(kind, text);
    expect(title).toContain('Saccade');
    expect(entries).toHaveLength(count);
    expect(new Set(entries.map(({ id }) => id)).size).toBe(count);
  });

  test('a question has its answers', async () => {
    const { text } = await site.get(`/feeds/search.${kind}?q=toeplitz`);
    const [entry] = read(kind, text).entries;
    expect(entry.link).toBe('http://localhost/papers/kernelized-rpe');
  });

  test('an edited paper keeps its id, and signs of XML stay text', async () => {
    const path = `/feeds/date/2025-03-05.${kind}`;
    const [before] = read(kind, (await site.get(path)).text).entries;
    await site.database.query(
      `UPDATE papers SET title = 'x < y & "z" ]]> <script>' WHERE slug = 'power-attention'`,
    );
    const [after] = read(kind, (await site.get(path)).text).entries;
    expect(after.id).toBe(before.id);
    expect(
      after.title
        .replace(/&lt;/g, '<')
        .replace(/&gt;/g, '>')
        .replace(/&amp;/g, '&')
        .replace(/&quot;/g, '"'),
    ).toBe('x < y & "z" ]]> <script>');
    await site.database.query('UPDATE papers SET title = $1 WHERE slug = $2', [
      before.title,
      'power-attention',
    ]);
  });

  test('what has not changed is not sent again', async () => {
    const path = `/feeds/newest.${kind}`;
    const tag = (await site.get(path)).headers.get('etag') ?? '';
    expect(tag).not.toBe('');
    const again = await site.get(path, { 'If-None-Match': tag });
    expect(again.status).toBe(304);
    expect(again.text).toBe('');
    expect(
      (await site.get(path, { 'If-None-Match': `W/${tag.replace('W/', '')}`, 'Accept-Encoding': 'gzip' }))
        .status,
    ).toBe(304);
    await site.database.query(
      "UPDATE papers SET title = title || ' again', changed_at = changed_at + interval '1 hour' WHERE slug = 'fna'",
    );
    expect((await site.get(path, { 'If-None-Match': tag })).status).toBe(200);
  });
});

test.each([
  ['/feeds/date/2025-02-30.atom', 400],
  ['/feeds/week/2021-W53.rss', 400],
  ['/feeds/month/x.json', 400],
  ['/feeds/search.atom', 400],
  ['/feeds/family/%00.atom', 400],
  ['/feeds/newest.txt', 404],
  ['/feeds/', 404],
])('%s is refused with %i', async (path, status) => {
  const answer = await site.get(path);
  expect(answer.status).toBe(status);
  expect(JSON.parse(answer.text).error.allowed).toBeTruthy();
});
