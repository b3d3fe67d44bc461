import type { Device } from '@saccade/attention';

export type VerdictName =
  | 'holds'
  | 'holds in direction'
  | 'does not hold'
  | 'not checkable here'
  | 'not yet measured';

export interface Verdict {
  verdict: VerdictName;
  /** One sentence with the number and the threshold that decided it. */
  because: string;
}

export interface Measurement {
  /** Named results, with units in the names where a type cannot carry them: `timesFasterThanDense`, `timeMs`. */
  values: Record<string, number>;
  /** Raw samples behind the values (milliseconds unless the name says otherwise). */
  samples?: Record<string, readonly number[]>;
  note?: string;
}

/** What a measurement may use. */
export interface ClaimRun {
  device: Device;
  /** Small shapes and few samples: for CI and a first look; stored as such. */
  quick: boolean;
  signal: AbortSignal;
  progress(fraction: number, what: string): void;
  /** Milliseconds of each of `samples` runs of `work` on the device, after a warm-up; work must return once queued, the device is drained here. */
  time(
    work: () => Promise<unknown>,
    options?: { samples?: number; warmUp?: number },
  ): Promise<readonly number[]>;
}

interface ClaimBase {
  id: string;
  /** What the paper reports, as a fact in our words. */
  states: string;
  /** Where: abstract, section, table. */
  where: string;
}

/** A claim is an experiment; the rule of the verdict stands before the number is known. */
export type Claim = ClaimBase &
  (
    | {
        /** `formula`: exact arithmetic on any machine; `kernel`: timing, worth storing from a GPU; `quality`: untrained statistics; `model`: a small trained model. */
        check: 'formula' | 'kernel' | 'quality' | 'model';
        /** How it is checked here, and what counts as holding, in words. */
        how: string;
        measure(run: ClaimRun): Promise<Measurement>;
        verdict(measured: Measurement): Verdict;
      }
    | {
        check: 'none';
        verdict: 'not checkable here' | 'not yet measured';
        reason: string;
      }
  );

/** One line of the ledger, as stored in results/<machine>/<slug>.json. */
export interface LedgerEntry {
  id: string;
  states: string;
  where: string;
  check: Claim['check'];
  how: string;
  verdict: VerdictName;
  because: string;
  values: Record<string, number>;
  samples: Record<string, readonly number[]>;
  note?: string;
}

export interface LedgerFile {
  slug: string;
  machine: { id: string; adapter: string; cpu: string; cores: number; os: string; runtime: string };
  device: string;
  tier: string;
  quick: boolean;
  commit: string;
  date: string;
  entries: LedgerEntry[];
}

/** Median of samples; NaN of none. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length === 0
    ? Number.NaN
    : sorted.length % 2
      ? sorted[middle]
      : (sorted[middle - 1] + sorted[middle]) / 2;
}
