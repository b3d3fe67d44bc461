import { type Entry, parse } from '@retorquere/bibtex-parser';
import { parseArxivId } from '../../shared/arxiv-id.ts';
import { addressOf } from './hugging-face.ts';
import { ARXIV_LICENCE, oneLine, type Parsed, SourceError } from './record.ts';

/** More text than this is no list of references. */
const MOST_CHARACTERS = 10_000_000;

/**
 * A BibTeX file. An entry is an arXiv paper if its eprint, url, doi or journal says so; others are kept by their DOI, or
 * by their title.
 * @throws SourceError if it is too large or has no entry at all
 */
export function parseBibtex(text: string): Parsed {
  if (text.length > MOST_CHARACTERS)
    throw new SourceError(`the file has ${text.length} characters; allowed: at most ${MOST_CHARACTERS}`);
  const { entries, errors } = parse(text, { sentenceCase: false });
  if (entries.length === 0 && errors.length === 0) throw new SourceError('the file has no BibTeX entry');
  const parsed: Parsed = {
    papers: [],
    problems: errors.map(({ error, input }) => ({
      where: `near ${JSON.stringify((input ?? '').slice(0, 60))}`,
      message: error,
    })),
  };
  for (const entry of entries) {
    const problem = readEntry(entry, parsed);
    if (problem) parsed.problems.push({ where: `entry ${entry.key}`, message: problem });
  }
  return parsed;
}

const plain = (value: unknown): string | null =>
  oneLine(typeof value === 'string' ? value.replace(/<\/?[a-z][^>]*>/gi, '') : value);

function readEntry({ fields }: Entry, into: Parsed): string | undefined {
  const title = plain(fields.title);
  if (!title) return 'there is no title';
  const doi = plain(fields.doi)?.replace(/^https?:\/\/(dx\.)?doi\.org\//i, '') ?? null;
  const arxiv =
    parseArxivId(plain(fields.eprint) ?? '') ??
    parseArxivId(plain(fields.url) ?? '') ??
    parseArxivId(/^10\.48550\/arxiv\.(.+)$/i.exec(doi ?? '')?.[1] ?? '') ??
    parseArxivId(/arXiv:\s*(\S+)/i.exec(plain(fields.journal) ?? '')?.[1] ?? '');
  const abstract = plain(fields.abstract);
  const authors = (fields.author ?? [])
    .map(({ firstName, prefix, lastName, suffix, name }) =>
      plain([firstName, prefix, lastName ?? name, suffix].filter(Boolean).join(' ')),
    )
    .filter((name) => name !== null);
  const link = arxiv ? null : addressOf(plain(fields.url));
  const journal = plain(fields.journal) ?? plain(fields.booktitle);
  into.papers.push({
    source: 'bibtex',
    arxiv: arxiv?.id ?? null,
    version: arxiv?.version ?? null,
    title,
    authors: authors.length > 0 ? authors : null,
    abstract,
    abstractSource: abstract && 'a BibTeX file',
    // the file does not say where it took the abstract from, unless it is arXiv's entry
    abstractLicence: abstract && arxiv ? ARXIV_LICENCE : null,
    // a year is no instant: only a whole date is kept
    publishedAt: wholeDate(fields.date, fields.year, fields.month, fields.day),
    revisedAt: null,
    withdrawnAt: null,
    listedAt: null,
    categories: [],
    doi,
    journal: journal && /arxiv/i.test(journal) ? null : journal,
    links: link ? [link] : [],
  });
  return undefined;
}

function wholeDate(date: unknown, year: unknown, month: unknown, day: unknown): string | null {
  const text = plain(date) ?? [year, month, day].map((part) => plain(part)?.padStart(2, '0') ?? '').join('-');
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text))
    ? new Date(text).toISOString()
    : null;
}
