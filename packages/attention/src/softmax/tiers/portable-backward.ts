import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { kept } from '../../wgsl/kept.ts';
import { readVector, storeVector } from './access.ts';
import { type BackwardKernelOptions, backwardBindings, namesParts, sides } from './backward-options.ts';
import { keyConstants, keyStages } from './keys.ts';
import {
  accumulate,
  capital,
  loads,
  products,
  put,
  registers,
  startTile,
  store,
} from './portable-backward-products.ts';
import type { Channels, Side } from './portable-backward-tile.ts';
import {
  pairArguments,
  rowStatistics,
  scoreGradients,
  weighChanged,
  weighPair,
  weighPlain,
} from './portable-backward-weights.ts';
import { gatherStages } from './portable-table-gradients.ts';
import { resolveVisits, visitStages } from './portable-visits.ts';
import { queryInOrder, resolveKeys, resolveQueries, rowStages } from './rows.ts';

/** S = Q Kᵀ and dP = dO Vᵀ of a tile, then P and, on two of the sides, dS. */
const tileOfPairs = ({ side, tile }: BackwardKernelOptions) => {
  const { own, other } = sides[side];
  const over = (i: 0 | 1, chunks: number, stage: string) => wgsl`
    for (var chunk = 0u; chunk < ${chunks}u; chunk++) {
      load${capital(own[i])}(tile, chunk, lane);
      load${capital(other[i])}(tile, chunk, lane);
      workgroupBarrier();
      ${stage}(lane);
      workgroupBarrier();
    }`;
  return {
    scores: over(0, tile.head.chunks, 'scores'),
    weights: over(1, tile.value.chunks, 'weightProducts'),
  };
};

const gradientOver = (matrix: string, name: string, columnTile: number, { stage }: Channels) => wgsl`
    for (var chunk = 0u; chunk < ${columnTile / stage}u; chunk++) {
      stage${capital(matrix)}(tile, chunk, lane);
      workgroupBarrier();
      ${name}(chunk, lane);
      workgroupBarrier();
    }`;

const mains: Record<Side, (options: BackwardKernelOptions) => string> = {
  queries: (options) => {
    const { scores, weights } = tileOfPairs(options);
    const { columnTile, head } = options.tile;
    return wgsl`
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  workgroupBarrier();
  loadStatistics(tile, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    resolveKeys(tile, start, count, 0u, lane);
    startTile();
    workgroupBarrier();
${scores}
    weigh(tile, start, lane);
${weights}
    scoreGradients(lane);
    putScoreGradients(lane);
${gradientOver('key', 'accumulateKeys', columnTile, head)}
  }
  store(tile, lane);`;
  },
  keys: (options) => {
    const { scores, weights } = tileOfPairs(options);
    const { columnTile, head, value } = options.tile;
    return wgsl`
  var tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  resolveKeys(tile, lane);
  for (var member = 0u; member < shape.heads / shape.keyHeads; member++) {
    tile = withHead(tile, member);
    let count = queryCount(tile);
    for (var start = firstQuery(tile); start < count; start += QUERY_TILE) {
    resolveQueries(tile, start, count, lane);
    startTile();
    workgroupBarrier();
${scores}
    weigh(tile, start, lane);
${weights}
    scoreGradients(lane);
    putWeights(lane);
${gradientOver('outputGradient', 'accumulateGradients', columnTile, value)}
    putScoreGradients(lane);
${gradientOver('query', 'accumulateQueries', columnTile, head)}
    }
  }
  store(tile, lane);`;
  },
  tables: (options) => {
    const { scores, weights } = tileOfPairs(options);
    return wgsl`
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  workgroupBarrier();
  loadStatistics(tile, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    resolveKeys(tile, start, count, 0u, lane);
    startTile();
    workgroupBarrier();
${scores}
${weights}
    gather(tile, start, lane);
    workgroupBarrier();
  }
  flushAll();`;
  },
};

