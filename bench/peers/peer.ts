/** Dense f32 attention of one shape: what every peer can do. */
export interface Case {
  name: string;
  batch: number;
  heads: number;
  tokens: number;
  headDim: number;
  /** Threads of processor peers. */
  threads: number;
  /**
   * Attentions in one timed run, each on the output of the one before. Two lengths: the time of one attention is the
   * difference over the difference, so that what is paid once a run drops out. One length: its time.
   */
  chains: readonly [number] | readonly [number, number];
  rounds: number;
  /** Names of the peers that run it; the first is ours, the ratio is against the second. */
  peers: readonly string[];
}

export interface Inputs {
  query: Float32Array; // [batch, heads, tokens, headDim]
  key: Float32Array;
  value: Float32Array;
}

/** A peer made ready for one case: inputs are where it computes. */
export interface Prepared {
  /** What ran: library, version, processor or adapter. */
  description: string;
  /** `chain` attentions, done when it resolves. */
  run(chain: number): Promise<void>;
  /** Output of one attention, [batch, heads, tokens, headDim]. */
  output(): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface Peer {
  name: string;
  /** Why it cannot run here; undefined when it can. */
  unavailable(): Promise<string | undefined>;
  prepare(item: Case, inputs: Inputs): Promise<Prepared>;
}
