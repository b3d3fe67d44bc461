/** One row of the acceptance table as it was measured. */
export interface Row {
  /** What was measured, as in the table. */
  what: string;
  /** Figures with their units in their names. */
  figures: Record<string, number>;
  /** What the table asks for, in words. */
  atLeast: string;
  holds: boolean;
  /** Raw times in milliseconds: all, or a thousand spread over all. */
  samplesMs?: number[];
}

/** The time under which that share of the samples lies. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** At most a thousand of the samples, spread over all of them, to 10 µs. */
export function thinned(samples: readonly number[]): number[] {
  const step = Math.max(1, Math.ceil(samples.length / 1000));
  return samples.filter((_, at) => at % step === 0).map(rounded);
}

export const rounded = (value: number) => Math.round(value * 100) / 100;
