import type { AttendOptions, Device, Tensor } from '@saccade/attention';
import type { z } from 'zod';
import type { Claim } from './claim.ts';
import type { TokenInputs } from './lab/features.ts';

/** What a paper's lab can be fed with. `text` gives a sequence, `image` a 2-D grid, `clip` a 3-D grid [frames, height, width]. */
export type InputKind = 'text' | 'image' | 'clip';

/** What every attention mechanism receives. All three tensors live on one device. */
export interface Inputs {
  query: Tensor; // [batch, heads, tokens, headDim]
  key: Tensor; // [batch, keyHeads, tokens, headDim]; keyHeads divides heads
  value: Tensor; // [batch, keyHeads, tokens, headDim]
}

export interface Outputs {
  output: Tensor; // [batch, heads, tokens, headDim]
  logSumExp: Tensor; // [batch, heads, tokens], -Infinity where a query sees no key
  /**
   * The attend call that made the output: plan, mask, score and scale. The lab reads the
   * attention row of a hovered query, the kept mass, FLOPs and memory from it.
   */
  attended: AttendOptions;
  /** Tensors that `attended` reads (selected lists, score tables): dispose of them when it is no longer needed. */
  held?: readonly Tensor[];
}

export interface RunContext {
  signal?: AbortSignal;
}

/** A paper's method on the engines: select, attend, correct. Throws ArgumentError on bad shapes or options. */
export type Mechanism<O> = (inputs: Inputs, options: O, run?: RunContext) => Promise<Outputs>;

/**
 * An experiment of a paper's lab beside the comparison with dense attention: it runs in the lab's worker, on the device
 * and the input that the reader has chosen. What it returns must survive postMessage.
 */
export type Trial<O, Settings = any, Result = unknown> = (run: {
  device: Device;
  /** The reader's input on the device: the caller's, not to be disposed of. */
  inputs: Inputs;
  /** The same input on the host, with its grid. */
  data: TokenInputs;
  options: O;
  settings: Settings;
  signal: AbortSignal;
  /** `value` is what there is so far, shown while the rest is under way. */
  progress(fraction: number, what: string, value?: Result): void;
}) => Promise<Result>;

/** Plain float64 arrays in [batch, heads, tokens, headDim] order: what a reference reads and returns. */
export interface ReferenceInputs {
  batch: number;
  heads: number;
  keyHeads: number;
  tokens: number;
  headDim: number;
  query: Float64Array;
  key: Float64Array;
  value: Float64Array;
}
export interface ReferenceOutputs {
  output: Float64Array; // [batch, heads, tokens, headDim]
  logSumExp: Float64Array; // [batch, heads, tokens]
}
export type Reference<O> = (inputs: ReferenceInputs, options: O) => ReferenceOutputs;

/**
 * One paper, as the rest of the program sees it. Everything heavy is imported lazily.
 * Facts (title, date, authors, links) and the summary stand once, in ../catalogue.json, under the same slug.
 */
export interface Paper<O = any> {
  slug: string;
  /** Twelve words at most: what the method does. */
  idea: string;
  /** What the lab can show it on; the first is the default. */
  inputs: readonly InputKind[];
  /**
   * The only declaration of the options: parser, defaults, CLI flags, sliders (label, unit, step, control in `.meta()`)
   * and README table. Geometry (`grid`, one size an axis, row-major, last axis fastest) is an option like any other.
   */
  options: z.ZodType<O>;
  /** What the spec marks as our reconstruction: shown on the page and in the README. */
  reconstructed: readonly string[];
  /** What is not done, in words a reader understands. */
  limits: readonly string[];
  /**
   * Options for a lab or a benchmark of this geometry (grid sizes), filling what depends on it.
   * `grid` has one entry for text, two for an image, three for a clip.
   */
  fit(grid: readonly number[]): z.input<z.ZodType<O>> | Record<string, unknown>;
  mechanism(): Promise<Mechanism<O>>;
  reference(): Promise<Reference<O>>;
  claims(): Promise<readonly Claim[]>;
  /** What the lab can run besides, by name. */
  trials?(): Promise<Readonly<Record<string, Trial<O>>>>;
}

/** Checks the parts of a paper that types cannot: slug form, length of the idea. */
export function definePaper<O>(paper: Paper<O>): Paper<O> {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(paper.slug))
    throw new Error(`definePaper: slug is ${paper.slug}; allowed: kebab-case`);
  const words = paper.idea.split(/\s+/).length;
  if (words > 12)
    throw new Error(`definePaper: idea of ${paper.slug} has ${words} words; allowed: at most 12`);
  return paper;
}

/** The device a run happens on, with what the reader is told about it. */
export type { Device };
