import { z } from 'zod';
import { daySchema } from '../../shared/calendar.ts';
import { words } from '../../shared/schemas.ts';
import type { Database } from '../database.ts';
import { preparePapers } from '../prepare.ts';
import { parseArxivAtom } from './arxiv-atom.ts';
import { parseArxivOai } from './arxiv-oai.ts';
import { parseArxivRss } from './arxiv-rss.ts';
import { parseBibtex } from './bibtex.ts';
import { parseHuggingFace } from './hugging-face.ts';
import { parseList } from './list.ts';
import type { ImportedPaper, Parsed, Problem } from './record.ts';
import { type Stored, storePapers } from './store.ts';

const setName = z.string().regex(/^[a-z-]+(:[a-zA-Z-]+){0,2}$/, 'a set such as cs:cs:LG');
const category = z.string().regex(/^[a-z-]+(\.[A-Za-z-]+)?$/, 'a category such as cs.LG');
/** A file's text: then nothing is asked of the network. */
const text = z.string().optional();
/** Puts the papers into today's edition, unless a list has them already. */
const list = z.boolean().default(false);

/** What can be imported. With `text` it is read from there, else it is fetched. */
export const importSchema = z.discriminatedUnion('source', [
  z.strictObject({
    source: z.literal('huggingface'),
    from: daySchema.optional(),
    to: daySchema.optional(),
    text,
  }),
  z.strictObject({
    source: z.literal('arxiv-rss'),
    categories: z.array(category).max(50, 'at most 50 categories').default(['cs.LG']),
    text,
  }),
  z.strictObject({
    source: z.literal('arxiv'),
    query: words(1000).optional(),
    most: z.int('a whole number').min(1, 'at least 1').max(30_000, 'at most 30000').default(100),
    text,
    list,
  }),
  z.strictObject({
    source: z.literal('arxiv-oai'),
    set: setName.default('cs:cs:LG'),
    from: daySchema.optional(),
    text,
    list,
  }),
  z.strictObject({ source: z.literal('bibtex'), text: z.string('the text of a BibTeX file'), list }),
  z.strictObject({ source: z.literal('list'), text: z.string('ids or addresses, one a line'), list }),
]);
export type ImportRequest = z.input<typeof importSchema>;

/** What an import did. */
export interface ImportReport extends Stored {
  /** Papers that the source told of. */
  read: number;
  problems: Problem[];
}

export interface ImportContext {
  database: Database;
  /** Zone of the editions. */
  zone: string;
  fetchText: (url: string) => Promise<string>;
  progress?: (message: string) => void;
  signal?: AbortSignal;
}

/** Papers of one answer of arXiv's query API; more in one request are slow to make there. */
const ARXIV_PAGE = 100;

/**
 * Imports papers and indexes what is new. Papers are stored page by page, so what was read before a failure stays, and
 * harvests go on where they stopped.
 * @throws SourceError if the source cannot be reached, or is not what it should be; ZodError on a bad request
 */
export async function importPapers(request: ImportRequest, context: ImportContext): Promise<ImportReport> {
  const { database, zone, progress, signal } = context;
  const report: ImportReport = { read: 0, added: 0, changed: 0, unchanged: 0, problems: [] };
  const asked = importSchema.parse(request);
  const now = new Date().toISOString();
  const listed = 'list' in asked && asked.list;
  const take = async ({ papers, problems }: Parsed) => {
    const stored = await storePapers(
      database,
      listed ? papers.map((paper) => onList(paper, now)) : papers,
      zone,
    );
    report.read += papers.length;
    report.problems.push(...problems);
    for (const key of ['added', 'changed', 'unchanged'] as const) report[key] += stored[key];
    progress?.(`${report.read} read, ${report.added} new, ${report.changed} changed`);
    signal?.throwIfAborted();
  };
  try {
    switch (asked.source) {
      case 'huggingface':
        if (asked.text !== undefined) await take(parseHuggingFace(asked.text));
        else await fromHuggingFace(asked, context, take);
        break;
      case 'arxiv-rss':
        await take(
          parseArxivRss(
            asked.text ??
              (await context.fetchText(`https://rss.arxiv.org/rss/${asked.categories.join('+')}`)),
          ),
        );
        break;
      case 'arxiv':
        if (asked.text !== undefined) await take(parseArxivAtom(asked.text));
        else await fromArxiv(asked, context, take);
        break;
      case 'arxiv-oai':
        if (asked.text !== undefined) await take(parseArxivOai(asked.text));
        else await harvest(asked, context, take);
        break;
      case 'bibtex':
        await take(parseBibtex(asked.text));
        break;
      case 'list': {
        const { ids, problems } = parseList(asked.text);
        report.problems.push(...problems);
        await byIds(ids, context, take);
      }
    }
  } finally {
    await preparePapers(database, zone);
  }
  return report;
}

