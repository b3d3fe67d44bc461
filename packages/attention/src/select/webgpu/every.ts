import type { Gpu } from '../../device/gpu.ts';
import type { SelectionKernels } from '../request.ts';
import { assignClustersOnGpu } from './assign.ts';
import { compactOnGpu } from './compact.ts';
import { groupBySegmentOnGpu, invertListsOnGpu } from './invert.ts';
import { blockMomentsOnGpu, segmentMeanOnGpu } from './mean.ts';
import { topKOnGpu, topPOnGpu } from './row-top.ts';
import { blockScoresOnGpu } from './scores.ts';
import { headThresholdOnGpu } from './segments.ts';
import { gatherRowsOnGpu, mergeSlotsOnGpu } from './slots.ts';

/** Selection on WebGPU, all of it. Nothing visits the host. */
export function everySelection(gpu: Gpu): SelectionKernels {
  return {
    blockMean: async (request) => (await blockMomentsOnGpu(gpu, request, { deviation: false })).mean,
    blockMoments: (request) => blockMomentsOnGpu(gpu, request, { deviation: true }),
    blockScores: (request) => blockScoresOnGpu(gpu, request),
    topK: (request) => topKOnGpu(gpu, request),
    topP: (request) => topPOnGpu(gpu, request),
    headThreshold: (request) => headThresholdOnGpu(gpu, request),
    compact: (request) => compactOnGpu(gpu, request),
    invertLists: (request) => invertListsOnGpu(gpu, request),
    groupBySegment: (request) => groupBySegmentOnGpu(gpu, request),
    segmentMean: (request) => segmentMeanOnGpu(gpu, request),
    assignClusters: (request) => assignClustersOnGpu(gpu, request),
    gatherRows: (request) => gatherRowsOnGpu(gpu, request),
    mergeSlots: (request) => mergeSlotsOnGpu(gpu, request),
  };
}
