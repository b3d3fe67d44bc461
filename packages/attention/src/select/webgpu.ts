import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { sizeOf } from '../tensor.ts';
import { assemble, wgsl } from '../wgsl/assemble.ts';
import { read, uniform, write } from '../wgsl/bindings.ts';
import type { BlockMeanRequest, BlockScoresRequest, SelectedBlocks, TopKRequest } from './request.ts';

type Storage = 'f32' | 'f16';

const elements = { f32: 'f32', f16: 'u32' } as const;

/** `fn <name>Number(at) -> f32` of a tensor's buffer. */
const numberOf = {
  f32: (name: string) => `fn ${name}Number(at: u32) -> f32 { return ${name}[at]; }`,
  f16: (name: string) =>
    `fn ${name}Number(at: u32) -> f32 { return unpack2x16float(${name}[at / 2u])[at % 2u]; }`,
};

const tokenStages = {
  given: 'fn tokenOf(slot: u32) -> u32 { return order[slot]; }',
  none: 'fn tokenOf(slot: u32) -> u32 { return slot; }',
};

const MEAN_CHANNELS = 32;
const MEAN_SLICES = 8;

/** Mean of the tokens of a block. A workgroup owns up to 32 channels of one block; its 8 slices take tokens in turn. */
const meanKernel = (storage: Storage, order: 'given' | 'none') =>
  assemble({
    name: 'block-mean',
    bindings: {
      numbers: read(elements[storage]), // [heads, tokens, headDim]
      order: read('u32'), // [slots]
      means: write('f32'), // [heads, blocks, headDim]
      shape: uniform({
        tokens: 'u32',
        slots: 'u32',
        block: 'u32',
        blocks: 'u32',
        headDim: 'u32',
        pieces: 'u32',
      }),
    },
    constants: { NO_TOKEN: 0xffffffff, CHANNELS: MEAN_CHANNELS, SLICES: MEAN_SLICES },
    memory: {
      sums: { type: 'f32', length: MEAN_CHANNELS * MEAN_SLICES }, // 1 KiB
      counts: { type: 'u32', length: MEAN_CHANNELS * MEAN_SLICES }, // 1 KiB
    },
    stages: [numberOf[storage]('numbers'), tokenStages[order]],
    threads: MEAN_CHANNELS * MEAN_SLICES,
    memoryLimit: 16_384,
    main: wgsl`
  let d = workgroup % shape.pieces * CHANNELS + lane % CHANNELS;
  let row = workgroup / shape.pieces;
  let block = row % shape.blocks;
  let head = row / shape.blocks;
  var sum = 0.0;
  var count = 0u;
  if (d < shape.headDim) {
    for (var slot = block * shape.block + lane / CHANNELS; slot < min((block + 1u) * shape.block, shape.slots); slot += SLICES) {
      let token = tokenOf(slot);
      if (token != NO_TOKEN) {
        sum += numbersNumber((head * shape.tokens + token) * shape.headDim + d);
        count++;
      }
    }
  }
  sums[lane] = sum;
  counts[lane] = count;
  workgroupBarrier();
  if (lane < CHANNELS && d < shape.headDim) {
    for (var slice = 1u; slice < SLICES; slice++) {
      sum += sums[slice * CHANNELS + lane];
      count += counts[slice * CHANNELS + lane];
    }
    means[row * shape.headDim + d] = sum / f32(max(count, 1u));
  }`,
  });

export async function blockMeanOnGpu(gpu: Gpu, { input, layout }: BlockMeanRequest): Promise<GpuTensor> {
  const [batch, heads, tokens, headDim] = input.shape;
  const blocks = Math.ceil(layout.slots / layout.block);
  const means = gpu.empty([batch, heads, blocks, headDim], 'f32');
  const pieces = Math.ceil(headDim / MEAN_CHANNELS);
  const { storage, dtype } = input as GpuTensor;
  const { order } = layout;
  await gpu.launch(
    meanKernel(dtype as Storage, order ? 'given' : 'none'),
    {
      numbers: storage,
      order: gpu.uploadOnce(order ?? noOrder, () => order ?? noOrder),
      means: means.storage,
      shape: { tokens, slots: layout.slots, block: layout.block, blocks, headDim, pieces },
    },
    batch * heads * blocks * pieces,
  );
  return means;
}

const noOrder = new Uint32Array(1);

