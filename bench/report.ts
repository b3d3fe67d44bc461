import type { Case } from './peers/peer.ts';

export interface PeerResult {
  peer: string;
  description: string;
  /** Milliseconds of one attention, one a round; with two chain lengths, of their difference. */
  samples: number[];
  /** Milliseconds as timed, [round][chain length]. */
  raw: number[][];
}

export interface CaseResult {
  case: Case;
  /** Largest absolute difference of outputs between the first peer and each other one. */
  differences: Record<string, number>;
  results: PeerResult[];
  skipped: Record<string, string>;
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Two products of tokens x tokens x headDim a head, two operations a multiply-add. */
export function flops({ batch, heads, tokens, headDim }: Case): number {
  return 4 * batch * heads * tokens * tokens * headDim;
}

/**
 * How much faster the first is: medians of their times, and the median of the ratio within each round, in which both
 * ran one after the other and so under the same load.
 */
export function ratio(ours: PeerResult, theirs: PeerResult): { ofMedians: number; withinRounds: number } {
  return {
    ofMedians: median(theirs.samples) / median(ours.samples),
    withinRounds: median(ours.samples.map((sample, round) => theirs.samples[round] / sample)),
  };
}

export function report({ case: item, differences, results, skipped }: CaseResult): string {
  const lines = [
    `${item.name}: ${item.batch} x ${item.heads} x ${item.tokens} x ${item.headDim}, f32, ${item.rounds} rounds`,
  ];
  for (const { peer, description, samples } of results) {
    const middle = median(samples);
    const rate = (flops(item) / middle / 1e6).toFixed(1);
    lines.push(
      `  ${peer.padEnd(20)} ${middle.toFixed(2)} ms median, ${Math.min(...samples).toFixed(2)} best, ${rate} GFLOP/s  (${description})`,
    );
  }
  for (const [peer, why] of Object.entries(skipped)) lines.push(`  ${peer.padEnd(20)} not run: ${why}`);
  for (const [peer, difference] of Object.entries(differences))
    lines.push(`  largest difference to ${peer}: ${difference.toExponential(1)}`);
  if (results.length > 1) {
    const { ofMedians, withinRounds } = ratio(results[0], results[1]);
    lines.push(
      `  ${results[0].peer} runs at ${ofMedians.toFixed(2)} of ${results[1].peer}'s speed (median of rounds ${withinRounds.toFixed(2)})`,
    );
  }
  return lines.join('\n');
}
