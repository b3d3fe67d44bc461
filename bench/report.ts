import {
  type BenchFile,
  type BenchResult,
  median,
  rateInWords,
  shapeInWords,
} from '../packages/site/src/shared/bench.ts';

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
  const lines =
    ran.length > 0
      ? [`${id}: ${ran[0].case.title}, ${shapeInWords(ran[0].case)}, ${ran[0].samplesMs.length} rounds`]
      : [`${id}:`];
  for (const result of ran) {
    const middle = median(result.samplesMs);
    const rate = rateInWords(result.case, middle);
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
