export { attendCached, type CacheOptions, type KeptTokens, KeyValueCache } from './cache/cache.ts';
export type { BlockSummaries } from './cache/request.ts';
export type { Device, DeviceKind, Kernels, Memory, Tier } from './device/device.ts';
export { type OpenOptions, openDevice } from './device/open.ts';
export { ArgumentError, DeviceError, throwIfAborted } from './errors.ts';
export { type HostPlan, resolvePlan } from './host-plan.ts';
export {
  firstNonFinite,
  type NamedTensor,
  readSafetensors,
  type SafetensorsDType,
  writeSafetensors,
} from './interop/safetensors.ts';
export { bitMask } from './mods/bit-mask.ts';
export {
  BoolExpression,
  constantInt,
  FloatExpression,
  IntExpression,
  type MaskFunction,
  type Positions,
  type ScoreFunction,
  type TableHandle,
  table,
} from './mods/expression.ts';
export {
  type BlockLayout,
  blockListPlan,
  densePlan,
  FULL_BLOCK,
  type KeyRule,
  type ListedBlock,
  NO_TOKEN,
  type Order,
  type Plan,
  queryBlocks,
  selectedPlan,
} from './plan.ts';
export {
  bandPlan,
  type GatheredQueriesSpec,
  gatheredKeysPlan,
  gatheredQueriesPlan,
  type Interval,
  intervalPlan,
  type PlanSpec,
  prefixPlan,
} from './plans.ts';
export { blockMean, blockMoments, blockScores } from './select/blocks.ts';
export type { CandidateOptions } from './select/candidates.ts';
export { assignClusters, updateCentroids } from './select/clusters.ts';
export { compact, groupBySegment, invertLists, segmentMean } from './select/lists.ts';
export type { BlockMoments, SelectedBlocks } from './select/request.ts';
export { gatherRows, mergeSlots } from './select/slots.ts';
export { headThreshold, topK, topP } from './select/top.ts';
export { type AttendOptions, attend, checkAttend } from './softmax/attend.ts';
export { attendBackward, type BackwardOptions, checkBackward } from './softmax/backward.ts';
export { attendGradientsReference } from './softmax/backward-reference.ts';
export { type AttentionCost, type AttentionRow, attentionCost, attentionRows } from './softmax/inspect.ts';
export { mergeAttention } from './softmax/merge.ts';
export type { AttendGradients, AttendRequest, AttendResult, BackwardRequest } from './softmax/request.ts';
export { bytesPerElement, type DType, type NumberArray, type Shape, sizeOf, type Tensor } from './tensor.ts';
