import type { DeviceKind, Tier } from '@saccade/attention';
import type { TokenInputs } from '../features.ts';

/** What the page asks of the worker. */
export type Request =
  | {
      type: 'run';
      id: number;
      slug: string;
      /** As the reader set them: parsed by the paper in the worker. */
      options: Record<string, unknown>;
      inputs: TokenInputs;
      device: DeviceKind | 'auto';
      samples: number;
    }
  | { type: 'row'; id: number; query: number; head: number | 'all' }
  | { type: 'cancel'; id: number };

/** One attention row, spread over all keys: [keyTokens], sums to 1 (0 where nothing is seen). */
export interface Rows {
  query: number;
  dense: Float32Array;
  mechanism: Float32Array;
}

/** What one run measured. Times are medians in milliseconds, dense and mechanism taken in turn after a warm-up. */
export interface Numbers {
  denseMs: number;
  /** attend() with the plan ready. */
  attendMs: number;
  /** The whole mechanism: plan or selection, attention, correction. */
  mechanismMs: number;
  samples: { dense: number[]; attend: number[]; mechanism: number[] };
  /** Mean share of a dense attention row's weight on the keys that the mechanism looks at; sampled queries, all heads. */
  massKept: number;
  massQueries: number;
  /** ‖output − dense‖ / ‖dense‖ over all heads and tokens. */
  relativeError: number;
  /** The two products only, two operations a multiply-add. */
  flops: number;
  denseFlops: number;
  visitedPairs: number;
  densePairs: number;
  planBytes: number;
  /** Highest device memory during the mechanism, above its inputs. */
  extraBytes: number;
  denseExtraBytes: number;
}

export interface Machine {
  kind: DeviceKind;
  tier: Tier;
  description: string;
  /** Why this device and not another, in words; empty when it is the one asked for. */
  note: string;
}

export interface RunResult {
  id: number;
  shape: readonly [number, number, number, number];
  dense: Float32Array; // [1, heads, tokens, headDim]
  output: Float32Array; // [1, heads, tokens, headDim]
  numbers: Numbers;
  machine: Machine;
}

export interface Failure {
  /** ArgumentError: the settings; DeviceError: the machine; anything else is our mistake. */
  name: string;
  message: string;
}

/** What the worker answers. */
export type Answer =
  | { type: 'progress'; id: number; fraction: number; what: string }
  | { type: 'done'; result: RunResult }
  | { type: 'row'; id: number; rows: Rows }
  | { type: 'failed'; id: number; failure: Failure }
  | { type: 'cancelled'; id: number }
  | { type: 'lost'; reason: string };
