import type { Gpu } from '../device/gpu.ts';
import { lazily } from '../lazy.ts';
import type { SelectionKernels } from './request.ts';

/** Selection on WebGPU. Its kernels load, all together, when the first of them is called: many pages only attend. */
export function selectionOnGpu(gpu: Gpu): SelectionKernels {
  const loaded = lazily(async () => (await import('./webgpu/every.ts')).everySelection(gpu));
  return {
    blockMean: async (request) => (await loaded()).blockMean(request),
    blockMoments: async (request) => (await loaded()).blockMoments(request),
    blockScores: async (request) => (await loaded()).blockScores(request),
    topK: async (request) => (await loaded()).topK(request),
    topP: async (request) => (await loaded()).topP(request),
    headThreshold: async (request) => (await loaded()).headThreshold(request),
    compact: async (request) => (await loaded()).compact(request),
    invertLists: async (request) => (await loaded()).invertLists(request),
    groupBySegment: async (request) => (await loaded()).groupBySegment(request),
    segmentMean: async (request) => (await loaded()).segmentMean(request),
    assignClusters: async (request) => (await loaded()).assignClusters(request),
    gatherRows: async (request) => (await loaded()).gatherRows(request),
    mergeSlots: async (request) => (await loaded()).mergeSlots(request),
  };
}
