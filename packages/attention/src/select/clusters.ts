import { ArgumentError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { checkSameDevice, checkShapeIs, checkTensor } from './checks.ts';
import { groupBySegment } from './lists.ts';

/**
 * The cluster of each point: the centroid with the largest dot product (`dot`), or the least Euclidean distance
 * (`distance`, compared as ⟨x, c⟩ − |c|² / 2). Equal scores: the lower cluster; NaN counts as -Infinity.
 * @param points [batch, heads, tokens, headDim]
 * @param centroids [batch, heads, clusters, headDim], at least one
 * @returns u32 [batch, heads, tokens]
 * @throws ArgumentError if shapes do not fit
 */
export async function assignClusters(
  points: Tensor,
  centroids: Tensor,
  options: { by?: 'dot' | 'distance' } = {},
): Promise<Tensor> {
  checkClusters('assignClusters', points, centroids);
  return points.device.kernels.assignClusters({ points, centroids, by: options.by ?? 'distance' });
}

/**
 * One step of k-means after assignClusters: each centroid moves to the mean of its points, and stays where it has none.
 * Sums run in the order of the points: bit-equal over runs.
 * @param points [batch, heads, tokens, headDim]
 * @param clusters u32 [batch, heads, tokens], of assignClusters()
 * @param centroids [batch, heads, clusters, headDim], f32
 * @returns f32, of the centroids' shape
 * @throws ArgumentError if shapes do not fit
 */
export async function updateCentroids(points: Tensor, clusters: Tensor, centroids: Tensor): Promise<Tensor> {
  checkClusters('updateCentroids', points, centroids);
  checkTensor('updateCentroids', 'clusters', clusters, '[batch, heads, tokens]', 'u32');
  checkSameDevice('updateCentroids', 'clusters', clusters, points);
  checkShapeIs('updateCentroids', 'clusters', clusters, points.shape.slice(0, 3));
  if (centroids.dtype === 'f16')
    throw new ArgumentError('updateCentroids', 'centroids', 'of dtype f16', 'f32');
  const members = await groupBySegment(clusters, centroids.shape[2]);
  try {
    return await points.device.kernels.segmentMean({ input: points, members, empty: centroids });
  } finally {
    members.rows.dispose();
    members.blocks.dispose();
  }
}

function checkClusters(where: string, points: Tensor, centroids: Tensor): void {
  checkTensor(where, 'points', points, '[batch, heads, tokens, headDim]');
  checkTensor(where, 'centroids', centroids, '[batch, heads, clusters, headDim]');
  checkSameDevice(where, 'centroids', centroids, points);
  const [batch, heads, , headDim] = points.shape;
  checkShapeIs(where, 'centroids', centroids, [batch, heads, Math.max(centroids.shape[2], 1), headDim]);
}
