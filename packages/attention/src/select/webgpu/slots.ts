import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { sizeOf } from '../../tensor.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import type { GatherRowsRequest, MergeSlotsRequest } from '../request.ts';
import { listStage, numberElement, numberOf, type Storage, THREADS } from './stages.ts';

/** Copies words: rows of f16 are whole words. */
const gatherKernel = assemble({
  name: 'gather-rows',
  bindings: {
    words: read('u32'), // [heads, tokens, width]
    ids: read('u32'), // [lists, slots]
    gathered: write('u32'), // [heads, slots, width]
    shape: uniform({
      elements: 'u32',
      tokens: 'u32',
      slots: 'u32',
      width: 'u32', // words of a row
      heads: 'u32',
      listBatches: 'u32',
      listHeads: 'u32',
    }),
  },
  constants: { THREADS },
  stages: [listStage],
  threads: THREADS,
  memoryLimit: 0,
  main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at >= shape.elements) { return; }
  let row = at / shape.width;
  let head = row / shape.slots;
  let token = ids[listOf(head) * shape.slots + row % shape.slots];
  var word = 0u;
  if (token < shape.tokens) { word = words[(head * shape.tokens + token) * shape.width + at % shape.width]; }
  gathered[at] = word;`,
});

export async function gatherRowsOnGpu(gpu: Gpu, { input, ids }: GatherRowsRequest): Promise<GpuTensor> {
  const [batch, heads, tokens, headDim] = input.shape;
  const [listBatches, listHeads, slots] = ids.shape;
  const gathered = gpu.empty([batch, heads, slots, headDim], input.dtype);
  const width = input.dtype === 'f16' ? headDim / 2 : headDim;
  const elements = batch * heads * slots * width;
  await gpu.launch(
    gatherKernel,
    {
      words: (input as GpuTensor).storage,
      ids: (ids as GpuTensor).storage,
      gathered: gathered.storage,
      shape: { elements, tokens, slots, width, heads, listBatches, listHeads },
    },
    Math.ceil(elements / THREADS),
  );
  return gathered;
}

/** L = log Σ exp L_s, O = Σ exp(L_s − L) O_s. A lane owns one channel of one token. */
const mergeKernel = kept((storage: Storage) =>
  assemble({
    name: 'merge-slots',
    bindings: {
      parts: read(numberElement[storage]), // [heads, slots, valueDim]
      partSums: read('u32'), // bits of f32 [heads, slots]
      rows: read('u32'), // [lists, tokens, 2]
      entries: read('u32'),
      output: write('f32'), // [heads, tokens, valueDim]
      logSumExp: write('u32'), // bits of f32 [heads, tokens]
      shape: uniform({
        elements: 'u32',
        tokens: 'u32',
        slots: 'u32',
        valueDim: 'u32',
        heads: 'u32',
        listBatches: 'u32',
        listHeads: 'u32',
      }),
    },
    constants: { THREADS, MINUS_INFINITY: 0xff800000 },
    stages: [numberOf[storage]('parts'), listStage],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at >= shape.elements) { return; }
  let row = at / shape.valueDim;
  let head = row / shape.tokens;
  let list = 2u * (listOf(head) * shape.tokens + row % shape.tokens);
  let end = rows[list] + rows[list + 1u];
  // -Infinity is known by its bits: a GPU may compute as if there were none
  var base = -1e30;
  for (var i = rows[list]; i < end; i++) {
    let bits = partSums[head * shape.slots + entries[i]];
    if (bits != MINUS_INFINITY) { base = max(base, bitcast<f32>(bits)); }
  }
  var total = 0.0;
  var number = 0.0;
  for (var i = rows[list]; i < end; i++) {
    let slot = head * shape.slots + entries[i];
    if (partSums[slot] != MINUS_INFINITY) {
      let weight = exp(bitcast<f32>(partSums[slot]) - base);
      total += weight;
      number += weight * partsNumber(slot * shape.valueDim + at % shape.valueDim);
    }
  }
  let isEmpty = total == 0.0;
  output[at] = select(number / total, 0.0, isEmpty);
  if (at % shape.valueDim == 0u) { logSumExp[row] = select(bitcast<u32>(base + log(total)), MINUS_INFINITY, isEmpty); }`,
  }),
);

export async function mergeSlotsOnGpu(gpu: Gpu, request: MergeSlotsRequest) {
  const { output: parts, logSumExp: partSums, slots } = request;
  const [batch, heads, slotCount, valueDim] = parts.shape;
  const { listBatches, listHeads } = slots;
  const tokens = slots.rows.shape[2];
  const output = gpu.empty([batch, heads, tokens, valueDim], 'f32');
  const logSumExp = gpu.empty([batch, heads, tokens], 'f32');
  const elements = sizeOf(output.shape);
  await gpu.launch(
    mergeKernel(parts.dtype as Storage),
    {
      parts: (parts as GpuTensor).storage,
      partSums: (partSums as GpuTensor).storage,
      rows: (slots.rows as GpuTensor).storage,
      entries: (slots.blocks as GpuTensor).storage,
      output: output.storage,
      logSumExp: logSumExp.storage,
      shape: { elements, tokens, slots: slotCount, valueDim, heads, listBatches, listHeads },
    },
    Math.ceil(elements / THREADS),
  );
  return { output, logSumExp };
}
