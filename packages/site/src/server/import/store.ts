import { slugOfArxiv } from '../../shared/arxiv-id.ts';
import type { Database } from '../database.ts';
import { folded } from '../search/tokens.ts';
import type { ImportedPaper } from './record.ts';

type Queries = Pick<Database, 'query'>;

/** What became of the papers of an import. */
export interface Stored {
  added: number;
  changed: number;
  unchanged: number;
}

interface Row {
  number: number;
  source: string;
  title: string;
  arxiv: string | null;
  version: number | null;
  authors: string[] | null;
  authorCount: number | null;
  abstract: string | null;
  abstractSource: string | null;
  abstractLicence: string | null;
  publishedAt: string | null;
  revisedAt: string | null;
  withdrawnAt: string | null;
  listedAt: string | null;
  listedOn: string | null;
  categories: string[];
  doi: string | null;
  journal: string | null;
  links: string[];
}

const instant = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const columns = `number, source, title, arxiv, version, authors, author_count AS "authorCount", abstract,
  abstract_source AS "abstractSource", abstract_licence AS "abstractLicence", ${instant('published_at')} AS "publishedAt",
  ${instant('revised_at')} AS "revisedAt", ${instant('withdrawn_at')} AS "withdrawnAt", ${instant('listed_at')} AS "listedAt",
  to_char(listed_on, 'YYYY-MM-DD') AS "listedOn", categories, doi, journal, links`;

/**
 * Adds papers that are not there and fills in what is not known of those that are. Running it again with the same papers
 * changes nothing. What was written here stays: slug, family, our summary; of the papers of the catalogue also title and
 * list date. A later version replaces title, authors and abstract; an earlier one does not.
 * @param zone in which the day of a listing is counted
 */
export async function storePapers(
  database: Database,
  papers: readonly ImportedPaper[],
  zone: string,
): Promise<Stored> {
  const stored: Stored = { added: 0, changed: 0, unchanged: 0 };
  for (const paper of papers) stored[await database.transaction((inner) => storePaper(inner, paper, zone))]++;
  return stored;
}

/** Stores one paper as storePapers does, within a transaction of the caller. */
export async function storePaper(
  database: Queries,
  paper: ImportedPaper,
  zone: string,
): Promise<keyof Stored> {
  const slug = slugOf(paper);
  const [known] = await database.query<Row>(
    `SELECT ${columns} FROM papers WHERE ($1::text IS NOT NULL AND arxiv = $1) OR ($2::text IS NOT NULL AND doi = $2) OR (slug = $3 AND source = 'bibtex')
     ORDER BY (arxiv = $1) DESC NULLS LAST, (doi = $2) DESC NULLS LAST LIMIT 1 FOR UPDATE`,
    [paper.arxiv, paper.doi, slug],
  );
  if (!known) {
    const rows = await insert(database, slug, merged(undefined, paper), zone);
    return rows > 0 ? 'added' : 'unchanged'; // another process was first
  }
  const next = merged(known, paper);
  const { number, ...before } = known;
  if (JSON.stringify(sorted(next)) === JSON.stringify(sorted(before))) return 'unchanged';
  await database.query(
    `UPDATE papers SET (${written.join(', ')}) = (${written.map((_, at) => `$${at + 1}`).join(', ')}),
       listed_on = ${dayOf(written.length + 1, written.length + 2)}, hot = CASE WHEN listed_at IS DISTINCT FROM $${written.length + 1}::timestamptz THEN NULL ELSE hot END,
       changed_at = now() WHERE number = $${written.length + 3}`,
    [...values(next), next.listedAt, zone, number],
  );
  return 'changed';
}

const written = [
  'source', 'title', 'arxiv', 'version', 'authors', 'author_count', 'abstract', 'abstract_source', 'abstract_licence',
  'published_at', 'revised_at', 'withdrawn_at', 'listed_at', 'categories', 'doi', 'journal', 'links',
]; // biome-ignore format: a list
const values = (row: Omit<Row, 'number'>) => [
  row.source, row.title, row.arxiv, row.version, row.authors && JSON.stringify(row.authors), row.authorCount, row.abstract,
  row.abstractSource, row.abstractLicence, row.publishedAt, row.revisedAt, row.withdrawnAt, row.listedAt,
  JSON.stringify(row.categories), row.doi, row.journal, JSON.stringify(row.links),
]; // biome-ignore format: a list