/**
 * One side of softmax attention's gradients in plain f32. From the queries' side a workgroup owns query rows and walks
 * the keys they see (dQ = scale dS K); from the keys' side it owns key rows and walks the queries that see them
 * (dV = Pᵀ dO, dK = scale dSᵀ Q), so that nothing is ever added by two workgroups. Scores are made again from Q and K;
 * with the log-sum-exp known P needs no running maximum. Threads divide rows and columns as in the forward pass.
 */
export const portableBackward = kept((options: BackwardKernelOptions): Kernel => {
  const { side, tile, storage, headDim, valueDim, keys } = options;
  const { rowTile, columnTile } = tile;
  const partly = side === 'keys' && namesParts(keys);
  const changed =
    partly || options.keep !== undefined || options.change !== undefined || options.slope !== undefined;
  const expressions = [
    ...options.tableStages,
    ...[options.keep, options.change, side === 'tables' ? undefined : options.slope].filter(
      (text) => text !== undefined,
    ),
  ];
  return assemble({
    name: `softmax-backward-portable-${side}`,
    bindings: backwardBindings(options),
    constants: {
      QUERY_TILE: side === 'keys' ? columnTile : rowTile,
      KEY_TILE: side === 'keys' ? rowTile : columnTile,
      ROWS: tile.rowsPerThread,
      COLUMN_LANES: tile.columnLanes,
      ROW_LANES: tile.rowLanes,
      THREADS: tile.threads,
      CHUNK: tile.chunk,
      COLUMNS_AT: rowTile * (tile.chunk + 1),
      NO_TOKEN: 0xffffffff,
      BY_SLOT: Number(options.bySlot),
    },
    memory: tile.memory,
    registers: `const LOG2_E = 1.4426950408889634;
// A row that sees no key has this for a sum, so that its weights are 0; sums and scores from here on are never real.
const UNSEEN = 1e30;
const HIDDEN = -1e29;
${registers(options)}`,
    stages: [
      keyConstants,
      readVector('query', storage, headDim),
      readVector('key', storage, headDim),
      readVector('value', storage, valueDim),
      readVector('outputGradient', options.gradientStorage, valueDim),
      ...(side === 'queries' ? [storeVector('queryGradient', 'f32', headDim)] : []),
      ...(side === 'keys'
        ? [storeVector('keyGradient', 'f32', headDim), storeVector('valueGradient', 'f32', valueDim)]
        : []),
      ...(side === 'keys'
        ? [
            queryInOrder(options),
            ...visitStages({
              keys,
              lists: options.lists,
              unitOrder: options.keyOrder,
              startLate: options.causalTiles,
            }),
            resolveVisits,
          ]
        : [
            rowStages({ ...options, stopEarly: options.causalTiles }),
            resolveQueries,
            resolveKeys,
            ...keyStages({ ...options, stopEarly: options.causalTiles }),
            rowStatistics(tile),
          ]),
      loads(options),
      products('scores', 's', tile),
      products('weightProducts', 'd', tile),
      startTile(tile),
      ...expressions,
      ...(side === 'tables'
        ? [weighPair(options), ...gatherStages(options, pairArguments)]
        : [
            ...(changed ? [weighPair(options), weighChanged(options)] : [weighPlain(options)]),
            scoreGradients(options),
            put('putScoreGradients', 'd', tile),
          ]),
      ...(side === 'queries' ? [accumulate('accumulateKeys', 'a', tile, tile.head)] : []),
      ...(side === 'keys'
        ? [
            put('putWeights', 's', tile),
            accumulate('accumulateGradients', 'b', tile, tile.value),
            accumulate('accumulateQueries', 'a', tile, tile.head),
          ]
        : []),
      ...(side === 'tables' ? [] : [store[side](tile)]),
    ],
    threads: tile.threads,
    memoryLimit: options.memoryLimit,
    main: mains[side](options),
  });
});
