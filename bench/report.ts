import { type BenchFile, type BenchResult, median, operations } from '../packages/site/src/shared/bench.ts';

/** Operations a second on the pairs that the mask keeps, in words. */
export function rateInWords(perSecond: number): string {
  return perSecond >= 1e12
    ? `${(perSecond / 1e12).toFixed(1)} TFLOP/s`
    : `${(perSecond / 1e9).toFixed(1)} GFLOP/s`;
}

/**
 * How much faster the first is: the median of the ratios within a round, in which both ran one after the other and so
 * under the same load; of medians where the rounds are not the same.
 */
export function timesFaster(ours: BenchResult, theirs: BenchResult): number {
  if (ours.samplesMs.length !== theirs.samplesMs.length)
    return median(theirs.samplesMs) / median(ours.samplesMs);
  return median(ours.samplesMs.map((sample, round) => theirs.samplesMs[round] / sample));
}

/** The lines of a case for the terminal. */
export function report(id: string, { results, skipped }: Pick<BenchFile, 'results' | 'skipped'>): string {
  const ran = results.filter((result) => result.case.id === id);
  const lines = ran.length > 0 ? [`${id}: ${ran[0].case.title}, ${shapeInWords(ran[0])}`] : [`${id}:`];
  for (const result of ran) {
    const middle = median(result.samplesMs);
    const rate = rateInWords(operations(result.case) / (middle / 1e3));
    const best = Math.min(...result.samplesMs).toFixed(3);
    const beside =
      result === ran[0] ? '' : `, ${timesFaster(ran[0], result).toFixed(2)} x the time of ${ran[0].peer}`;
    const apart = result.difference === null ? '' : `, differs by ${result.difference.toExponential(1)}`;
    lines.push(
      `  ${result.peer.padEnd(24)} ${middle.toFixed(3)} ms median, ${best} best, ${rate}${beside}${apart}  (${result.description})`,
    );
  }
  for (const { peer, why } of skipped.filter((entry) => entry.case === id))
    lines.push(`  ${peer.padEnd(24)} not run: ${why}`);
  return lines.join('\n');
}

function shapeInWords({ case: item, samplesMs }: BenchResult): string {
  const { batch, heads, queryTokens, keyTokens, headDim, dtype } = item;
  const tokens = queryTokens === keyTokens ? `${queryTokens}` : `${queryTokens} of ${keyTokens}`;
  return `${batch} x ${heads} x ${tokens} x ${headDim}, ${dtype}, ${samplesMs.length} rounds`;
}
