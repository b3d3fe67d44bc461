import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { storeVector } from './access.ts';
import { epilogueStages, finishedRows } from './epilogue.ts';
import { type ForwardOptions, forwardBindings, forwardConstants, forwardNumbers } from './forward-options.ts';
import { keyConstants, keyStages } from './keys.ts';
import { resolveKeys, resolveQueries, rowStages } from './rows.ts';
import { fetchRegisters, fetchStages } from './subgroup-fetch.ts';
import { scoreStages } from './subgroup-scores.ts';
import { registers, softmaxStages } from './subgroup-softmax.ts';
import type { SubgroupShape } from './subgroup-tile.ts';
import { spoiling } from './weights.ts';

/** Barriers that a shape needs beyond the two of every tile. */
const barriers = {
  none: '',
  needed: '    workgroupBarrier();\n',
};

const product = {
  plain: '    accumulate(lane);',
  spoilable: '    if (isSpoiled(generation)) { accumulateSpoiled(lane); } else { accumulate(lane); }',
};

/**
 * Softmax attention in f32 arithmetic, O = softmax(Q Kᵀ · scale) V, as the portable kernel, with three ideas more: rows
 * lie in workgroup memory whole, f16 as it is stored, so that a tile of keys takes two barriers; the next rows are on
 * their way from global memory while the present ones are multiplied; a row's maximum and sum pass from lane to lane.
 */
export function subgroupForward(options: ForwardOptions, shape: SubgroupShape): Kernel {
  const inTurns = barriers[shape.shared ? 'needed' : 'none'];
  const byMemory = barriers[shape.reductions === 'memory' ? 'needed' : 'none'];
  return assemble({
    name: 'softmax-forward-subgroup',
    enables: shape.reductions === 'lanes' ? ['subgroups'] : [],
    bindings: forwardBindings(options, { wide: true }),
    constants: {
      QUERY_TILE: shape.queryTile,
      KEY_TILE: shape.keyTile,
      KEYS: shape.keysPerThread,
      KEY_LANES: shape.keyLanes,
      ROW_LANES: shape.rowLanes,
      ABREAST: shape.abreast,
      THREADS: shape.threads,
      HEAD_UNITS: shape.headUnits,
      HEAD_STEPS: shape.headSteps,
      VALUE_UNITS: shape.valueUnits,
      VALUE_VECTORS: shape.valueVectors,
      QUERY_STRIDE: shape.stride.queries,
      KEY_STRIDE: shape.stride.keys,
      VALUE_STRIDE: shape.stride.values,
      WEIGHT_STRIDE: shape.stride.weights,
      ...forwardConstants,
      SIGN_BIT: 0x80000000,
    },
    memory: shape.memory,
    registers: `${registers(shape)}
${fetchRegisters(shape, options.storage)}
${forwardNumbers}`,
    stages: [
      keyConstants,
      storeVector('output', options.outputStorage, options.valueDim),
      rowStages(options),
      resolveQueries,
      resolveKeys,
      ...keyStages(options),
      spoiling[options.keep === undefined ? 'never' : 'noted'],
      ...fetchStages(options, shape),
      ...scoreStages(options, shape),
      ...epilogueStages(options),
      finishedRows,
      ...softmaxStages(options, shape),
    ],
    threads: shape.threads,
    memoryLimit: options.memoryLimit,
    main: wgsl`
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  resolveKeys(tile, 0u, count, 0u, lane);
  workgroupBarrier();
  loadQueries(tile, lane);
  fetchKeys(tile, 0u, 0u, lane);
  putKeys(tile, 0u, 0u, 0u, lane);
  workgroupBarrier();
  for (var start = 0u; start < count; start += KEY_TILE) {
    let generation = start / KEY_TILE + 1u;
    let half = ((start / KEY_TILE) % 2u) * KEY_TILE;
    let nextHalf = KEY_TILE - half;
    fetchValues(tile, half, 0u, lane);
    resolveKeys(tile, start + KEY_TILE, count, nextHalf, lane);
    scores(lane);
    finishScores(tile, start, half, lane);
    tellMaxima(lane);
${byMemory}    rescale(lane);
${inTurns}    putValues(tile, half, 0u, generation, lane);
    workgroupBarrier();
    fetchKeys(tile, nextHalf, 0u, lane);
${product[options.keep === undefined ? 'plain' : 'spoilable']}
${inTurns}    putKeys(tile, nextHalf, 0u, generation, lane);
    workgroupBarrier();
  }
  tellSums(lane);
${byMemory}  store(tile, lane);`,
  });
}
