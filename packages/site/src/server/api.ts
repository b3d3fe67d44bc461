import { Hono } from 'hono';
import type { z } from 'zod';
import { feedQuery, slugSchema } from '../shared/schemas.ts';
import { feed, findPaper } from './queries/papers.ts';
import type { Services } from './services.ts';

/** The JSON API. Bad input gets 4xx with the argument, what was given and what is allowed. */
export function api({ database, ledger }: Pick<Services, 'database' | 'ledger'>): Hono {
  const routes = new Hono();
  routes.get('/papers', async (context) => {
    const query = feedQuery.safeParse(context.req.query());
    if (!query.success) return context.json(refusal(query.error, context.req.query()), 400);
    return context.json(await feed(database, query.data));
  });
  routes.get('/papers/:slug', async (context) => {
    const slug = context.req.param('slug');
    const parsed = slugSchema.safeParse(slug);
    if (!parsed.success) return context.json(refusal(parsed.error, { slug }), 400);
    const paper = await findPaper(database, parsed.data);
    if (!paper)
      return context.json(
        { error: { argument: 'slug', given: slug, allowed: 'a paper of GET /api/papers' } },
        404,
      );
    return context.json({ ...paper, verdicts: ledger.verdicts.filter((verdict) => verdict.slug === slug) });
  });
  routes.get('/ledger', (context) => context.json(ledger.verdicts));
  routes.all('*', (context) =>
    context.json(
      {
        error: {
          argument: 'path',
          given: context.req.path,
          allowed: 'GET /api/papers, /api/papers/:slug, /api/ledger',
        },
      },
      404,
    ),
  );
  return routes;
}

function refusal(error: z.ZodError, given: Record<string, string>) {
  const [issue] = error.issues;
  const argument = String(issue.path[0] ?? 'slug');
  return { error: { argument, given: given[argument] ?? null, allowed: issue.message } };
}
