import type { DType, NumberArray, Shape, Tensor } from '../tensor.ts';
import { assignClustersReference, blockMomentsReference, blockScoresReference } from './reference-blocks.ts';
import {
  compactReference,
  gatherRowsReference,
  groupBySegmentReference,
  invertListsReference,
  mergeSlotsReference,
  segmentMeanReference,
} from './reference-lists.ts';
import { type HostLists, headThresholdReference, topKReference, topPReference } from './reference-top.ts';
import type { SelectedBlocks, SelectionKernels } from './request.ts';

/** Selection by plain loops. `make` gives a tensor on the device: by default float64, or u32 for a Uint32Array. */
export function selectionOnReference(
  make: (data: NumberArray, shape: Shape, dtype?: DType) => Tensor,
): SelectionKernels {
  const tensor = ({ data, shape }: { data: NumberArray; shape: Shape }) => make(data, shape);
  const lists = ({ rows, blocks }: HostLists, [listBatches, listHeads, rowCount]: Shape): SelectedBlocks => ({
    rows: make(rows, [listBatches, listHeads, rowCount, 2]),
    blocks: make(blocks, [blocks.length]),
    listBatches,
    listHeads,
  });
  return {
    blockMean: async (request) => tensor((await blockMomentsReference(request)).mean),
    blockMoments: async (request) => {
      const { mean, deviation } = await blockMomentsReference(request);
      return { mean: tensor(mean), deviation: tensor(deviation) };
    },
    blockScores: async (request) => tensor(await blockScoresReference(request)),
    topK: async (request) => lists(await topKReference(request), request.scores.shape),
    topP: async (request) => lists(await topPReference(request), request.scores.shape),
    headThreshold: async (request) => lists(await headThresholdReference(request), request.scores.shape),
    compact: async (request) => lists(await compactReference(request), request.mask.shape),
    invertLists: async (request) =>
      lists(await invertListsReference(request), [
        request.lists.listBatches,
        request.lists.listHeads,
        request.columns,
      ]),
    groupBySegment: async (request) => {
      const [batch, heads] = request.ids.shape;
      return lists(await groupBySegmentReference(request), [batch, heads, request.segments]);
    },
    segmentMean: async (request) => tensor(await segmentMeanReference(request)),
    assignClusters: async (request) => tensor(await assignClustersReference(request)),
    gatherRows: async (request) => {
      const { data, shape } = await gatherRowsReference(request);
      return make(data, shape, request.input.dtype);
    },
    mergeSlots: async (request) => {
      const { output, logSumExp } = await mergeSlotsReference(request);
      return { output: tensor(output), logSumExp: tensor(logSumExp) };
    },
  };
}
