import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../database.ts';
import { findPaper } from '../queries/papers.ts';
import { parseQuestion } from '../search/parse.ts';
import { searchPapers } from '../search/search.ts';
import { onEachEngine } from '../testing/databases.ts';
import { openSite, type TestSite } from '../testing/site.ts';
import { type PoliteOptions, politeClient } from './client.ts';
import { type ImportRequest, importPapers } from './import.ts';

onEachEngine('import', (open) => {
  const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');

  let site: TestSite;
  let database: Database;
  let server: Server;
  let base: string;
  /** What the fake source does with the next requests; the last one stays. */
  let answers: ((request: IncomingMessage, response: ServerResponse) => void)[];
  let seen: { url: string; agent: string; at: number; ended: number }[];

  beforeAll(async () => {
    site = await openSite('Europe/Zurich', open);
    ({ database } = site);
    server = createServer((request, response) => {
      const entry = {
        url: request.url ?? '',
        agent: request.headers['user-agent'] ?? '',
        at: performance.now(),
        ended: 0,
      };
      seen.push(entry);
      response.on('close', () => {
        entry.ended = performance.now();
      });
      (answers.length > 1 ? answers.shift() : answers[0])?.(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }, 120_000);
  afterAll(async () => {
    server?.close();
    await site?.close();
  });
  beforeEach(async () => {
    seen = [];
    await database.query('DELETE FROM import_turns');
  });
  afterEach(async () => {
    await database.query("DELETE FROM papers WHERE source <> 'catalogue'");
    await database.query('DELETE FROM import_cursors');
  });

  const say =
    (text: string, status = 200, headers = {}) =>
    (_: IncomingMessage, response: ServerResponse) => {
      response.writeHead(status, headers).end(text);
    };
  const hosts = () => ({
    'export.arxiv.org': base,
    'rss.arxiv.org': base,
    'oaipmh.arxiv.org': base,
    'huggingface.co': base,
  });
  const client = (options: PoliteOptions = {}) =>
    politeClient(database, { hosts: hosts(), pauseMs: 0, ...options });
  const run = (request: ImportRequest, options: PoliteOptions = {}) =>
    importPapers(request, { database, zone: 'Europe/Zurich', fetchText: client(options) });
  const everything = () => database.query('SELECT * FROM papers ORDER BY number');

  describe('from a file', () => {
    test.each([
      ['huggingface', 'daily.json', { read: 2, added: 1, changed: 1, unchanged: 0 }],
      ['arxiv', 'atom.xml', { read: 3, added: 3, changed: 0, unchanged: 0 }],
      ['arxiv-rss', 'rss.xml', { read: 2, added: 2, changed: 0, unchanged: 0 }],
      ['arxiv-oai', 'oai.xml', { read: 1, added: 1, changed: 0, unchanged: 0 }],
      ['bibtex', 'references.bib', { read: 2, added: 2, changed: 0, unchanged: 0 }],
    ] as const)('%s is read, and a second run changes nothing', async (source, file, counts) => {
      const request = { source, text: fixture(file) };
      expect(await run(request)).toMatchObject(counts);
      const before = await everything();
      expect(await run(request)).toMatchObject({
        read: counts.read,
        added: 0,
        changed: 0,
        unchanged: counts.read,
      });
      expect(await everything()).toEqual(before);
      expect(seen).toEqual([]);
      await database.query(`UPDATE papers SET abstract = NULL, abstract_source = NULL, abstract_licence = NULL, authors = NULL,
      published_at = NULL, links = '[]' WHERE slug = 'fna'`);
    });

    test('a listing belongs to its day in the zone, and the paper is found at once', async () => {
      await run({ source: 'huggingface', text: fixture('daily.json') });
      const paper = await findPaper(database, { arxiv: '2604.01234' });
      expect(paper).toMatchObject({
        slug: '2604-01234',
        listedOn: '2026-04-21',
        authorCount: 2,
        summary: null,
        family: null,
        abstractSource: 'arXiv, through Hugging Face',
      });
      expect((await searchPapers(database, parseQuestion('author:lovelace')))[0].paper).toBe(paper?.number);
      const [{ hot }] = await database.query<{ hot: number }>('SELECT hot FROM papers WHERE number = $1', [
        paper?.number,
      ]);
      expect(hot).toBeGreaterThan(0);
    });

    test('a paper of the catalogue keeps title, day, count and summary, and gains what was unknown', async () => {
      const before = await findPaper(database, { slug: 'fna' });
      await run({ source: 'huggingface', text: fixture('daily.json') });
      const after = await findPaper(database, { slug: 'fna' });
      expect(after).toMatchObject({
        title: before?.title,
        summary: before?.summary,
        listedOn: '2024-03-07',
        authorCount: 3,
        abstract: 'An abstract that is not the real one.',
        authors: ['One Author'],
      });
    });

    test('a later version replaces, an earlier one does not, and nothing is listed twice', async () => {
      const version = (number: number, title: string) =>
        fixture('atom.xml')
          .replace('2604.01234v2', `2604.01234v${number}`)
          .replace('A made-up paper on', title);
      const title = async () => (await findPaper(database, { arxiv: '2604.01234' }))?.title;
      await run({ source: 'arxiv', text: version(2, 'Second') });
      expect(await title()).toContain('Second');
      await run({ source: 'arxiv', text: version(3, 'Third') });
      expect(await title()).toContain('Third');
      await run({ source: 'arxiv', text: version(1, 'First') });
      expect(await findPaper(database, { arxiv: '2604.01234' })).toMatchObject({
        version: 3,
        listedOn: null,
      });
      expect(await title()).toContain('Third');
      await run({ source: 'arxiv', text: version(3, 'Third'), list: true });
      const listed = (await findPaper(database, { arxiv: '2604.01234' }))?.listedAt;
      expect(listed).not.toBeNull();
      await run({ source: 'arxiv', text: version(3, 'Third'), list: true });
      expect((await findPaper(database, { arxiv: '2604.01234' }))?.listedAt).toBe(listed);
    });

    test('the same paper from several sources is one', async () => {
      for (const [source, file] of [
        ['bibtex', 'references.bib'],
        ['huggingface', 'daily.json'],
        ['arxiv-oai', 'oai.xml'],
        ['arxiv', 'atom.xml'],
      ] as const)
        await run({ source, text: fixture(file) });
      const rows = await database.query("SELECT slug, source FROM papers WHERE arxiv = '2604.01234'");
      expect(rows).toEqual([{ slug: '2604-01234', source: 'bibtex' }]);
      expect(await findPaper(database, { arxiv: '2604.01234' })).toMatchObject({
        version: 2,
        publishedAt: '2026-04-01T17:59:59.000Z',
        listedOn: '2026-04-21',
      });
    });
  });

  describe('the client', () => {
    test('asks once in three seconds, over all processes, and says who it is', async () => {
      answers = [say('<feed/>')];
      const [a, b] = [client({ pauseMs: 3000 }), client({ pauseMs: 3000 })];
      await Promise.all([
        a('https://export.arxiv.org/api/query?a'),
        b('https://rss.arxiv.org/rss/cs.LG'),
        a('https://oaipmh.arxiv.org/oai?verb=Identify'),
      ]);
      expect(seen).toHaveLength(3);
      for (const i of [1, 2]) expect(seen[i].at - seen[i - 1].at).toBeGreaterThanOrEqual(3000);
      expect(seen[0].agent).toContain('Saccade');
    });

    test('waits as long as it is told, and holds the others back too', async () => {
      answers = [say('slow down', 429, { 'Retry-After': '1' }), say('<feed/>')];
      await Promise.all([
        client()('https://export.arxiv.org/api/query?a'),
        client()('https://export.arxiv.org/api/query?b'),
      ]);
      expect(seen).toHaveLength(3);
      expect(seen[1].at - seen[0].at).toBeGreaterThanOrEqual(1000);
    });

    test('waits twice as long each time where nothing is said, and gives up in the end', async () => {
      answers = [say('', 503)];
      await expect(
        client({ backOffMs: 100, tries: 3 })('https://huggingface.co/api/daily_papers'),
      ).rejects.toThrow(/answered 503 3 times/);
      expect(seen).toHaveLength(3);
      const [first, second] = [seen[1].at - seen[0].at, seen[2].at - seen[1].at];
      expect(first).toBeGreaterThan(85);
      expect(second).toBeGreaterThan(175);
    });

    test('a process that died while it asked does not hold the others for ever', async () => {
      answers = [say('<feed/>')];
      await database.query(
        "INSERT INTO import_turns (host, busy_until) VALUES ('arxiv', clock_timestamp() + interval '300 milliseconds')",
      );
      const began = performance.now();
      await client()('https://export.arxiv.org/api/query');
      expect(performance.now() - began).toBeGreaterThan(250);
    });

    test.each([
      'http://export.arxiv.org/api/query',
      'https://export.arxiv.org:8443/api/query',
      'https://export.arxiv.org@127.0.0.1/',
      'https://user:x@huggingface.co/',
      'https://127.0.0.1/',
      'https://localhost/',
      'https://[::1]/',
      'https://169.254.169.254/latest/meta-data',
      'https://export.arxiv.org.evil.example/',
      'file:///etc/passwd',
      'https://toString/',
    ])('%s is not gone to', async (url) => {
      answers = [say('secret')];
      await expect(client()(url)).rejects.toThrow('allowed: https on');
      expect(seen).toEqual([]);
    });

    test('redirects, failures, and answers that do not end are refused', async () => {
      answers = [say('', 302, { Location: 'http://127.0.0.1/' })];
      await expect(client()('https://huggingface.co/a')).rejects.toThrow('redirects');
      answers = [say('<h1>gone</h1>', 404)];
      await expect(client()('https://huggingface.co/b')).rejects.toThrow('answered 404: <h1>gone</h1>');
      answers = [say('x'.repeat(100_000))];
      await expect(client({ mostBytes: 50_000 })('https://huggingface.co/c')).rejects.toThrow(
        'more than 50000 bytes',
      );
      answers = [() => {}];
      await expect(client({ timeoutMs: 200 })('https://huggingface.co/d')).rejects.toThrow(
        'cannot be reached',
      );
    });
  });

  describe('from the network', () => {
    test('a list of ids is asked for at once, and those unknown there are named', async () => {
      answers = [say(fixture('atom.xml'))];
      const report = await run({ source: 'list', text: '2604.01234\n2604.09998\nwhat' });
      expect(seen.map(({ url }) => new URL(url, base).searchParams.get('id_list'))).toEqual([
        '2604.01234,2604.09998',
      ]);
      expect(report.problems).toContainEqual({ where: '2604.09998', message: 'arXiv knows no such paper' });
    });

    test('days that were done are not asked for again after a failure', async () => {
      answers = [say('[]'), say('[]'), say('no', 500), say('[]')];
      const request = { source: 'huggingface', from: '2026-04-20', to: '2026-04-23' } as const;
      await expect(run(request)).rejects.toThrow('answered 500');
      await run(request);
      expect(seen.map(({ url }) => new URL(url, base).searchParams.get('date'))).toEqual([
        '2026-04-20',
        '2026-04-21',
        '2026-04-22',
        '2026-04-22',
        '2026-04-23',
      ]);
    });

    test('a harvest goes on with its token, and the next begins with the day of the last', async () => {
      const last = fixture('oai.xml').replace(/<resumptionToken>.*<\/resumptionToken>/, '<resumptionToken/>');
      answers = [
        say(fixture('oai.xml')),
        say('no', 500),
        say(last),
        say(
          '<OAI-PMH><responseDate>2026-04-22T00:00:00Z</responseDate><error code="noRecordsMatch"/></OAI-PMH>',
        ),
      ];
      const request = { source: 'arxiv-oai', from: '2026-04-01' } as const;
      await expect(run(request)).rejects.toThrow('answered 500');
      await run({ source: 'arxiv-oai' });
      await run({ source: 'arxiv-oai' });
      const asked = seen.map(({ url }) => new URL(url, base).searchParams);
      expect(asked.map((search) => search.get('resumptionToken') ?? search.get('from'))).toEqual([
        '2026-04-01',
        'page-2',
        'page-2',
        '2026-04-20',
      ]);
    });

    test('a token that arXiv has forgotten begins the harvest anew', async () => {
      const last = fixture('oai.xml').replace(/<resumptionToken>.*<\/resumptionToken>/, '');
      answers = [
        say(fixture('oai.xml')),
        say('<OAI-PMH><error code="badResumptionToken"/></OAI-PMH>'),
        say(last),
      ];
      const report = await run({ source: 'arxiv-oai', from: '2026-04-01' });
      expect(seen).toHaveLength(3);
      expect(report).toMatchObject({ added: 1, unchanged: 1 });
    });

    test('a question is asked page by page until it is answered', async () => {
      answers = [say(fixture('atom.xml'))];
      await run({ source: 'arxiv', query: 'cat:cs.LG', most: 250 });
      expect(seen).toHaveLength(1);
      expect(new URL(seen[0].url, base).searchParams.get('search_query')).toBe('cat:cs.LG');
    });
  });

  test.each([
    [{ source: 'huggingface', from: 'yesterday' }, 'a day as YYYY-MM-DD'],
    [{ source: 'arxiv-rss', categories: ['cs.LG+x'] }, 'a category such as cs.LG'],
    [{ source: 'arxiv-oai', set: '../x' }, 'a set such as cs:cs:LG'],
    [{ source: 'arxiv', most: 40_000 }, 'at most 30000'],
    [{ source: 'elsewhere' }, 'source'],
  ])('%j is refused', async (request, words) => {
    await expect(run(request as ImportRequest)).rejects.toThrow(words);
  });
});
