import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import { readNumber, readVector, rowBinding, type Storage } from './access.ts';

/** What the backward pass needs of each row before it starts. */
export interface RowStatisticsOptions {
  valueDim: number;
  output: Storage;
  outputGradient: Storage;
  logSumExp: Storage;
  logSumExpGradient: Storage | 'none';
}

const numbersOf = (storage: Storage) => read(storage === 'f16' ? 'u32' : 'f32');

/** (L log₂e, rowsum(dO ∘ O) − dL) of four rows a workgroup, sixteen threads a row; rows that see no key get the sum 1e30. */
export const rowStatistics = kept((options: RowStatisticsOptions): Kernel => {
  const { valueDim, output, outputGradient, logSumExp, logSumExpGradient } = options;
  const given = logSumExpGradient !== 'none';
  return assemble({
    name: 'softmax-backward-rows',
    bindings: {
      output: rowBinding(output, valueDim), // [rows, valueDim]
      outputGradient: rowBinding(outputGradient, valueDim),
      logSumExp: numbersOf(logSumExp), // [rows]
      ...(given && { logSumExpGradient: numbersOf(logSumExpGradient) }),
      rowStats: write('vec2<f32>'),
      shape: uniform({ rows: 'u32' }),
    },
    constants: { MINUS_INFINITY: 0xff800000, VECTORS: Math.ceil(valueDim / 4) },
    memory: { parts: { type: 'f32', length: 64 } },
    stages: [
      readVector('output', output, valueDim),
      readVector('outputGradient', outputGradient, valueDim),
      readNumber('logSumExp', logSumExp),
      given
        ? readNumber('logSumExpGradient', logSumExpGradient)
        : 'fn logSumExpGradientNumber(at: u32) -> f32 { return 0.0; }',
    ],
    threads: 64,
    memoryLimit: 256,
    main: wgsl`
  let row = workgroup * 4u + lane / 16u;
  var part = 0.0;
  if (row < shape.rows) {
    for (var d = lane % 16u; d < VECTORS; d += 16u) {
      part += dot(outputVector(row, d), outputGradientVector(row, d));
    }
  }
  parts[lane] = part;
  workgroupBarrier();
  if (lane % 16u != 0u || row >= shape.rows) { return; }
  var mean = 0.0;
  for (var i = 0u; i < 16u; i++) { mean += parts[lane + i]; }
  let sum = logSumExpNumber(row);
  let empty = bitcast<u32>(sum) == MINUS_INFINITY;
  rowStats[row] = vec2<f32>(
    select(sum * 1.4426950408889634, 1e30, empty),
    select(mean - logSumExpGradientNumber(row), 0.0, empty),
  );`,
  });
});

/** Gradients stored by key slot become those of tokens: the slots of each token in order, so the sums are always the same. */
export const sumSlots = assemble({
  name: 'softmax-backward-slots',
  bindings: {
    bySlot: read('f32'), // [batch, keyHeads, slots, channels]
    slotsOf: read('u32'), // [tokens + 1] starts, then slots
    gradient: write('f32'), // [batch, keyHeads, stride, channels]; rows beyond the tokens become 0
    shape: uniform({ size: 'u32', channels: 'u32', tokens: 'u32', stride: 'u32', slots: 'u32' }),
  },
  constants: {},
  stages: [],
  threads: 64,
  memoryLimit: 0,
  main: wgsl`
  let at = workgroup * 64u + lane;
  if (at >= shape.size) { return; }
  let row = at / shape.channels;
  let token = row % shape.stride;
  let firstRow = (row / shape.stride) * shape.slots;
  var sum = 0.0;
  for (var i = slotsOf[min(token, shape.tokens)]; i < slotsOf[min(token + 1u, shape.tokens)]; i++) {
    sum += bySlot[(firstRow + slotsOf[shape.tokens + 1u + i]) * shape.channels + at % shape.channels];
  }
  gradient[at] = sum;`,
});
