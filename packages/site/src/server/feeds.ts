import { Feed } from 'feed';
import { Hono } from 'hono';
import { etag } from 'hono/etag';
import type { z } from 'zod';
import { daySchema, monthSchema, weekSchema } from '../shared/calendar.ts';
import { plainText } from '../shared/latex.ts';
import { type PaperDetail, words } from '../shared/schemas.ts';
import { detailedFeed, editions, papersByNumber } from './queries/papers.ts';
import { parseQuestion } from './search/parse.ts';
import { searchPapers } from './search/search.ts';
import type { Services } from './services.ts';

const types = {
  atom: 'application/atom+xml; charset=utf-8',
  rss: 'application/rss+xml; charset=utf-8',
  json: 'application/feed+json; charset=utf-8',
} as const;
const MOST_ITEMS = 100;
/** A feed of a question has the latest of its best answers. */
const MOST_FOUND = 100;

interface Source {
  title: string;
  /** The page that shows the same, from the root of the site. */
  page: string;
  papers: PaperDetail[];
}

/** Feeds for feed readers: newest, trending, a day, a week, a month, a family, a question; as Atom, RSS and JSON Feed. */
export function feeds({ database }: Pick<Services, 'database'>, origin?: string): Hono {
  const app = new Hono();
  app.use('*', etag());
  const addressOf = (url: string) => {
    const { pathname, search, origin: asked } = new URL(url);
    return `${origin ?? asked}${pathname}${search}`;
  };

  app.get('/:name{(newest|trending|search)\\.(atom|rss|json)}', async (context) => {
    const [name, kind] = context.req.param('name').split('.');
    if (name !== 'search') {
      const papers = await detailedFeed(database, {}, name as 'newest' | 'trending', 0, MOST_ITEMS);
      const page = name === 'newest' ? '/' : '/papers/trending';
      return answer(addressOf(context.req.url), kind, { title: `Saccade: ${name} papers`, page, papers });
    }
    const q = words(250)
      .trim()
      .min(1, 'at least one character')
      .safeParse(context.req.query('q') ?? '');
    if (!q.success) return refusal('q', context.req.query('q') ?? null, q.error);
    const answers = await searchPapers(database, parseQuestion(q.data));
    const papers = await papersByNumber(
      database,
      answers.slice(0, MOST_FOUND).map(({ paper }) => paper),
    );
    papers.sort(latestFirst);
    const page = `/?${new URLSearchParams({ q: q.data })}`;
    return answer(addressOf(context.req.url), kind, { title: `Saccade: ${q.data}`, page, papers });
  });

  app.get('/:edition{date|week|month}/:name{.+\\.(atom|rss|json)}', async (context) => {
    const edition = context.req.param('edition') as keyof typeof editions;
    const [given, kind] = cut(context.req.param('name'));
    const schema = { date: daySchema, week: weekSchema, month: monthSchema }[edition];
    const parsed = schema.safeParse(given);
    if (!parsed.success) return refusal(edition, given, parsed.error);
    const days = editions[edition].daysOf(parsed.data);
    const papers = await detailedFeed(database, { days }, 'newest', 0, MOST_ITEMS);
    return answer(addressOf(context.req.url), kind, {
      title: `Saccade: papers of ${parsed.data}`,
      page: `/papers/${edition}/${parsed.data}`,
      papers,
    });
  });

  app.get('/family/:name{.+\\.(atom|rss|json)}', async (context) => {
    const [family, kind] = cut(context.req.param('name'));
    const parsed = words(60).safeParse(family);
    if (!parsed.success) return refusal('family', family, parsed.error);
    const papers = await detailedFeed(database, { family }, 'newest', 0, MOST_ITEMS);
    return answer(addressOf(context.req.url), kind, {
      title: `Saccade: ${family}`,
      page: `/?${new URLSearchParams({ family })}`,
      papers,
    });
  });

  app.all('*', (context) =>
    context.json(
      {
        error: {
          argument: 'path',
          given: context.req.path,
          allowed:
            '/feeds/newest, trending, search?q=, date/YYYY-MM-DD, week/YYYY-Www, month/YYYY-MM, family/NAME with .atom, .rss or .json',
        },
      },
      404,
    ),
  );
  return app;
}

const cut = (name: string): [string, string] => {
  const at = name.lastIndexOf('.');
  return [name.slice(0, at), name.slice(at + 1)];
};

const latestFirst = (a: PaperDetail, b: PaperDetail) =>
  (b.listedOn ?? '').localeCompare(a.listedOn ?? '') || a.number - b.number;

function refusal(argument: string, given: string | null, error: z.ZodError): Response {
  return Response.json({ error: { argument, given, allowed: error.issues[0].message } }, { status: 400 });
}

function answer(url: string, kind: string, { title, page, papers }: Source): Response {
  const { origin, pathname, search } = new URL(url);
  const base = pathname.slice(0, pathname.lastIndexOf('.'));
  const feed = new Feed({
    title,
    id: `${origin}${base}${search}`,
    link: `${origin}${page}`,
    description: 'Papers on attention, each with what it claims and what was measured.',
    copyright: 'Summaries: Apache-2.0. Abstracts: of their authors, see each paper.',
    // as of the latest change, so that the same papers make the same feed
    updated: new Date(
      papers
        .map(({ changedAt }) => changedAt)
        .sort()
        .at(-1) ?? '2024-01-01T00:00:00.000Z',
    ),
    generator: 'Saccade',
    feedLinks: {
      atom: `${origin}${base}.atom${search}`,
      rss: `${origin}${base}.rss${search}`,
      json: `${origin}${base}.json${search}`,
    },
  });
  for (const paper of papers) {
    const text = plainText(paper.summary ?? paper.abstract ?? '');
    feed.addItem({
      title: plainText(paper.title),
      // no address: it stays when the site moves and when the paper is edited
      id: `urn:saccade:paper:${paper.slug}`,
      link: `${origin}/papers/${paper.slug}`,
      description: text,
      date: new Date(paper.changedAt),
      published: new Date(paper.listedAt ?? paper.listedOn ?? paper.publishedAt ?? paper.changedAt),
      // an empty list makes the JSON of the library fail
      ...(paper.authors?.length && { author: paper.authors.map((name) => ({ name: plainText(name) })) }),
      category: paper.family ? [{ name: paper.family }] : [],
    });
  }
  const text = kind === 'atom' ? feed.atom1() : kind === 'rss' ? feed.rss2() : feed.json1();
  return new Response(text, {
    headers: { 'Content-Type': types[kind as keyof typeof types], 'Cache-Control': 'public, max-age=300' },
  });
}
