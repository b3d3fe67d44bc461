import { parseArxivId } from '../../shared/arxiv-id.ts';
import { ARXIV_LICENCE, instantOf, oneLine, type Parsed, SourceError, saysWithdrawn } from './record.ts';
import { all, type Element, readXml, textOf } from './xml.ts';

/** Terms of arXiv: an archive, or an archive and a subject. ACM and MSC terms stand among them and are no categories. */
export const isCategory = (term: string | undefined): term is string =>
  term !== undefined && /^[a-z][a-z-]*(\.[A-Za-z-]{2,20})?$/.test(term);

/**
 * An answer of arXiv's query API (Atom 1.0).
 * @throws SourceError if it is no feed, or one that only says what was wrong with the question
 */
export function parseArxivAtom(text: string): Parsed & { total: number | null } {
  const feed = readXml(text);
  if (feed.name !== 'feed')
    throw new SourceError(`the document is a <${feed.name}>; allowed: an Atom <feed>`);
  const parsed: Parsed = { papers: [], problems: [] };
  all(feed, 'entry').forEach((entry, at) => {
    const id = textOf(entry, 'id') ?? '';
    if (id.includes('/api/errors'))
      throw new SourceError(`arXiv refused the question: ${oneLine(textOf(entry, 'summary')) ?? id}`);
    const problem = readEntry(entry, id, parsed);
    if (problem)
      parsed.problems.push({ where: `entry ${at + 1} (${id.slice(0, 80) || 'no id'})`, message: problem });
  });
  const total = Number(textOf(feed, 'totalResults') ?? Number.NaN);
  return { ...parsed, total: Number.isFinite(total) ? total : null };
}

function readEntry(entry: Element, id: string, into: Parsed): string | undefined {
  const arxiv = parseArxivId(id);
  if (!arxiv) return 'the id is no arXiv id';
  const title = oneLine(textOf(entry, 'title'));
  if (!title) return 'there is no title';
  const abstract = oneLine(textOf(entry, 'summary'));
  const primary = all(entry, 'primary_category')[0]?.attributes.term;
  const terms = all(entry, 'category').map(({ attributes }) => attributes.term);
  const revisedAt = instantOf(textOf(entry, 'updated'));
  const authors = all(entry, 'author')
    .map((author) => oneLine(textOf(author, 'name')))
    .filter((name) => name !== null);
  into.papers.push({
    source: 'arxiv',
    arxiv: arxiv.id,
    version: arxiv.version,
    title,
    authors: authors.length > 0 ? authors : null,
    abstract,
    abstractSource: 'arXiv',
    abstractLicence: ARXIV_LICENCE,
    publishedAt: instantOf(textOf(entry, 'published')),
    revisedAt,
    withdrawnAt: saysWithdrawn(textOf(entry, 'comment'), abstract) ? revisedAt : null,
    listedAt: null,
    categories: [...new Set([primary, ...terms].filter(isCategory))],
    doi: oneLine(textOf(entry, 'doi')),
    journal: oneLine(textOf(entry, 'journal_ref')),
    links: [],
  });
  return undefined;
}
