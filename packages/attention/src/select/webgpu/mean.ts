import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { sizeOf } from '../../tensor.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import type { BlockMeanRequest, SegmentMeanRequest } from '../request.ts';
import { listStage, madeOnce, numberElement, numberOf, type Storage } from './stages.ts';

const CHANNELS = 32;
const SLICES = 8;

/** Which tokens a block has: the slots of a layout, in order or as an order says, or a list of a selection. */
const members = {
  slots: wgsl`
fn slotsOf(row: u32) -> vec2<u32> {
  let block = row % shape.blocks;
  return vec2<u32>(block * shape.block, min((block + 1u) * shape.block, shape.slots));
}
fn tokenOf(slot: u32) -> u32 { return slot; }`,
  order: wgsl`
fn slotsOf(row: u32) -> vec2<u32> {
  let block = row % shape.blocks;
  return vec2<u32>(block * shape.block, min((block + 1u) * shape.block, shape.slots));
}
fn tokenOf(slot: u32) -> u32 { return order[slot]; }`,
  lists: wgsl`
fn slotsOf(row: u32) -> vec2<u32> {
  let at = 2u * (listOf(row / shape.blocks) * shape.blocks + row % shape.blocks);
  return vec2<u32>(rows[at], rows[at] + rows[at + 1u]);
}
fn tokenOf(slot: u32) -> u32 { return order[slot]; }`,
};

const empties = {
  zeros: 'fn emptyNumber(at: u32) -> f32 { return 0.0; }',
  given: 'fn emptyNumber(at: u32) -> f32 { return empty[at]; }',
};

const sumStage = wgsl`
fn total(lane: u32) -> f32 {
  var sum = 0.0;
  for (var slice = 0u; slice < SLICES; slice++) { sum += sums[slice * CHANNELS + lane % CHANNELS]; }
  return sum;
}`;

/** Mean absolute deviation, Σ |x − mean| / count, by a second walk over the block. */
const deviations = {
  none: '',
  stored: wgsl`
  sum = 0.0;
  if (d < shape.headDim) {
    for (var slot = slots.x + lane / CHANNELS; slot < slots.y; slot += SLICES) {
      let token = tokenOf(slot);
      if (token < shape.tokens) { sum += abs(numbersNumber((head * shape.tokens + token) * shape.headDim + d) - mean); }
    }
  }
  workgroupBarrier();
  sums[lane] = sum;
  workgroupBarrier();
  let deviation = total(lane) / f32(max(count, 1u));
  if (lane < CHANNELS && d < shape.headDim) { deviations[row * shape.headDim + d] = deviation; }`,
};

