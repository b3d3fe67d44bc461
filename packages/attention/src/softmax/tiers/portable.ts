import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { readVector, storeVector } from './access.ts';
import { epilogueStages, finishedRows } from './epilogue.ts';
import {
  type ForwardOptions,
  forwardBindings,
  forwardConstants,
  forwardNumbers,
  hasExpressions,
} from './forward-options.ts';
import { keyConstants, keyStages } from './keys.ts';
import { pairStages } from './pairs.ts';
import { fetchRegisters, loadStages } from './portable-loads.ts';
import { finishChanged, finishPlain, scores } from './portable-scores.ts';
import { accumulate, accumulateSpoiled, rescale, rowMaxima, rowSums, store } from './portable-softmax.ts';
import type { TileShape } from './portable-tile.ts';
import { resolveKeys, resolveQueries, rowStages } from './rows.ts';
import { each } from './text.ts';
import { spoiling, weights } from './weights.ts';

/** Everything that changes the kernel's text. */
export interface PortableOptions extends ForwardOptions {
  tile: TileShape;
}

/** Per thread: scores s, running base m, own part of the sum l, and output o of each of its rows. */
const registers = ({ rowsPerThread, columns }: TileShape) =>
  each(
    rowsPerThread,
    (r) => `var<private> s${r}: vec4<f32>;
var<private> m${r} = -1e30;
var<private> l${r} = 0.0;
${each(columns, (c) => `var<private> o${r}_${c}: vec4<f32>;`)}`,
  );

/**
 * Softmax attention in plain f32, O = softmax(Q Kᵀ · scale) V, online over key tiles (Dao et al. 2022, algorithm 1).
 * Each thread keeps a few rows by four keys of the scores, and its share of those rows' outputs, in registers;
 * queries, keys and values pass through workgroup memory in chunks.
 */
export function portableForward(options: PortableOptions): Kernel {
  const { tile, storage, headDim, valueDim } = options;
  return assemble({
    name: 'softmax-forward-portable',
    bindings: forwardBindings(options),
    constants: {
      QUERY_TILE: tile.queryTile,
      KEY_TILE: tile.keyTile,
      ROWS: tile.rowsPerThread,
      KEY_LANES: tile.keyLanes,
      ROW_LANES: tile.rowLanes,
      ABREAST: tile.abreast,
      THREADS: tile.threads,
      CHUNK: tile.chunk,
      HEAD_VECTORS: tile.headVectors,
      HEAD_CHUNKS: tile.headChunks,
      VALUE_VECTORS: tile.valueVectors,
      VALUE_STRIDE: tile.columns * tile.keyLanes,
      VALUE_CHUNK: tile.valueChunk,
      VALUE_CHUNKS: tile.keyTile / tile.valueChunk,
      ...forwardConstants,
    },
    memory: tile.memory,
    registers: `${registers(tile)}
${fetchRegisters(tile)}
${forwardNumbers}`,
    stages: [
      keyConstants,
      readVector('query', storage, headDim),
      readVector('key', storage, headDim),
      readVector('value', storage, valueDim),
      storeVector('output', options.outputStorage, valueDim),
      rowStages(options),
      resolveQueries,
      resolveKeys,
      ...keyStages(options),
      spoiling[options.keep === undefined ? 'never' : 'noted'],
      ...loadStages(tile),
      scores(tile),
      ...options.tableStages,
      ...(hasExpressions(options) ? [...pairStages(options), finishChanged(tile)] : [finishPlain(tile)]),
      rowMaxima,
      weights({ negative: false }),
      rescale(tile),
      accumulate(tile),
      accumulateSpoiled(tile),
      ...epilogueStages(options),
      rowSums(tile),
      finishedRows,
      store(tile),
    ],
    threads: tile.threads,
    memoryLimit: options.memoryLimit,
    main: wgsl`
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  resolveKeys(tile, 0u, count, 0u, lane);
  workgroupBarrier();
  fetchQueries(tile, 0u, 0u, lane);
  if (HEAD_CHUNKS == 1u) { putQueries(tile, 0u, 0u, 0u, lane); }
  fetchKeys(tile, 0u, 0u, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    let half = ((start / KEY_TILE) % 2u) * KEY_TILE;
    let nextHalf = KEY_TILE - half;
    resolveKeys(tile, start + KEY_TILE, count, nextHalf, lane);
    for (var chunk = 0u; chunk < HEAD_CHUNKS; chunk++) {
      if (HEAD_CHUNKS > 1u) { putQueries(tile, half, chunk, 0u, lane); }
      putKeys(tile, half, chunk, 0u, lane);
      workgroupBarrier();
      if (chunk + 1u < HEAD_CHUNKS) {
        fetchQueries(tile, half, chunk + 1u, lane);
        fetchKeys(tile, half, chunk + 1u, lane);
      } else {
        fetchValues(tile, half, 0u, lane);
      }
      scores(lane);
      workgroupBarrier();
    }
    finishScores(tile, start, half, lane);
    workgroupBarrier();
    rescale(lane);
    for (var chunk = 0u; chunk < VALUE_CHUNKS; chunk++) {
      let generation = (start / KEY_TILE) * VALUE_CHUNKS + chunk + 1u;
      putValues(tile, half, chunk, generation, lane);
      workgroupBarrier();
      if (chunk + 1u < VALUE_CHUNKS) {
        fetchValues(tile, half, chunk + 1u, lane);
      } else {
        if (HEAD_CHUNKS > 1u) { fetchQueries(tile, nextHalf, 0u, lane); }
        fetchKeys(tile, nextHalf, 0u, lane);
      }
      if (isSpoiled(generation)) { accumulateSpoiled(chunk, lane); } else { accumulate(chunk, lane); }
      workgroupBarrier();
    }
  }
  tellSums(lane);
  workgroupBarrier();
  store(tile, lane);`,
  });
}
