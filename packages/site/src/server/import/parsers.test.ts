import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseArxivAtom } from './arxiv-atom.ts';
import { parseArxivOai } from './arxiv-oai.ts';
import { parseArxivRss } from './arxiv-rss.ts';
import { parseBibtex } from './bibtex.ts';
import { parseHuggingFace } from './hugging-face.ts';
import { parseList } from './list.ts';
import { SourceError } from './record.ts';
import { readXml } from './xml.ts';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');

describe('the query API', () => {
  const { papers, problems, total } = parseArxivAtom(fixture('atom.xml'));

  test('tells a paper whatever the order of its elements, without terms of ACM and MSC', () => {
    expect(papers[0]).toEqual({
      source: 'arxiv',
      arxiv: '2604.01234',
      version: 2,
      title: 'A made-up paper on $O(n)$ attention & more',
      authors: ['Ada Lovelace', "Łukasz O'Example"],
      abstract: 'We make up an abstract <with> signs.',
      abstractSource: 'arXiv',
      abstractLicence: 'CC0 1.0 (arXiv metadata)',
      publishedAt: '2026-04-01T17:59:59.000Z',
      revisedAt: '2026-04-19T10:00:00.000Z',
      withdrawnAt: null,
      listedAt: null,
      categories: ['cs.LG', 'cs.CL'],
      doi: '10.1000/made.up',
      journal: null,
      links: [],
    });
    expect(total).toBe(4);
  });

  test('knows old ids and withdrawn papers, and leaves out a row that cannot be read', () => {
    expect(papers[1]).toMatchObject({ arxiv: 'hep-th/9901001', version: 3, categories: ['hep-th'] });
    expect(papers[2]).toMatchObject({ withdrawnAt: '2026-04-18T00:00:00.000Z', categories: ['math.AG'] });
    expect(papers).toHaveLength(3);
    expect(problems).toEqual([
      { where: 'entry 4 (http://arxiv.org/abs/no-number)', message: 'the id is no arXiv id' },
    ]);
  });

  test('an error that comes as a feed is an error', () => {
    expect(() => parseArxivAtom(fixture('atom-error.xml'))).toThrow(
      'arXiv refused the question: incorrect id format for 1234.1234567',
    );
  });

  test('an unknown id gives a feed without papers', () => {
    expect(parseArxivAtom('<feed xmlns="http://www.w3.org/2005/Atom"></feed>')).toEqual({
      papers: [],
      problems: [],
      total: null,
    });
  });
});

test('announcements list what is new, and only update what is replaced', () => {
  const { papers, problems } = parseArxivRss(fixture('rss.xml'));
  expect(papers[0]).toMatchObject({
    arxiv: '2604.09999',
    version: 1,
    authors: ['Ada Lovelace', 'Emmy Noether'],
    abstract: 'We announce $k$ things.',
    listedAt: '2026-04-20T04:00:00.000Z',
    categories: ['cs.LG', 'stat.ML'],
    publishedAt: null,
  });
  expect(papers[1]).toMatchObject({ version: 3, listedAt: null });
  expect(problems).toHaveLength(1);
});

describe('harvests', () => {
  test('have records, a token and a day', () => {
    const page = parseArxivOai(fixture('oai.xml'));
    expect(page).toMatchObject({ token: 'page-2', day: '2026-04-20', expired: false });
    expect(page.papers[0]).toMatchObject({
      arxiv: '2604.01234',
      authors: ['Ada Lovelace', 'Jo Smith Jr'],
      abstract: 'Harvested words.',
      categories: ['cs.LG', 'cs.CL'],
    });
    expect(page.problems[0].message).toBe('the record is deleted');
  });

  test.each([
    ['noRecordsMatch', { papers: [], expired: false, token: null }],
    ['badResumptionToken', { papers: [], expired: true, token: null }],
  ])('%s is no failure', (code, page) => {
    expect(parseArxivOai(`<OAI-PMH><error code="${code}">x</error></OAI-PMH>`)).toMatchObject(page);
  });

  test('any other error is one', () => {
    expect(() => parseArxivOai('<OAI-PMH><error code="badArgument">set?</error></OAI-PMH>')).toThrow(
      'badArgument, set?',
    );
  });
});