/** The day of a listing in the zone; where the instant is unknown, the day that is there stays. */
const dayOf = (instantAt: number, zoneAt: number) =>
  `coalesce(($${instantAt}::timestamptz AT TIME ZONE $${zoneAt})::date, listed_on)`;

async function insert(
  database: Queries,
  slug: string,
  row: Omit<Row, 'number'>,
  zone: string,
): Promise<number> {
  const rows = await database.query(
    `INSERT INTO papers (${written.join(', ')}, slug, listed_on)
     VALUES (${written.map((_, at) => `$${at + 1}`).join(', ')}, $${written.length + 1},
       ($${written.length + 2}::timestamptz AT TIME ZONE $${written.length + 3})::date)
     ON CONFLICT DO NOTHING RETURNING number`,
    [...values(row), slug, row.listedAt, zone],
  );
  return rows.length;
}

/** What is known of a paper after a source has spoken. */
function merged(known: Row | undefined, paper: ImportedPaper): Omit<Row, 'number'> {
  const ours = known?.source === 'catalogue';
  const older = known?.version != null && paper.version !== null && paper.version < known.version;
  // of two that do not say which version they tell, what is there stays
  const newer = !older && (known === undefined || (paper.version ?? 0) > (known.version ?? 0));
  const text = <T>(before: T | null | undefined, after: T | null): T | null =>
    newer ? (after ?? before ?? null) : (before ?? after);
  const authors = text(known?.authors, paper.authors && [...paper.authors]);
  const abstract = text(known?.abstract, paper.abstract);
  const told = abstract !== null && abstract === paper.abstract && abstract !== known?.abstract;
  return {
    source: known?.source ?? paper.source,
    title: ours ? known.title : (text(known?.title, paper.title) as string),
    arxiv: known?.arxiv ?? paper.arxiv,
    version: older ? (known?.version ?? null) : (paper.version ?? known?.version ?? null),
    authors,
    authorCount: ours ? (known.authorCount ?? authors?.length ?? null) : (authors?.length ?? null),
    abstract,
    abstractSource: told ? paper.abstractSource : (known?.abstractSource ?? null),
    abstractLicence: told ? paper.abstractLicence : (known?.abstractLicence ?? null),
    publishedAt: known?.publishedAt ?? paper.publishedAt,
    revisedAt: latest(known?.revisedAt, paper.revisedAt),
    withdrawnAt: known?.withdrawnAt ?? paper.withdrawnAt,
    // the first list counts; a paper that no list has is not in an edition
    listedAt: ours && known.listedOn !== null ? known.listedAt : (known?.listedAt ?? paper.listedAt),
    listedOn: known?.listedOn ?? null,
    categories:
      paper.categories.length > 0 && (newer || !known?.categories.length)
        ? [...paper.categories]
        : (known?.categories ?? []),
    doi: known?.doi ?? paper.doi,
    journal: text(known?.journal, paper.journal),
    links: [...new Set([...(known?.links ?? []), ...paper.links])],
  };
}

const latest = (a: string | null | undefined, b: string | null): string | null =>
  a && (!b || a > b) ? a : b;

/** With its keys in one order, so that equal rows are equal texts. */
const sorted = (row: object) => Object.entries(row).sort(([a], [b]) => a.localeCompare(b));

function slugOf({ arxiv, doi, title, authors }: ImportedPaper): string {
  if (arxiv) return slugOfArxiv(arxiv);
  const words = folded(doi ?? `${authors?.[0]?.split(' ').at(-1) ?? ''} ${title}`).replace(
    /[^a-z0-9]+/g,
    '-',
  );
  // a prefix, so that no title becomes the name of another page
  return `bib-${words.slice(0, 70).replace(/^-+|-+$/g, '') || 'untitled'}`;
}
