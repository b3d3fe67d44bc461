import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import type { AssignClustersRequest } from '../request.ts';
import { rankStage, type Storage, THREADS } from './stages.ts';
import {
  accumulateTile,
  loadTiles,
  type RowReading,
  rowsOf,
  TILE,
  tileConstants,
  tileMemory,
  tileRegisters,
  vectorOf,
} from './tile.ts';

/** What is taken off ⟨x, c⟩: nothing, or |c|² / 2, summed beside the products. */
const norms = {
  dot: 'fn addNorms(lane: u32) {}',
  distance: wgsl`
fn addNorms(lane: u32) {
  for (var d = 0u; d < DEPTH; d++) {
    for (var j = 0u; j < 4u; j++) {
      let center = rightTile[d * TILE + lane % 16u + 16u * j];
      halfNorms[j] += 0.5 * dot(center, center);
    }
  }
}`,
};

/** The cluster of the best score of each point: a workgroup owns 64 points and walks over the centroids, 64 at a time. */
const assignKernel = kept(
  ({ points, centroids, by }: { points: RowReading; centroids: RowReading; by: 'dot' | 'distance' }) =>
    assemble({
      name: 'assign-clusters',
      bindings: {
        points: rowsOf(points), // [heads, tokens, headDim]
        centroids: rowsOf(centroids), // [heads, clusters, headDim]
        ids: write('u32'), // [heads, tokens]
        shape: uniform({ tokens: 'u32', clusters: 'u32', tiles: 'u32', headDim: 'u32' }),
      },
      constants: tileConstants,
      memory: {
        ...tileMemory,
        ranks: { type: 'u32', length: TILE * 16 }, // 4 KiB
        best: { type: 'u32', length: TILE * 16 }, // 4 KiB
      },
      registers: `${tileRegisters}
var<private> halfNorms: vec4<f32>;
var<private> myRanks: vec4<u32>;
var<private> myBest: vec4<u32>;`,
      stages: [
        vectorOf('points', points),
        vectorOf('centroids', centroids),
        loadTiles('points', 'centroids'),
        accumulateTile,
        rankStage,
        norms[by],
        wgsl`
// Columns come in ascending order: a later equal never displaces an earlier one.
fn keepBest(lane: u32, firstCluster: u32) {
  for (var j = 0u; j < 4u; j++) {
    let cluster = firstCluster + lane % 16u + 16u * j;
    for (var i = 0u; i < 4u; i++) {
      let rank = rankOf(bitcast<u32>(sums[i][j] - halfNorms[j]));
      if (cluster < shape.clusters && rank > myRanks[i]) {
        myRanks[i] = rank;
        myBest[i] = cluster;
      }
    }
  }
}`,
      ],
      threads: THREADS,
      memoryLimit: 16_384,
      main: wgsl`
  let head = workgroup / shape.tiles;
  let firstToken = workgroup % shape.tiles * TILE;
  let x = head * shape.tokens;
  let c = head * shape.clusters;
  for (var first = 0u; first < shape.clusters; first += TILE) {
    sums = array<vec4<f32>, 4>();
    halfNorms = vec4<f32>();
    for (var chunk = 0u; chunk * 4u * DEPTH < shape.headDim; chunk++) {
      loadTiles(lane, chunk, x + firstToken, x + shape.tokens, c + first, c + shape.clusters);
      workgroupBarrier();
      accumulateTile(lane);
      addNorms(lane);
      workgroupBarrier();
    }
    keepBest(lane, first);
  }
  for (var i = 0u; i < 4u; i++) {
    let at = (lane / 16u + 16u * i) * 16u + lane % 16u;
    ranks[at] = myRanks[i];
    best[at] = myBest[i];
  }
  workgroupBarrier();
  if (lane < TILE && firstToken + lane < shape.tokens) {
    var rank = 0u;
    var cluster = 0u;
    for (var i = lane * 16u; i < lane * 16u + 16u; i++) {
      if (ranks[i] > rank || (ranks[i] == rank && best[i] < cluster)) {
        rank = ranks[i];
        cluster = best[i];
      }
    }
    ids[x + firstToken + lane] = cluster;
  }`,
    }),
);

export async function assignClustersOnGpu(gpu: Gpu, request: AssignClustersRequest): Promise<GpuTensor> {
  const [batch, heads, tokens, headDim] = request.points.shape;
  const clusters = request.centroids.shape[2];
  const ids = gpu.empty([batch, heads, tokens], 'u32');
  const [points, centroids] = [request.points as GpuTensor, request.centroids as GpuTensor];
  const tiles = Math.ceil(tokens / TILE);
  const whole = headDim % 4 === 0;
  await gpu.launch(
    assignKernel({
      points: { storage: points.dtype as Storage, whole },
      centroids: { storage: centroids.dtype as Storage, whole },
      by: request.by,
    }),
    {
      points: points.storage,
      centroids: centroids.storage,
      ids: ids.storage,
      shape: { tokens, clusters, tiles, headDim },
    },
    batch * heads * tiles,
  );
  return ids;
}
