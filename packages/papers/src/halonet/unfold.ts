import { blockListPlan, blockMean, NO_TOKEN, type Plan, type Tensor } from '@saccade/attention';
import { assemble, emptyLike, read, runKernel, uniform, wgsl, write } from '@saccade/attention/custom';
import { haloBlocks, haloGeometry } from './blocks.ts';
import type { Options } from './paper.ts';

/**
 * The baseline that the fused form is compared with: keys or values copied window by window, zeros outside the image.
 * @param tensor [batch, heads, tokens, dim]
 * @returns [batch, heads, blocks · K², dim] in f32
 */
export async function unfold(tensor: Tensor, options: Options): Promise<Tensor> {
  const order = unfoldedOrder(tensor.shape[2], options);
  if (tensor.device.kind === 'webgpu' && tensor.dtype === 'f32') return gather(tensor, order);
  // a block of one token is a copy, an empty one zeros
  return blockMean(tensor, { slots: order.length, block: 1, order });
}

/** Which pixel each place of each window holds; NO_TOKEN outside the image. */
function unfoldedOrder(tokens: number, options: Options): Uint32Array {
  const geometry = haloGeometry(tokens, options);
  const { rows, columns, windowSide, blocksDown, blocksAcross } = geometry;
  const { boxes } = haloBlocks(geometry, options);
  const size = windowSide * windowSide;
  const order = new Uint32Array(blocksDown * blocksAcross * size).fill(NO_TOKEN);
  for (let slot = 0; slot < order.length; slot++) {
    const at = Math.floor(slot / size) * 6;
    const row = boxes[at + 1] + Math.floor((slot % size) / windowSide);
    const column = boxes[at + 2] + (slot % windowSide);
    if (row >= 0 && row < rows && column >= 0 && column < columns) order[slot] = row * columns + column;
  }
  return order;
}

/** Attention of each block with its own copied window; stride 1, zero border, no position terms. */
export function unfoldedPlan(tokens: number, options: Options): Plan {
  const geometry = haloGeometry(tokens, options);
  const { order } = haloBlocks(geometry, options);
  const blocks = geometry.blocksDown * geometry.blocksAcross;
  const size = geometry.windowSide ** 2;
  return blockListPlan({
    name: 'windows copied out',
    queryTokens: tokens,
    keyTokens: blocks * size,
    queries: { slots: order.length, block: geometry.querySide ** 2, order },
    keys: { slots: blocks * size, block: size },
    lists: Array.from({ length: blocks }, (_, block) => [{ block, full: true }]),
  });
}

const THREADS = 256;
const bindings = {
  input: read('f32'), // [batch * heads, tokens, dim]
  order: read('u32'), // [slots]
  output: write('f32'), // [batch * heads, slots, dim]
  shape: uniform({ items: 'u32', tokens: 'u32', slots: 'u32', dim: 'u32' }),
};

/** One thread an output number. */
async function gather(input: Tensor, slots: Uint32Array): Promise<Tensor> {
  const [batch, heads, tokens, dim] = input.shape;
  const order = input.device.tensor(slots, [slots.length], 'u32');
  const output = emptyLike(input, [batch, heads, slots.length, dim]);
  const items = batch * heads * slots.length * dim;
  const kernel = assemble({
    name: 'halonet-unfold',
    bindings,
    constants: {},
    stages: [],
    threads: THREADS,
    main: wgsl`
  let item = workgroup * ${THREADS}u + lane;
  if (item < shape.items) {
    let d = item % shape.dim;
    let slot = (item / shape.dim) % shape.slots;
    let plane = item / shape.dim / shape.slots;
    let token = order[slot];
    var number = 0.0;
    if (token < shape.tokens) { number = input[(plane * shape.tokens + token) * shape.dim + d]; }
    output[item] = number;
  }`,
  });
  try {
    await runKernel(
      kernel,
      { input, order, output, shape: { items, tokens, slots: slots.length, dim } },
      Math.ceil(items / THREADS),
    );
  } finally {
    order.dispose();
  }
  return output;
}