test('daily papers: the day is the one of listing; bad rows are named, unknown keys are not', () => {
  const { papers, problems } = parseHuggingFace(fixture('daily.json'));
  expect(papers[0]).toMatchObject({
    arxiv: '2604.01234',
    title: 'A made-up paper on $O(n)$ attention & more',
    authors: ['Ada Lovelace', "Łukasz O'Example"],
    abstract: 'We make up an abstract.',
    publishedAt: '2026-04-01T17:59:59.000Z',
    listedAt: '2026-04-20T22:30:00.000Z',
    links: ['https://github.com/ada/engine', 'https://example.org/engine'],
  });
  expect(papers[1].links).toEqual(['https://github.com/SHI-Labs/NATTEN']);
  expect(problems.map(({ where }) => where)).toEqual(['row 3', 'row 4', 'row 5']);
  expect(problems[0].message).toContain('paper.id');
});

test('BibTeX: arXiv papers by their eprint, others by DOI, an entry without title is named', () => {
  const { papers, problems } = parseBibtex(fixture('references.bib'));
  expect(papers[0]).toMatchObject({
    arxiv: '2604.01234',
    title: 'A made-up paper on $O(n)$ attention'.replace(/\$/g, ''),
    authors: ['Ada Lovelace', 'The Engine Team', 'Jo van der Berg'],
    publishedAt: null,
    journal: null,
  });
  expect(papers[1]).toMatchObject({
    arxiv: null,
    doi: '10.1000/xyz',
    journal: 'Nachrichten von nirgends',
    abstract: 'Symétries et & signs.',
  });
  expect(problems).toEqual([{ where: 'entry untitled', message: 'there is no title' }]);
});

test('a pasted list may have ids, addresses and remarks', () => {
  const { ids, problems } = parseList(
    '# ours\n2403.04690v2, https://arxiv.org/abs/2504.16922\nhep-th/9901001; arXiv: 2403.04690 # again\nnonsense 12345\n(2503.03588).',
  );
  expect(ids).toEqual(['2403.04690', '2504.16922', 'hep-th/9901001']);
  expect(problems.map(({ where, message }) => `${where}: ${message}`)).toEqual([
    'line 4: nonsense is no arXiv id',
    'line 4: 12345 is no arXiv id',
    'line 5: (2503.03588). is no arXiv id',
  ]);
});

describe('what is no source', () => {
  test.each([
    ['atom', () => parseArxivAtom('<html><body>busy</body></html>')],
    ['atom', () => parseArxivAtom('plain words')],
    ['atom', () => parseArxivAtom('')],
    ['rss', () => parseArxivRss('<feed/>')],
    ['oai', () => parseArxivOai('<rss/>')],
    ['json', () => parseHuggingFace('{"error":"x"}')],
    ['json', () => parseHuggingFace('<html>')],
    ['json', () => parseHuggingFace('null')],
    ['bibtex', () => parseBibtex('no entry here')],
  ])('%s is refused', (_, read) => {
    expect(read).toThrow(SourceError);
  });

  test('a document that defines entities is refused before it is read', () => {
    const bomb =
      '<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><feed>&b;</feed>';
    expect(() => readXml(bomb)).toThrow('DOCTYPE');
    expect(() => readXml('<!DOCTYPE x SYSTEM "file:///etc/passwd"><feed/>')).toThrow('DOCTYPE');
  });

  test('so is one that is nested too deep', () => {
    expect(() => readXml(`${'<a>'.repeat(200)}${'</a>'.repeat(200)}`)).toThrow(SourceError);
  });

  test('signs that databases refuse do not get through', () => {
    const { papers } = parseHuggingFace(
      JSON.stringify([{ paper: { id: '2604.00001', title: 'a\u0000b\u0007\ud800c' } }]),
    );
    expect(papers[0].title).toBe('a b \ufffdc');
  });
});
