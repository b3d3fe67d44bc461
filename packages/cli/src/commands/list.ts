import { findRunnable } from '@saccade/papers';
import { catalogue } from '@saccade/papers/catalogue';
import { type Context, printJson, table } from '../console.ts';

/** `saccade list`: the papers, and which of them run. */
export async function list(context: Context): Promise<void> {
  const rows = catalogue.map((paper) => ({
    slug: paper.slug,
    title: paper.title,
    family: paper.family,
    runnable: findRunnable(paper.slug) !== undefined,
    listedOn: paper.listedOn,
    authorCount: paper.authorCount,
    arxiv: paper.arxiv,
  }));
  if (context.json) {
    printJson(context, rows);
    return;
  }
  const sorted = [...rows].sort(
    (a, b) => Number(b.runnable) - Number(a.runnable) || a.slug.localeCompare(b.slug),
  );
  context.console.out(
    table([
      ['slug', 'runs', 'family', 'title'],
      ...sorted.map((row) => [row.slug, row.runnable ? 'runs' : '', row.family, row.title]),
    ]),
  );
  const running = rows.filter((row) => row.runnable).length;
  context.console.out(`\n${running} of ${rows.length} papers run: saccade show <slug>, saccade run <slug>\n`);
}