/** Σ over heads (one, or all) of ⟨query[i], key[j]⟩; a thread owns one pair of blocks. */
const scoresKernel = (query: Storage, key: Storage) =>
  assemble({
    name: 'block-scores',
    bindings: {
      query: read(elements[query]), // [batch, heads, rows, headDim]
      key: read(elements[key]), // [batch, keyHeads, columns, headDim]
      scores: write('f32'), // [batch, heads / summed, rows, columns]
      shape: uniform({
        elements: 'u32',
        heads: 'u32',
        keyHeads: 'u32',
        summed: 'u32', // heads that one score adds up
        rows: 'u32',
        columns: 'u32',
        headDim: 'u32',
        scale: 'f32',
      }),
    },
    constants: {},
    stages: [numberOf[query]('query'), numberOf[key]('key')],
    threads: 64,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * 64u + lane;
  if (at >= shape.elements) { return; }
  let column = at % shape.columns;
  let row = (at / shape.columns) % shape.rows;
  let first = at / shape.columns / shape.rows * shape.summed;  // head among batch x heads
  var sum = 0.0;
  for (var h = first; h < first + shape.summed; h++) {
    let keyHead = h / shape.heads * shape.keyHeads + h % shape.heads / (shape.heads / shape.keyHeads);
    let q = (h * shape.rows + row) * shape.headDim;
    let k = (keyHead * shape.columns + column) * shape.headDim;
    for (var d = 0u; d < shape.headDim; d++) { sum += queryNumber(q + d) * keyNumber(k + d); }
  }
  scores[at] = sum * shape.scale;`,
  });

export async function blockScoresOnGpu(gpu: Gpu, request: BlockScoresRequest): Promise<GpuTensor> {
  const [batch, heads, rows, headDim] = request.query.shape;
  const [, keyHeads, columns] = request.key.shape;
  const summed = request.heads === 'sum' ? heads : 1;
  const scores = gpu.empty([batch, request.heads === 'sum' ? 1 : heads, rows, columns], 'f32');
  const size = sizeOf(scores.shape);
  const [query, key] = [request.query as GpuTensor, request.key as GpuTensor];
  await gpu.launch(
    scoresKernel(query.dtype as Storage, key.dtype as Storage),
    {
      query: query.storage,
      key: key.storage,
      scores: scores.storage,
      shape: { elements: size, heads, keyHeads, summed, rows, columns, headDim, scale: request.scale },
    },
    Math.ceil(size / 64),
  );
  return scores;
}

/**
 * The k largest of a row, lower columns first among equals. Scores become u32 keys in the same order; the k-th largest
 * key is found by its bits, eight at a time, from histograms; then everything above it and the first of its equals are
 * written in ascending order. One workgroup a row; the row stays in storage, so its length has no limit here.
 */
const topKKernel = assemble({
  name: 'top-k',
  bindings: {
    scores: read('u32'), // bits of f32 [lists, rows, columns]
    rows: write('u32'), // [lists, rows, 2]
    blocks: write('u32'), // [lists, rows, k]
    shape: uniform({ rows: 'u32', columns: 'u32', k: 'u32', causal: 'u32', forceOwn: 'u32' }),
  },
  constants: { THREADS: 256 },
  memory: {
    histogram: { type: 'atomic<u32>', length: 256 },
    found: { type: 'u32', length: 2 }, // threshold so far, how many of its equals are still to take
    larger: { type: 'u32', length: 256 },
    equal: { type: 'u32', length: 256 },
  },
  stages: [
    wgsl`
// Larger scores have larger keys; NaN ranks with -Infinity, -0 with 0, and a forced column above all.
fn rank(row: u32, column: u32) -> u32 {
  if (shape.forceOwn == 1u && column == row % shape.rows) { return 0xffffffffu; }
  var bits = scores[row * shape.columns + column];
  if ((bits & 0x7fffffffu) > 0x7f800000u) { bits = 0xff800000u; }
  if (bits == 0x80000000u) { bits = 0u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}`,
    wgsl`
// The digit in which the histogram, summed from its top, reaches the number that is still to take.
fn narrow(shift: u32) {
  var left = found[1];
  for (var digit = 256u; digit > 0u; digit--) {
    let count = atomicLoad(&histogram[digit - 1u]);
    if (count >= left) {
      found[0] = found[0] | ((digit - 1u) << shift);
      found[1] = left;
      return;
    }
    left -= count;
  }
}`,
  ],
  threads: 256,
  memoryLimit: 16384,
  main: wgsl`
  let row = workgroup;
  let candidates = select(shape.columns, min(row % shape.rows + 1u, shape.columns), shape.causal == 1u);
  let count = min(shape.k, candidates);
  if (lane == 0u) { found[0] = 0u; found[1] = count; }
  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - 8u * digit;
    atomicStore(&histogram[lane], 0u);
    workgroupBarrier();
    let above = (0xffffff00u << shift) & select(0xffffffffu, 0u, digit == 0u);
    for (var column = lane; column < candidates; column += THREADS) {
      let key = rank(row, column);
      if ((key & above) == (found[0] & above)) { atomicAdd(&histogram[(key >> shift) & 255u], 1u); }
    }
    workgroupBarrier();
    if (lane == 0u) { narrow(shift); }
    workgroupBarrier();
  }
  // each thread owns a run of columns, so that places ascend with columns
  let threshold = found[0];
  let take = found[1];
  let run = (candidates + THREADS - 1u) / THREADS;
  let start = min(lane * run, candidates);
  let end = min(start + run, candidates);
  var mine = vec2<u32>();
  for (var column = start; column < end; column++) {
    let key = rank(row, column);
    mine += vec2<u32>(u32(key > threshold), u32(key == threshold));
  }
  larger[lane] = mine.x;
  equal[lane] = mine.y;
  workgroupBarrier();
  var before = vec2<u32>();
  for (var i = 0u; i < lane; i++) { before += vec2<u32>(larger[i], equal[i]); }
  for (var column = start; column < end; column++) {
    let key = rank(row, column);
    if (key > threshold || (key == threshold && before.y < take)) {
      blocks[row * shape.k + before.x + min(before.y, take)] = column;
    }
    before += vec2<u32>(u32(key > threshold), u32(key == threshold));
  }
  if (lane == 0u) { rows[2u * row] = row * shape.k; rows[2u * row + 1u] = count; }`,
});

export async function topKOnGpu(gpu: Gpu, request: TopKRequest): Promise<SelectedBlocks> {
  const { scores, k, causal, forceOwn } = request;
  const [batch, heads, rowCount, columns] = scores.shape;
  const lines = batch * heads * rowCount;
  const rows = gpu.empty([batch, heads, rowCount, 2], 'u32');
  const blocks = gpu.empty([Math.max(lines * k, 1)], 'u32');
  await gpu.launch(
    topKKernel,
    {
      scores: (scores as GpuTensor).storage,
      rows: rows.storage,
      blocks: blocks.storage,
      shape: { rows: rowCount, columns, k, causal: Number(causal), forceOwn: Number(forceOwn) },
    },
    lines,
  );
  return { rows, blocks, listBatches: batch, listHeads: heads };
}
