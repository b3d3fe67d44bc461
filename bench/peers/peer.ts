import type { BenchCase } from '../../packages/site/src/shared/bench.ts';
import type { TimedCase } from '../cases.ts';

export interface Inputs {
  query: Float32Array; // [batch, heads, queryTokens, headDim]
  key: Float32Array; // [batch, heads, keyTokens, headDim]
  value: Float32Array;
}

/** A peer made ready for one case: inputs are where it computes. */
export interface Prepared {
  /** What ran: library, version, processor or adapter. */
  description: string;
  /** `chain` attentions, done when it resolves. */
  run(chain: number): Promise<void>;
  /** Output of one attention, [batch, heads, queryTokens, headDim]; undefined where only the time is wanted. */
  output(): Promise<Float32Array | undefined>;
  close(): Promise<void>;
}

export interface Peer {
  name: string;
  /** Cases that it has no function for, or that its users would not run so. */
  takes(facts: BenchCase): boolean;
  /** Why it cannot run here; undefined when it can. */
  unavailable(facts: BenchCase): Promise<string | undefined>;
  prepare(item: TimedCase, inputs: Inputs): Promise<Prepared>;
}
