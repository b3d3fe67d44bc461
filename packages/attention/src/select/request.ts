import type { BlockLayout } from '../plan.ts';
import type { Tensor } from '../tensor.ts';

export interface BlockMeanRequest {
  input: Tensor; // [batch, heads, tokens, headDim]
  layout: BlockLayout;
}

export interface BlockScoresRequest {
  query: Tensor; // [batch, heads, queryBlocks, headDim]
  key: Tensor; // [batch, keyHeads, keyBlocks, headDim]
  scale: number;
  /** `each`: [batch, heads, queryBlocks, keyBlocks]; `sum` over heads: [batch, 1, queryBlocks, keyBlocks]. */
  heads: 'each' | 'sum';
}

export interface TopKRequest {
  scores: Tensor; // [batch, heads, queryBlocks, keyBlocks], f32
  k: number;
  /** Only columns <= row are candidates. */
  causal: boolean;
  /** The column equal to the row is always chosen (and counts towards k). */
  forceOwn: boolean;
}

/** Block lists on the device, as a plan wants them. Entries ascend within a row. */
export interface SelectedBlocks {
  rows: Tensor; // u32 [batch, heads, queryBlocks, 2]: first entry, count
  blocks: Tensor; // u32
  listBatches: number;
  listHeads: number;
}
