import { parseArxivId } from '../../shared/arxiv-id.ts';
import { isCategory } from './arxiv-atom.ts';
import { ARXIV_LICENCE, instantOf, oneLine, type Parsed, SourceError, saysWithdrawn } from './record.ts';
import { all, type Element, first, readXml, textOf } from './xml.ts';

/** One page of a harvest. */
export interface OaiPage extends Parsed {
  /** Asks for the next page; null on the last one. */
  token: string | null;
  /** The day of the answer: where the next harvest begins. */
  day: string | null;
  /** The token is no longer known: the harvest begins anew. */
  expired: boolean;
}

/**
 * A page of arXiv's OAI-PMH, in the format `arXiv`.
 * @throws SourceError if it is no OAI-PMH, or refuses the request
 */
export function parseArxivOai(text: string): OaiPage {
  const root = readXml(text);
  if (root.name !== 'OAI-PMH') throw new SourceError(`the document is a <${root.name}>; allowed: <OAI-PMH>`);
  const page: OaiPage = {
    papers: [],
    problems: [],
    token: null,
    day: textOf(root, 'responseDate')?.trim().slice(0, 10) ?? null,
    expired: false,
  };
  const error = first(root, 'error');
  if (error) {
    const { code } = error.attributes;
    if (code === 'noRecordsMatch') return page;
    if (code === 'badResumptionToken') return { ...page, expired: true };
    throw new SourceError(
      `OAI-PMH refused the request: ${code ?? 'no code'}, ${oneLine(error.text) ?? 'no reason'}`,
    );
  }
  const list = first(root, 'ListRecords') ?? first(root, 'GetRecord');
  all(list, 'record').forEach((record, at) => {
    const problem = readRecord(record, page);
    if (problem)
      page.problems.push({
        where: `record ${at + 1} (${(textOf(record, 'header', 'identifier') ?? 'no identifier').slice(0, 80)})`,
        message: problem,
      });
  });
  return { ...page, token: oneLine(textOf(list, 'resumptionToken')) };
}

function readRecord(record: Element, into: Parsed): string | undefined {
  const header = first(record, 'header');
  const deleted = header?.attributes.status === 'deleted';
  const metadata = first(record, 'metadata', 'arXiv');
  const arxiv = parseArxivId(textOf(metadata, 'id') ?? textOf(header, 'identifier') ?? '');
  if (!arxiv) return 'there is no arXiv id';
  if (deleted) return 'the record is deleted';
  const title = oneLine(textOf(metadata, 'title'));
  if (!title) return 'there is no title';
  const abstract = oneLine(textOf(metadata, 'abstract'));
  const authors = all(first(metadata, 'authors'), 'author')
    .map((author) =>
      oneLine(
        [textOf(author, 'forenames'), textOf(author, 'keyname'), textOf(author, 'suffix')]
          .filter(Boolean)
          .join(' '),
      ),
    )
    .filter((name) => name !== null);
  const created = instantOf(textOf(metadata, 'created'));
  const updated = instantOf(textOf(metadata, 'updated'));
  into.papers.push({
    source: 'arxiv',
    arxiv: arxiv.id,
    version: null,
    title,
    authors: authors.length > 0 ? authors : null,
    abstract,
    abstractSource: 'arXiv',
    abstractLicence: ARXIV_LICENCE,
    publishedAt: created,
    revisedAt: updated ?? created,
    withdrawnAt: saysWithdrawn(textOf(metadata, 'comments'), abstract) ? (updated ?? created) : null,
    listedAt: null,
    categories: (textOf(metadata, 'categories') ?? '').split(/\s+/).filter(isCategory),
    doi: oneLine(textOf(metadata, 'doi')),
    journal: oneLine(textOf(metadata, 'journal-ref')),
    links: [],
  });
  return undefined;
}
