import type { DType, Shape, Tensor } from '../tensor.ts';

/** Copies tokens of one tensor [batch, heads, tokens, channels] into another of the same dtype, batch, heads and channels. */
export interface CopyTokensRequest {
  source: Tensor;
  target: Tensor;
  /** Token of target that the first one goes to. */
  first: number;
  count: number;
  /** u32 [batch, heads, count]: which tokens of source; default: its first `count`. One beyond the end reads the last. */
  tokens: Tensor | undefined;
}

/** Mean, minimum and maximum of the keys of blocks, channel by channel. */
export interface SummarizeRequest {
  key: Tensor; // [batch, heads, capacity, headDim]
  length: number; // tokens that are there
  block: number; // tokens a block
  firstBlock: number;
  endBlock: number;
  summaries: BlockSummaries;
}

/** f32 [batch, heads, blocks, headDim] each. */
export interface BlockSummaries {
  readonly mean: Tensor;
  readonly minimum: Tensor;
  readonly maximum: Tensor;
}

/** What no key of a block can exceed: Σ max(q · minimum, q · maximum) over channels. */
export interface BlockBoundsRequest {
  query: Tensor; // [batch, heads, queryTokens, headDim]
  summaries: BlockSummaries;
  /** Blocks that hold a key; the columns from there on are -Infinity. */
  filled: number;
  scale: number;
  /** `each` query head, or the sum over the `group` of heads that share a key head. */
  heads: 'each' | 'group';
}

/** What a device does for a cache. */
export interface CacheKernels {
  /** A tensor whose content is not set yet. */
  empty(shape: Shape, dtype: DType): Tensor;
  /** Copies one after the other. */
  copyTokens(requests: readonly CopyTokensRequest[]): Promise<void>;
  summarize(request: SummarizeRequest): Promise<void>;
  /** f32 [batch, heads or keyHeads, queryTokens, blocks] */
  blockBounds(request: BlockBoundsRequest): Promise<Tensor>;
}
