import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { parseArxivId } from '../../shared/arxiv-id.ts';
import { slugSchema, verdictSchema } from '../../shared/schemas.ts';
import { IMPORTER } from '../accounts/reserved-names.ts';
import { detailedFeed, editions, findPaper, papersBefore, papersByNumber } from '../queries/papers.ts';
import { parseQuestion } from '../search/parse.ts';
import { searchPapers } from '../search/search.ts';
import type { Services } from '../services.ts';
import {
  dailyItemSchema,
  dailyQuery,
  idParam,
  listQuery,
  paperDetailSchema,
  refusalSchema,
  searchQuery,
} from './schemas.ts';
import { itemOf, paperOf } from './views.ts';

const json = <S extends z.ZodType>(schema: S, description: string) => ({
  content: { 'application/json': { schema } },
  description,
});
const refused = json(refusalSchema, 'The argument, what was given and what is allowed');

const routes = {
  daily: createRoute({
    method: 'get',
    path: '/daily_papers',
    summary: 'Papers of a day, an ISO week or a month; without one, of all days',
    request: { query: dailyQuery },
    responses: {
      200: json(z.array(dailyItemSchema), 'Latest listed first, or by hotness; a page past the end is empty'),
      400: refused,
    },
  }),
  search: createRoute({
    method: 'get',
    path: '/papers/search',
    summary: 'Papers for a question, best first: words, "phrases", -without, author:, family:',
    request: { query: searchQuery },
    responses: { 200: json(z.array(dailyItemSchema), 'Best first'), 400: refused },
  }),
  list: createRoute({
    method: 'get',
    path: '/papers',
    summary: 'All papers in the order in which they came, newest first, by cursor',
    request: { query: listQuery },
    responses: { 200: json(z.array(dailyItemSchema), 'The Link header names the next page'), 400: refused },
  }),
  paper: createRoute({
    method: 'get',
    path: '/papers/{id}',
    summary: 'One paper with its ledger, by arXiv id or slug',
    request: { params: idParam },
    responses: { 200: json(paperDetailSchema, 'The paper'), 400: refused, 404: refused },
  }),
  ledger: createRoute({
    method: 'get',
    path: '/ledger',
    summary: 'All verdicts',
    responses: { 200: json(z.array(verdictSchema), 'One row a claim and machine') },
  }),
} as const;

const paths = [
  '/api/daily_papers',
  '/api/papers',
  '/api/papers/search',
  '/api/papers/{id}',
  '/api/ledger',
  '/api/openapi.json',
];

/**
 * The JSON API: the GET paths of Hugging Face's papers API with the same shapes, ours under `saccade`, and the ledger.
 * Described by /api/openapi.json, which is made from the schemas that validate.
 * @param origin where readers reach the site, if not where requests arrive
 */
export function api(
  { database, ledger }: Pick<Services, 'database' | 'ledger'>,
  origin?: string,
): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result, context) => {
      if (result.success) return;
      const [issue] = result.error.issues;
      const argument = String(issue.path[0] ?? 'query');
      const given = context.req.query(argument) ?? context.req.param(argument) ?? null;
      return context.json({ error: { argument, given, allowed: issue.message } }, 400);
    },
  });
  const originOf = (url: string) => origin ?? new URL(url).origin;

  app.openapi(routes.daily, async (context) => {
    const { counts } = await ledger.read();
    const { date, week, month, sort, p, limit, submitter } = context.req.valid('query');
    const days = date
      ? editions.date.daysOf(date)
      : week
        ? editions.week.daysOf(week)
        : month
          ? editions.month.daysOf(month)
          : undefined;
    const order = sort === 'trending' ? 'trending' : 'newest';
    // what came from lists has Saccade as its submitter
    const filter = { days, submitter: submitter === IMPORTER ? null : submitter };
    const papers = await detailedFeed(database, filter, order, p, limit);
    return context.json(
      papers.map((paper) => itemOf(paper, counts, originOf(context.req.url))),
      200,
    );
  });

  app.openapi(routes.search, async (context) => {
    const { counts } = await ledger.read();
    const { q, limit } = context.req.valid('query');
    const question = parseQuestion(q);
    const exact = question.jump && (await findPaper(database, { arxiv: question.jump.id }));
    const papers = exact
      ? [exact]
      : await papersByNumber(
          database,
          (await searchPapers(database, question)).slice(0, limit).map(({ paper }) => paper),
        );
    return context.json(
      papers.map((paper) => itemOf(paper, counts, originOf(context.req.url))),
      200,
    );
  });

  app.openapi(routes.list, async (context) => {
    const { counts } = await ledger.read();
    const { cursor, limit } = context.req.valid('query');
    const papers = await papersBefore(database, cursor ? Number(cursor) : null, limit);
    if (papers.length === limit)
      context.header('Link', `</api/papers?cursor=${papers[limit - 1].number}&limit=${limit}>; rel="next"`);
    return context.json(
      papers.map((paper) => itemOf(paper, counts, originOf(context.req.url))),
      200,
    );
  });

  app.openapi(routes.paper, async (context) => {
    const { counts, verdicts } = await ledger.read();
    const { id } = context.req.valid('param');
    const arxiv = parseArxivId(id);
    if (!arxiv && !slugSchema.safeParse(id).success)
      return context.json(
        { error: { argument: 'id', given: id, allowed: 'an arXiv id, or lower-case words joined by -' } },
        400,
      );
    const paper = await findPaper(database, arxiv ? { arxiv: arxiv.id } : { slug: id });
    if (!paper)
      return context.json(
        { error: { argument: 'id', given: id, allowed: 'a paper of GET /api/papers' } },
        404,
      );
    const view = paperOf(paper, counts, originOf(context.req.url));
    return context.json(
      {
        ...view,
        linkedModels: [],
        numTotalModels: 0 as const,
        linkedDatasets: [],
        numTotalDatasets: 0 as const,
        linkedSpaces: [],
        numTotalSpaces: 0 as const,
        saccade: { ...view.saccade, ledger: verdicts.filter(({ slug }) => slug === paper.slug) },
      },
      200,
    );
  });

  app.openapi(routes.ledger, async (context) => context.json([...(await ledger.read()).verdicts], 200));

  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'Saccade',
      version: '1',
      description:
        'Papers in the shapes of the papers API of Hugging Face, with what is known here beyond it under `saccade`; and the ledger of claims.',
      license: { name: 'Apache-2.0' },
    },
    servers: [{ url: '/api' }],
  });
  app.all('*', (context) =>
    context.json(
      { error: { argument: 'path', given: context.req.path, allowed: `GET ${paths.join(', ')}` } },
      404,
    ),
  );
  return app;
}
