import { z } from 'zod';
import { parseArxivId } from '../../shared/arxiv-id.ts';
import { ARXIV_LICENCE, instantOf, oneLine, type Parsed, SourceError } from './record.ts';

/** As far as it is read here; unknown keys are none of our business, and keys come and go. */
const itemSchema = z.object({
  paper: z.object({
    id: z.string(),
    title: z.string().nullish(),
    summary: z.string().nullish(),
    authors: z.array(z.object({ name: z.string().nullish(), hidden: z.boolean().nullish() })).nullish(),
    publishedAt: z.string().nullish(),
    submittedOnDailyAt: z.string().nullish(),
    withdrawnAt: z.string().nullish(),
    githubRepo: z.string().nullish(),
    projectPage: z.string().nullish(),
  }),
  title: z.string().nullish(),
  summary: z.string().nullish(),
});

/**
 * Hugging Face's daily papers (JSON). The day of listing is `submittedOnDailyAt`: `publishedAt` is arXiv's. Votes and
 * comments stay there; here readers make their own.
 * @throws SourceError if it is no list in JSON
 */
export function parseHuggingFace(text: string): Parsed {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new SourceError(`the answer is not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(list))
    throw new SourceError(`the answer is ${list === null ? 'null' : typeof list}; allowed: a list of papers`);
  const parsed: Parsed = { papers: [], problems: [] };
  list.forEach((row, at) => {
    const problem = readRow(row, parsed);
    if (problem) parsed.problems.push({ where: `row ${at + 1}`, message: problem });
  });
  return parsed;
}

function readRow(row: unknown, into: Parsed): string | undefined {
  const item = itemSchema.safeParse(row);
  if (!item.success) {
    const [{ path, message }] = item.error.issues;
    return `${path.join('.') || 'the row'}: ${message}`;
  }
  const { paper } = item.data;
  const arxiv = parseArxivId(paper.id);
  if (!arxiv) return `paper.id is ${paper.id.slice(0, 60)}; allowed: an arXiv id`;
  const title = oneLine(paper.title ?? item.data.title);
  if (!title) return 'there is no title';
  const abstract = oneLine(paper.summary ?? item.data.summary);
  const authors = (paper.authors ?? [])
    .filter(({ hidden }) => !hidden)
    .map(({ name }) => oneLine(name))
    .filter((name) => name !== null);
  into.papers.push({
    source: 'huggingface',
    arxiv: arxiv.id,
    version: null,
    title,
    authors: authors.length > 0 ? authors : null,
    abstract,
    abstractSource: 'arXiv, through Hugging Face',
    abstractLicence: ARXIV_LICENCE,
    publishedAt: instantOf(paper.publishedAt),
    revisedAt: null,
    withdrawnAt: instantOf(paper.withdrawnAt),
    listedAt: instantOf(paper.submittedOnDailyAt),
    categories: [],
    doi: null,
    journal: null,
    links: [repositoryOf(paper.githubRepo), addressOf(paper.projectPage)].filter((link) => link !== null),
  });
  return undefined;
}

/** It stands there as owner/name or as an address. */
function repositoryOf(given: string | null | undefined): string | null {
  if (!given) return null;
  return /^[\w.-]+\/[\w.-]+$/.test(given) ? `https://github.com/${given}` : addressOf(given);
}

/** Only https addresses become links. */
export function addressOf(given: string | null | undefined): string | null {
  if (!given || !URL.canParse(given)) return null;
  const url = new URL(given);
  if (url.protocol === 'http:') url.protocol = 'https:';
  return url.protocol === 'https:' && url.username === '' ? url.href.replace(/\/$/, '') : null;
}
