import type { WasmRuntime } from '../device/wasm-runtime.ts';
import type { SelectionKernels } from './request.ts';
import { assignClustersOnWasm, blockMomentsOnWasm, blockScoresOnWasm } from './wasm-blocks.ts';
import {
  compactOnWasm,
  gatherRowsOnWasm,
  groupBySegmentOnWasm,
  invertListsOnWasm,
  mergeSlotsOnWasm,
  segmentMeanOnWasm,
} from './wasm-lists.ts';
import { headThresholdOnWasm, topKOnWasm, topPOnWasm } from './wasm-top.ts';

/** Selection on the WASM device's memory, by typed arrays. Sums are float64, as in the reference. */
export function selectionOnWasm(runtime: WasmRuntime): SelectionKernels {
  return {
    blockMean: async (request) => blockMomentsOnWasm(runtime, request, { deviation: false }).mean,
    blockMoments: async (request) => blockMomentsOnWasm(runtime, request, { deviation: true }),
    blockScores: async (request) => blockScoresOnWasm(runtime, request),
    topK: async (request) => topKOnWasm(runtime, request),
    topP: async (request) => topPOnWasm(runtime, request),
    headThreshold: async (request) => headThresholdOnWasm(runtime, request),
    compact: async (request) => compactOnWasm(runtime, request),
    invertLists: async (request) => invertListsOnWasm(runtime, request),
    groupBySegment: async (request) => groupBySegmentOnWasm(runtime, request),
    segmentMean: async (request) => segmentMeanOnWasm(runtime, request),
    assignClusters: async (request) => assignClustersOnWasm(runtime, request),
    gatherRows: async (request) => gatherRowsOnWasm(runtime, request),
    mergeSlots: async (request) => mergeSlotsOnWasm(runtime, request),
  };
}
