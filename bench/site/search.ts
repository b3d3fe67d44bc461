import questions from '../../packages/site/src/server/search/questions.json' with { type: 'json' };
import type { FilledSite } from './filled.ts';
import { quantile, type Row, rounded, thinned } from './row.ts';

const operators = [
  '"neighborhood attention"',
  'sparse -video',
  'author:babaceba attention',
  'family:local window',
  '"sparse attention" -"linear attention"',
];
const ROUNDS = 5;

/** Searches one after the other, each asked anew: through the API, and as pages with a cookie, which are not kept. */
export async function searchRows({ engine, site }: FilledSite): Promise<Row[]> {
  const asked = [...(questions as [string, string[]][]).map(([question]) => question), ...operators];
  const ways = {
    'search through the API': (q: string) =>
      fetch(`${site.address}/api/papers/search?q=${encodeURIComponent(q)}`),
    'search as a page': (q: string) =>
      fetch(`${site.address}/?q=${encodeURIComponent(q)}`, { headers: { cookie: 'kept=no' } }),
  };
  const rows: Row[] = [];
  for (const [what, ask] of Object.entries(ways)) {
    const samplesMs: number[] = [];
    let failed = 0;
    for (let round = 0; round <= ROUNDS; round++)
      for (const q of asked) {
        const began = performance.now();
        const answer = await ask(q);
        await answer.arrayBuffer();
        // The first round warms up.
        if (round > 0) samplesMs.push(performance.now() - began);
        if (!answer.ok) failed++;
      }
    const p95Ms = quantile(samplesMs, 0.95);
    rows.push({
      what: `${what}, ${engine}`,
      figures: { p50Ms: rounded(quantile(samplesMs, 0.5)), p95Ms: rounded(p95Ms), failed },
      atLeast: 'p95 under 100 ms',
      holds: p95Ms < 100 && failed === 0,
      samplesMs: thinned(samplesMs),
    });
  }
  return rows;
}
