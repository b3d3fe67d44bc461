import type { VerdictName, VerdictView } from '../../shared/schemas.ts';

/** Verdicts of one paper by count. Of a claim measured on several machines the best evidence counts: full before quick, then measured before not, then the latest. */
export function countVerdicts(
  verdicts: readonly VerdictView[],
): Map<string, Partial<Record<VerdictName, number>>> {
  const chosen = new Map<string, VerdictView>();
  for (const verdict of verdicts) {
    const key = `${verdict.slug} ${verdict.id}`;
    const other = chosen.get(key);
    if (
      !other ||
      weight(verdict) > weight(other) ||
      (weight(verdict) === weight(other) && verdict.date > other.date)
    ) {
      chosen.set(key, verdict);
    }
  }
  const counts = new Map<string, Partial<Record<VerdictName, number>>>();
  for (const { slug, verdict } of chosen.values()) {
    const of = counts.get(slug) ?? {};
    of[verdict] = (of[verdict] ?? 0) + 1;
    counts.set(slug, of);
  }
  return counts;
}

const weight = ({ quick, verdict }: VerdictView) =>
  (quick ? 0 : 1) + (verdict === 'not yet measured' ? 0 : 2);
