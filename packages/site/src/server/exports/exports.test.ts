import { parse as parseBibtex } from '@retorquere/bibtex-parser';
import { catalogue } from '@saccade/papers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plainText } from '../../shared/latex.ts';
import { findPaper } from '../queries/papers.ts';
import { openSite, type TestSite } from '../testing/site.ts';
import { citationOf } from './citation.ts';
import { splitName } from './names.ts';

let site: TestSite;
const hard = {
  title: 'A {B} 100% & #1_2 of $O(n^2)$ ~ \\emph{Möbius} nets',
  authors: [
    'Ada van der Berg',
    'Łukasz Ö. Kaiser',
    'OpenAI Team',
    'Sun Yat-sen',
    'Plato',
    "Miles O'Brien & Co",
    'Jo Smith Jr.',
  ],
};
beforeAll(async () => {
  site = await openSite();
  await site.database.query(
    `INSERT INTO papers (slug, title, arxiv, authors, author_count, abstract, abstract_source, published_at, categories, doi, source)
     VALUES ('2407-13168', $1, '2407.13168', $2, 7, 'We | show <b>that</b> # it\nworks.', 'arXiv', '2024-07-18T05:00:00Z', '["cs.LG","cs.CL"]', '10.1000/a_b', 'arxiv')`,
    [hard.title, JSON.stringify(hard.authors)],
  );
}, 120_000);
afterAll(() => site?.close());

const every = [...catalogue.map(({ slug }) => slug), '2407-13168'];

describe('BibTeX', () => {
  test.each(every)('%s reads back as what was written', async (slug) => {
    const citation = citationOf((await findPaper(site.database, { slug }))!);
    const { text, headers } = await site.get(`/papers/${slug}.bib`);
    expect(headers.get('content-disposition')).toContain(`${slug}.bib`);
    const { entries, errors } = parseBibtex(text, { sentenceCase: false });
    expect(errors).toEqual([]);
    expect(entries).toHaveLength(1);
    const [{ type, key, fields }] = entries;
    expect(type).toBe('misc');
    expect(key).toBe(citation.key);
    expect(String(fields.title).replace(/<[^>]+>/g, '')).toBe(citation.title);
    expect(fields.eprint).toBe(citation.arxiv);
    expect(String(fields.year)).toBe(String(citation.year));
    const names = (fields.author ?? []).map(({ firstName, prefix, lastName, suffix, name }) =>
      [firstName, prefix, lastName ?? name, suffix].filter(Boolean).join(' '),
    );
    expect(names).toEqual(citation.authors.map(({ whole }) => whole));
  });
});

test.each(every)('%s: RIS and CSL-JSON say what BibTeX says', async (slug) => {
  const citation = citationOf((await findPaper(site.database, { slug }))!);
  const ris = (await site.get(`/papers/${slug}.ris`)).text;
  const lines = ris.split('\r\n');
  expect(lines[0]).toBe('TY  - UNPB');
  expect(lines.at(-2)).toBe('ER  - ');
  for (const line of lines.slice(0, -1)) expect(line).toMatch(/^[A-Z][A-Z0-9] {2}- /);
  expect(lines).toContain(`TI  - ${citation.title}`);
  expect(lines.filter((line) => line.startsWith('AU  - '))).toHaveLength(citation.authors.length);
  const [csl] = JSON.parse((await site.get(`/papers/${slug}.csl.json`)).text);
  expect(csl.title).toBe(citation.title);
  expect(csl.issued['date-parts'][0][0]).toBe(citation.year);
  expect(csl.author?.length ?? 0).toBe(citation.authors.length);
});

test('the date of an export is the paper’s own, never the day of listing', async () => {
  const known = citationOf((await findPaper(site.database, { slug: '2407-13168' }))!);
  expect(known).toMatchObject({
    year: 2024,
    month: 7,
    day: 18,
    key: 'vanderberg2024emph'.replace('emph', 'mobius'),
  });
  // the list has 7 March 2024, arXiv's number says only the month
  expect(citationOf((await findPaper(site.database, { slug: 'fna' }))!)).toMatchObject({
    year: 2024,
    month: 3,
    day: null,
  });
});

describe('Markdown', () => {
  test('is served by name and by Accept, with the same text', async () => {
    const named = await site.get('/papers/fna.md');
    expect(named.headers.get('content-type')).toContain('text/markdown');
    expect(named.text).toContain('# Faster Neighborhood Attention');
    const asked = await site.get('/papers/fna', { Accept: 'text/markdown, text/html;q=0.5' });
    expect(asked.text).toBe(named.text);
    expect((await site.get('/papers/2403.04690.md')).text).toBe(named.text);
    const page = await site.get('/papers/fna', { Accept: 'text/html' });
    expect(page.text).toBe('a page');
    expect(page.headers.get('vary')).toContain('Accept');
  });

  test('has the ledger, and no sign of a source can break out of its place', async () => {
    const { text } = await site.get('/papers/power-attention.md');
    expect(text).toContain('| three times faster than dense | holds |');
    const { text: other } = await site.get('/papers/2407-13168.md');
    expect(other).toContain('We \\| show \\<b\\>that\\</b\\> \\# it works.');
  });
});

test.each([
  '/papers/unheard-of.bib',
  '/papers/2401.00001.md',
  '/papers/No Slug.ris',
  '/papers/..%2f..%2fx.md',
])('%s is not there', async (path) => {
  const { status, text } = await site.get(path);
  expect(status).toBe(404);
  expect(JSON.parse(text).error.argument).toBe('paper');
});

test.each([
  ['Ali Hassani', 'Hassani', 'Ali'],
  ['Ludwig van Beethoven', 'van Beethoven', 'Ludwig'],
  ['Ada van der Berg', 'van der Berg', 'Ada'],
  ['Plato', 'Plato', ''],
  ['Gemini Team', 'Gemini Team', ''],
  ['Jo Smith Jr.', 'Smith Jr.', 'Jo'],
])('%s is %s, %s', (name, family, given) => {
  expect(splitName(name)).toEqual({ family, given });
});

test('titles are read as people read them', () => {
  expect(plainText(hard.title)).toBe('A B 100% & #1_2 of O(n²) Möbius nets'.replace('O(n²) ', 'O(n²) ~ '));
});