/** Mean of the tokens of a block. A workgroup owns up to 32 channels of one block; its 8 slices take tokens in turn. */
const meanKernel = madeOnce(
  (options: {
    storage: Storage;
    members: keyof typeof members;
    empty: keyof typeof empties;
    deviation: keyof typeof deviations;
  }) =>
    assemble({
      name: 'block-mean',
      bindings: {
        numbers: read(numberElement[options.storage]), // [heads, tokens, headDim]
        ...(options.members !== 'slots' && { order: read('u32') }), // [slots], or a list's tokens
        ...(options.members === 'lists' && { rows: read('u32') }), // [lists, blocks, 2]
        ...(options.empty === 'given' && { empty: read('f32') }), // [heads, blocks, headDim]
        means: write('f32'), // [heads, blocks, headDim]
        ...(options.deviation === 'stored' && { deviations: write('f32') }), // [heads, blocks, headDim]
        shape: uniform({
          tokens: 'u32',
          slots: 'u32',
          block: 'u32',
          blocks: 'u32',
          headDim: 'u32',
          pieces: 'u32',
          heads: 'u32',
          listBatches: 'u32',
          listHeads: 'u32',
        }),
      },
      constants: { CHANNELS, SLICES },
      memory: {
        sums: { type: 'f32', length: CHANNELS * SLICES }, // 1 KiB
        counts: { type: 'u32', length: SLICES },
      },
      stages: [
        numberOf[options.storage]('numbers'),
        ...(options.members === 'lists' ? [listStage] : []),
        members[options.members],
        empties[options.empty],
        sumStage,
      ],
      threads: CHANNELS * SLICES,
      memoryLimit: 16_384,
      main: wgsl`
  let d = workgroup % shape.pieces * CHANNELS + lane % CHANNELS;
  let row = workgroup / shape.pieces;
  let head = row / shape.blocks;
  let slots = slotsOf(row);
  var sum = 0.0;
  var own = 0u;
  for (var slot = slots.x + lane / CHANNELS; slot < slots.y; slot += SLICES) {
    let token = tokenOf(slot);
    if (token < shape.tokens) {  // padding is far beyond
      if (d < shape.headDim) { sum += numbersNumber((head * shape.tokens + token) * shape.headDim + d); }
      own++;
    }
  }
  sums[lane] = sum;
  if (lane % CHANNELS == 0u) { counts[lane / CHANNELS] = own; }
  workgroupBarrier();
  var count = 0u;
  for (var slice = 0u; slice < SLICES; slice++) { count += counts[slice]; }
  let mean = total(lane) / f32(max(count, 1u));
  if (lane < CHANNELS && d < shape.headDim) {
    let at = row * shape.headDim + d;
    if (count == 0u) { means[at] = emptyNumber(at); } else { means[at] = mean; }
  }${deviations[options.deviation]}`,
    }),
);

export async function blockMomentsOnGpu(
  gpu: Gpu,
  { input, layout }: BlockMeanRequest,
  wanted: { deviation: boolean },
): Promise<{ mean: GpuTensor; deviation: GpuTensor }> {
  const [batch, heads, tokens, headDim] = input.shape;
  const { slots, block, order } = layout;
  const blocks = Math.ceil(slots / block);
  const shape = [batch, heads, blocks, headDim];
  const mean = gpu.empty(shape, 'f32');
  const deviation = wanted.deviation ? gpu.empty(shape, 'f32') : mean;
  const pieces = Math.ceil(headDim / CHANNELS);
  await gpu.launch(
    meanKernel({
      storage: input.dtype as Storage,
      members: order ? 'order' : 'slots',
      empty: 'zeros',
      deviation: wanted.deviation ? 'stored' : 'none',
    }),
    {
      numbers: (input as GpuTensor).storage,
      ...(order && { order: gpu.uploadOnce(order, () => order) }),
      means: mean.storage,
      ...(wanted.deviation && { deviations: deviation.storage }),
      shape: { tokens, slots, block, blocks, headDim, pieces, heads, listBatches: 1, listHeads: 1 },
    } as never,
    batch * heads * blocks * pieces,
  );
  return { mean, deviation };
}

export async function segmentMeanOnGpu(
  gpu: Gpu,
  { input, members: lists, empty }: SegmentMeanRequest,
): Promise<GpuTensor> {
  const [batch, heads, tokens, headDim] = input.shape;
  const { rows, blocks: entries, listBatches, listHeads } = lists;
  const blocks = rows.shape[2];
  const mean = gpu.empty([batch, heads, blocks, headDim], 'f32');
  const pieces = Math.ceil(headDim / CHANNELS);
  await gpu.launch(
    meanKernel({
      storage: input.dtype as Storage,
      members: 'lists',
      empty: empty ? 'given' : 'zeros',
      deviation: 'none',
    }),
    {
      numbers: (input as GpuTensor).storage,
      order: (entries as GpuTensor).storage,
      rows: (rows as GpuTensor).storage,
      ...(empty && { empty: (empty as GpuTensor).storage }),
      means: mean.storage,
      shape: {
        tokens,
        slots: sizeOf(entries.shape),
        block: 1,
        blocks,
        headDim,
        pieces,
        heads,
        listBatches,
        listHeads,
      },
    } as never,
    batch * heads * blocks * pieces,
  );
  return mean;
}
