import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import type { BlockScoresRequest } from '../request.ts';
import { type Storage, THREADS } from './stages.ts';
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

/** scale · Σ over heads (one, or all) of ⟨query[i], key[j]⟩: a workgroup owns a tile of 64 x 64 pairs. */
const scoresKernel = kept(({ query, key }: { query: RowReading; key: RowReading }) =>
  assemble({
    name: 'block-scores',
    bindings: {
      query: rowsOf(query), // [batch, heads, rows, headDim]
      key: rowsOf(key), // [batch, keyHeads, columns, headDim]
      scores: write('u32'), // bits of f32 [batch, heads / summed, rows, columns]
      shape: uniform({
        heads: 'u32',
        keyHeads: 'u32',
        summed: 'u32', // heads that one score adds up
        rows: 'u32',
        columns: 'u32',
        rowTiles: 'u32',
        columnTiles: 'u32',
        headDim: 'u32',
        causal: 'u32',
        scale: 'f32',
      }),
    },
    constants: { ...tileConstants, MINUS_INFINITY: 0xff800000 },
    memory: tileMemory,
    registers: tileRegisters,
    stages: [vectorOf('query', query), vectorOf('key', key), loadTiles('query', 'key'), accumulateTile],
    threads: THREADS,
    memoryLimit: 16_384,
    main: wgsl`
  let firstColumn = workgroup % shape.columnTiles * TILE;
  let firstRow = workgroup / shape.columnTiles % shape.rowTiles * TILE;
  let out = workgroup / shape.columnTiles / shape.rowTiles;
  let isBlank = shape.causal == 1u && firstColumn >= firstRow + TILE;  // wholly above the diagonal
  if (!isBlank) {
    for (var h = out * shape.summed; h < (out + 1u) * shape.summed; h++) {  // head among batch x heads
      let keyHead = h / shape.heads * shape.keyHeads + h % shape.heads / (shape.heads / shape.keyHeads);
      let q = h * shape.rows;
      let k = keyHead * shape.columns;
      for (var chunk = 0u; chunk * 4u * DEPTH < shape.headDim; chunk++) {
        loadTiles(lane, chunk, q + firstRow, q + shape.rows, k + firstColumn, k + shape.columns);
        workgroupBarrier();
        accumulateTile(lane);
        workgroupBarrier();
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    let row = firstRow + lane / 16u + 16u * i;
    for (var j = 0u; j < 4u; j++) {
      let column = firstColumn + lane % 16u + 16u * j;
      if (row < shape.rows && column < shape.columns) {
        let isMasked = shape.causal == 1u && column > row;
        scores[(out * shape.rows + row) * shape.columns + column] =
          select(bitcast<u32>(sums[i][j] * shape.scale), MINUS_INFINITY, isMasked);
      }
    }
  }`,
  }),
);

export async function blockScoresOnGpu(gpu: Gpu, request: BlockScoresRequest): Promise<GpuTensor> {
  const [batch, heads, rows, headDim] = request.query.shape;
  const [, keyHeads, columns] = request.key.shape;
  const summed = request.heads === 'sum' ? heads : 1;
  const outHeads = request.heads === 'sum' ? 1 : heads;
  const scores = gpu.empty([batch, outHeads, rows, columns], 'f32');
  const [query, key] = [request.query as GpuTensor, request.key as GpuTensor];
  const [rowTiles, columnTiles] = [Math.ceil(rows / TILE), Math.ceil(columns / TILE)];
  const whole = headDim % 4 === 0;
  await gpu.launch(
    scoresKernel({
      query: { storage: query.dtype as Storage, whole },
      key: { storage: key.dtype as Storage, whole },
    }),
    {
      query: query.storage,
      key: key.storage,
      scores: scores.storage,
      shape: {
        heads,
        keyHeads,
        summed,
        rows,
        columns,
        rowTiles,
        columnTiles,
        headDim,
        causal: Number(request.causal),
        scale: request.scale,
      },
    },
    batch * outHeads * rowTiles * columnTiles,
  );
  return scores;
}
