import type { BlockLayout } from '../plan.ts';
import type { Tensor } from '../tensor.ts';

export interface BlockMeanRequest {
  input: Tensor; // [batch, heads, tokens, headDim]
  layout: BlockLayout;
}

/** Of each block: the mean, and the mean of |x − mean|. */
export interface BlockMoments {
  mean: Tensor; // f32 [batch, heads, blocks, headDim]
  deviation: Tensor; // f32 [batch, heads, blocks, headDim]
}

export interface BlockScoresRequest {
  query: Tensor; // [batch, heads, queryBlocks, headDim]
  key: Tensor; // [batch, keyHeads, keyBlocks, headDim]
  scale: number;
  /** `each`: [batch, heads, queryBlocks, keyBlocks]; `sum` over heads: [batch, 1, queryBlocks, keyBlocks]. */
  heads: 'each' | 'sum';
  /** Columns beyond the row are -Infinity and cost nothing. */
  causal: boolean;
}

/** Which columns of a row of scores may be chosen, and which always are. */
export interface Candidates {
  /** Only columns up to the row's own are candidates. */
  causal: boolean;
  /** The first `sink` columns are always chosen. */
  sink: number;
  /** The row's own column and the `local - 1` before it are always chosen. */
  local: number;
  /** The own column of row r is floor((firstRow + r) / rowsPerColumn). */
  rowsPerColumn: number;
  firstRow: number;
}

export interface TopKRequest {
  scores: Tensor; // f32 [batch, heads, rows, columns]
  k: number;
  candidates: Candidates;
}

export interface TopPRequest {
  scores: Tensor; // f32 [batch, heads, rows, columns]
  /** In units of 2^-16. */
  share: number;
  atLeast: number;
  atMost: number;
  candidates: Candidates;
}

export interface HeadThresholdRequest {
  scores: Tensor; // f32 [batch, heads, rows, columns]
  /** Pairs of a head that are chosen, forced ones among them. */
  keep: number;
  candidates: Candidates;
}

export interface CompactRequest {
  mask: Tensor; // u32 [batch, heads, rows, columns]
}

export interface InvertListsRequest {
  lists: SelectedBlocks;
  columns: number;
}

export interface GroupBySegmentRequest {
  ids: Tensor; // u32 [batch, heads, tokens]
  segments: number;
}

export interface SegmentMeanRequest {
  input: Tensor; // [batch, heads, tokens, headDim]
  members: SelectedBlocks;
  /** Rows of segments without members; zeros if absent. */
  empty: Tensor | undefined; // f32 [batch, heads, segments, headDim]
}

export interface GatherRowsRequest {
  input: Tensor; // [batch, heads, tokens, headDim]
  ids: Tensor; // u32 [listBatches, listHeads, slots]
}

export interface MergeSlotsRequest {
  output: Tensor; // [batch, heads, slots, valueDim]
  logSumExp: Tensor; // [batch, heads, slots]
  slots: SelectedBlocks; // of each token
}

export interface AssignClustersRequest {
  points: Tensor; // [batch, heads, tokens, headDim]
  centroids: Tensor; // [batch, heads, clusters, headDim]
  by: 'dot' | 'distance';
}

/**
 * Lists on the device, as a plan wants them. Entries ascend within a row. Only the entries that a row names are part of
 * a list; what lies between them is left over.
 */
export interface SelectedBlocks {
  rows: Tensor; // u32 [batch, heads, queryBlocks, 2]: first entry, count
  blocks: Tensor; // u32
  listBatches: number;
  listHeads: number;
}

/** What a backend implements for selection. Same meaning everywhere; the reference says what is right. */
export interface SelectionKernels {
  blockMean(request: BlockMeanRequest): Promise<Tensor>;
  blockMoments(request: BlockMeanRequest): Promise<BlockMoments>;
  blockScores(request: BlockScoresRequest): Promise<Tensor>;
  topK(request: TopKRequest): Promise<SelectedBlocks>;
  topP(request: TopPRequest): Promise<SelectedBlocks>;
  headThreshold(request: HeadThresholdRequest): Promise<SelectedBlocks>;
  compact(request: CompactRequest): Promise<SelectedBlocks>;
  invertLists(request: InvertListsRequest): Promise<SelectedBlocks>;
  groupBySegment(request: GroupBySegmentRequest): Promise<SelectedBlocks>;
  segmentMean(request: SegmentMeanRequest): Promise<Tensor>;
  assignClusters(request: AssignClustersRequest): Promise<Tensor>;
  gatherRows(request: GatherRowsRequest): Promise<Tensor>;
  mergeSlots(request: MergeSlotsRequest): Promise<{ output: Tensor; logSumExp: Tensor }>;
}
