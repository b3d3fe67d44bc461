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
const CLIENTS = [1, 8];

const asked = [...(questions as [string, string[]][]).map(([question]) => question), ...operators];
const words = [
  ...new Set(asked.flatMap((question) => question.match(/(?<![-:"])\b[a-z]{4,}\b(?![:"])/g) ?? [])),
];
/** Each round asks other questions, so that nothing is measured that was asked before. */
const inRound = (round: number) =>
  asked.map((question, i) =>
    round === 0 ? question : `${question} ${words[(i * 7 + round * 31) % words.length]}`,
  );

interface Way {
  ask: (q: string) => Promise<Response>;
  /** Of a round. */
  questions: (round: number) => string[];
}

/** Searches by one client and by eight at a time: asked anew each time, and as pages that were asked for before. */
export async function searchRows({ engine, site }: FilledSite): Promise<Row[]> {
  const page = (q: string) => `${site.address}/?q=${encodeURIComponent(q)}`;
  const ways: Record<string, Way> = {
    'search through the API': {
      ask: (q) => fetch(`${site.address}/api/papers/search?q=${encodeURIComponent(q)}`),
      questions: inRound,
    },
    // With a cookie no page is kept.
    'search as a page rendered anew': {
      ask: (q) => fetch(page(q), { headers: { cookie: 'kept=no' } }),
      questions: inRound,
    },
    'search as a page asked for before': { ask: (q) => fetch(page(q)), questions: () => inRound(0) },
  };
  const rows: Row[] = [];
  for (const [what, way] of Object.entries(ways))
    for (const clients of CLIENTS) {
      // The first round warms up.
      await samplesOf(way, 0, 0, clients);
      const { samplesMs, failed } = await samplesOf(way, 1, ROUNDS, clients);
      const p95Ms = quantile(samplesMs, 0.95);
      rows.push({
        what: `${what}, ${engine}, ${clients} at a time`,
        figures: { p50Ms: rounded(quantile(samplesMs, 0.5)), p95Ms: rounded(p95Ms), failed },
        atLeast: 'p95 under 100 ms',
        holds: p95Ms < 100 && failed === 0,
        samplesMs: thinned(samplesMs),
      });
    }
  return rows;
}

async function samplesOf({ ask, questions }: Way, from: number, to: number, clients: number) {
  const waiting: string[] = [];
  for (let round = from; round <= to; round++) waiting.push(...questions(round));
  const samplesMs: number[] = [];
  let failed = 0;
  const client = async () => {
    for (let q = waiting.shift(); q !== undefined; q = waiting.shift()) {
      const began = performance.now();
      const answer = await ask(q);
      await answer.arrayBuffer();
      samplesMs.push(performance.now() - began);
      if (!answer.ok) failed++;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { samplesMs, failed };
}