type Take = (parsed: Parsed) => Promise<void>;

const onList = (paper: ImportedPaper, now: string): ImportedPaper => ({
  ...paper,
  listedAt: paper.listedAt ?? now,
});

/** Day by day; a stopped run goes on with the day that it had not finished. */
async function fromHuggingFace(
  { from, to }: { from?: string; to?: string },
  context: ImportContext,
  take: Take,
): Promise<void> {
  const address = 'https://huggingface.co/api/daily_papers';
  if (!from) {
    await take(parseHuggingFace(await context.fetchText(`${address}?limit=100`)));
    return;
  }
  const name = `huggingface ${from} ${to ?? from}`;
  const cursor = await readCursor(context.database, name);
  for (let day = cursor ?? from; day <= (to ?? from); day = dayAfter(day)) {
    await take(parseHuggingFace(await context.fetchText(`${address}?date=${day}&limit=100`)));
    await writeCursor(context.database, name, dayAfter(day));
  }
  await dropCursor(context.database, name);
}

async function fromArxiv(
  { query, most }: { query?: string; most: number },
  context: ImportContext,
  take: Take,
): Promise<void> {
  const question = query ?? 'cat:cs.LG AND abs:attention';
  for (let start = 0; start < most; start += ARXIV_PAGE) {
    const count = Math.min(ARXIV_PAGE, most - start);
    const parameters = new URLSearchParams({
      search_query: question,
      start: String(start),
      max_results: String(count),
      sortBy: 'submittedDate',
      sortOrder: 'descending',
    });
    const page = parseArxivAtom(await context.fetchText(`https://export.arxiv.org/api/query?${parameters}`));
    await take(page);
    if (page.papers.length + page.problems.length < count) return;
  }
}

async function byIds(ids: readonly string[], context: ImportContext, take: Take): Promise<void> {
  for (let at = 0; at < ids.length; at += ARXIV_PAGE) {
    const some = ids.slice(at, at + ARXIV_PAGE);
    const parameters = new URLSearchParams({ id_list: some.join(','), max_results: String(some.length) });
    const page = parseArxivAtom(await context.fetchText(`https://export.arxiv.org/api/query?${parameters}`));
    const found = new Set(page.papers.map(({ arxiv }) => arxiv));
    const unknown = some
      .filter((id) => !found.has(id))
      .map((id) => ({ where: id, message: 'arXiv knows no such paper' }));
    await take({ papers: page.papers, problems: [...page.problems, ...unknown] });
  }
}

interface Harvest {
  /** Where the running harvest is. */
  token: string | null;
  /** The day with which it began, or the next begins. */
  from: string | null;
  /** The day of the first answer: where the next harvest begins. */
  next: string | null;
}

/** All changes of a set since the last harvest; one that was stopped goes on with its token while arXiv knows it. */
async function harvest(
  { set, from }: { set: string; from?: string },
  context: ImportContext,
  take: Take,
): Promise<void> {
  const name = `oai ${set}`;
  const known: Harvest = JSON.parse((await readCursor(context.database, name)) ?? 'null') ?? {
    token: null,
    from: null,
    next: null,
  };
  let state: Harvest = from && from !== known.from ? { token: null, from, next: null } : known;
  const base = 'https://oaipmh.arxiv.org/oai';
  for (;;) {
    const parameters = new URLSearchParams(
      state.token
        ? { verb: 'ListRecords', resumptionToken: state.token }
        : { verb: 'ListRecords', metadataPrefix: 'arXiv', set, ...(state.from && { from: state.from }) },
    );
    const page = parseArxivOai(await context.fetchText(`${base}?${parameters}`));
    if (page.expired) {
      // once: a token that is refused right away would go round for ever
      if (!state.token) return;
      state = { token: null, from: state.from, next: null };
      continue;
    }
    await take(page);
    const next = state.next ?? page.day;
    state = page.token ? { ...state, token: page.token, next } : { token: null, from: next, next: null };
    await writeCursor(context.database, name, JSON.stringify(state));
    if (!page.token) return;
  }
}

const dayAfter = (day: string) =>
  new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);

async function readCursor(database: Database, name: string): Promise<string | undefined> {
  const [row] = await database.query<{ value: string }>('SELECT value FROM import_cursors WHERE name = $1', [
    name,
  ]);
  return row?.value;
}
const writeCursor = (database: Database, name: string, value: string) =>
  database.query(
    'INSERT INTO import_cursors (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2, changed_at = now()',
    [name, value],
  );
const dropCursor = (database: Database, name: string) =>
  database.query('DELETE FROM import_cursors WHERE name = $1', [name]);
