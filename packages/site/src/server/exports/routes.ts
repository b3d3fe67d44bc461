import { Hono } from 'hono';
import { parseArxivId } from '../../shared/arxiv-id.ts';
import { slugSchema } from '../../shared/schemas.ts';
import { findPaper } from '../queries/papers.ts';
import type { Services } from '../services.ts';
import { citationOf } from './citation.ts';
import { bibtexOf, cslOf, risOf } from './formats.ts';
import { markdownOf } from './markdown.ts';

const formats = {
  md: 'text/markdown; charset=utf-8',
  bib: 'application/x-bibtex; charset=utf-8',
  ris: 'application/x-research-info-systems; charset=utf-8',
  'csl.json': 'application/vnd.citationstyles.csl+json; charset=utf-8',
} as const;
type Format = keyof typeof formats;

/**
 * A paper for reference managers and programs: /papers/<slug or arXiv id>.md, .bib, .ris and .csl.json; and the page
 * itself as Markdown where that is asked for by Accept.
 */
export function exports({ database, ledger }: Pick<Services, 'database' | 'ledger'>, origin?: string): Hono {
  const app = new Hono();

  async function answer(url: string, name: string, format: Format): Promise<Response> {
    const arxiv = parseArxivId(name);
    const known = arxiv || slugSchema.safeParse(name).success;
    const paper = known && (await findPaper(database, arxiv ? { arxiv: arxiv.id } : { slug: name }));
    if (!paper)
      return Response.json(
        {
          error: {
            argument: 'paper',
            given: name.slice(0, 100),
            allowed: 'a slug or an arXiv id of GET /api/papers',
          },
        },
        { status: 404 },
      );
    const citation = citationOf(paper);
    const verdicts = (await ledger.read()).verdicts.filter(({ slug }) => slug === paper.slug);
    const text = {
      md: () => markdownOf(paper, verdicts, `${origin ?? new URL(url).origin}/papers/${paper.slug}`),
      bib: () => bibtexOf(citation),
      ris: () => risOf(citation),
      'csl.json': () => JSON.stringify([cslOf(citation)], null, 2),
    }[format]();
    return new Response(text, {
      headers: {
        'Content-Type': formats[format],
        Vary: 'Accept',
        ...(format !== 'md' && { 'Content-Disposition': `attachment; filename="${paper.slug}.${format}"` }),
      },
    });
  }

  app.get('/papers/:file{[^/]+\\.(md|bib|ris|csl\\.json)}', (context) => {
    const file = context.req.param('file');
    const format = (Object.keys(formats) as Format[]).find((end) => file.endsWith(`.${end}`)) as Format;
    return answer(context.req.url, file.slice(0, -format.length - 1), format);
  });
  app.get('/papers/:name', async (context, next) => {
    const accept = context.req.header('Accept') ?? '';
    if (/^\s*text\/markdown\b/i.test(accept)) return answer(context.req.url, context.req.param('name'), 'md');
    await next();
    context.res.headers.append('Vary', 'Accept');
  });
  return app;
}
