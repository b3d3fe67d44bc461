import type { DeviceKind, Tier } from '@saccade/attention';
import type { Numbers, Rows } from '../../compare.ts';
import type { TokenInputs } from '../features.ts';

/** What the page asks of the worker. */
export type Request =
  | (Job & { type: 'run'; samples: number })
  | (Job & { type: 'trial'; name: string; settings: unknown })
  | { type: 'row'; id: number; query: number; head: number | 'all' }
  | { type: 'cancel'; id: number };

/** What runs on a device: the comparison, or one of a paper's trials. */
export interface Job {
  id: number;
  slug: string;
  /** As the reader set them: parsed by the paper in the worker. */
  options: Record<string, unknown>;
  inputs: TokenInputs;
  device: DeviceKind | 'auto';
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
  /** The device is gone, and what lay on it: the next try opens another. */
  lost?: boolean;
}

/** What the worker answers. */
export type Answer =
  | { type: 'progress'; id: number; fraction: number; what: string; value?: unknown }
  | { type: 'done'; result: RunResult }
  | { type: 'trial'; id: number; value: unknown; machine: Machine }
  | { type: 'row'; id: number; rows: Rows }
  | { type: 'failed'; id: number; failure: Failure }
  | { type: 'cancelled'; id: number }
  | { type: 'lost'; reason: string };
