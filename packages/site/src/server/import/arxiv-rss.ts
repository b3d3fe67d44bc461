import { parseArxivId } from '../../shared/arxiv-id.ts';
import { isCategory } from './arxiv-atom.ts';
import { ARXIV_LICENCE, instantOf, oneLine, type Parsed, SourceError, saysWithdrawn } from './record.ts';
import { all, type Element, first, readXml, textOf } from './xml.ts';

/**
 * arXiv's daily announcements (RSS 2.0). Only new papers and cross-lists are listed; replacements update what is there.
 * @throws SourceError if it is no RSS
 */
export function parseArxivRss(text: string): Parsed {
  const rss = readXml(text);
  const channel = first(rss, 'channel');
  if (rss.name !== 'rss' || !channel)
    throw new SourceError(`the document is a <${rss.name}>; allowed: <rss> with a <channel>`);
  const announced = instantOf(textOf(channel, 'pubDate'));
  const parsed: Parsed = { papers: [], problems: [] };
  all(channel, 'item').forEach((item, at) => {
    const problem = readItem(item, announced, parsed);
    if (problem)
      parsed.problems.push({
        where: `item ${at + 1} (${(textOf(item, 'guid') ?? 'no guid').slice(0, 80)})`,
        message: problem,
      });
  });
  return parsed;
}

function readItem(item: Element, announced: string | null, into: Parsed): string | undefined {
  const arxiv = parseArxivId(textOf(item, 'guid') ?? '') ?? parseArxivId(textOf(item, 'link') ?? '');
  if (!arxiv) return 'neither guid nor link is of an arXiv paper';
  const title = oneLine(textOf(item, 'title'));
  if (!title) return 'there is no title';
  const description = textOf(item, 'description') ?? '';
  const abstract = oneLine(/Abstract:\s*([\s\S]*)$/.exec(description)?.[1]);
  const kind = textOf(item, 'announce_type') ?? /Announce Type:\s*([a-z-]+)/.exec(description)?.[1] ?? 'new';
  const creators = oneLine(textOf(item, 'creator'));
  const day = instantOf(textOf(item, 'pubDate')) ?? announced;
  into.papers.push({
    source: 'arxiv',
    arxiv: arxiv.id,
    version: arxiv.version,
    title,
    authors: creators ? creators.split(/,\s+/).filter(Boolean) : null,
    abstract,
    abstractSource: 'arXiv',
    abstractLicence: ARXIV_LICENCE,
    // an announcement says when it was announced, not when the paper was sent
    publishedAt: null,
    revisedAt: null,
    withdrawnAt: saysWithdrawn(null, abstract) ? day : null,
    listedAt: kind.startsWith('replace') ? null : day,
    categories: [
      ...new Set(
        all(item, 'category')
          .map(({ text }) => text.trim())
          .filter(isCategory),
      ),
    ],
    doi: oneLine(textOf(item, 'DOI') ?? textOf(item, 'doi')),
    journal: oneLine(textOf(item, 'journal_reference')),
    links: [],
  });
  return undefined;
}
