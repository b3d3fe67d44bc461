import { ArgumentError, type DType, type Tensor } from '@saccade/attention';
import { assemble, emptyLike, read, runKernel, uniform, wgsl, write } from '@saccade/attention/custom';
import type { Options } from './paper.ts';
import type { RegionGeometry } from './regions.ts';

/** @throws ArgumentError where the kernel's channels are not those of the output */
export function checkLocalKernel(channels: number, { localKernel }: Options): void {
  if (localKernel && localKernel.weights[0].length !== channels)
    throw new ArgumentError(
      'biformer',
      'localKernel',
      `of ${localKernel.weights[0].length} channels`,
      `${channels}, heads x headDim`,
    );
}

/**
 * (6) LCE: the depth-wise convolution of value on the image grid, zeros outside, no flip of the kernel. Channel
 * head · valueDim + d is dimension d of a head. On WebGPU in f32 one small kernel; elsewhere loops on the host.
 * @param value [batch, keyHeads, tokens, valueDim]
 * @returns [batch, heads, tokens, valueDim] in `dtype`, or undefined without a local kernel
 */
export async function localContext(
  value: Tensor,
  heads: number,
  geometry: RegionGeometry,
  { localKernel }: Options,
  dtype: DType,
): Promise<Tensor | undefined> {
  if (!localKernel || value.shape.includes(0)) return undefined;
  const [batch, keyHeads, tokens, valueDim] = value.shape;
  const shape = [batch, heads, tokens, valueDim];
  const side = Math.round(Math.sqrt(localKernel.weights.length));
  const weights = localKernel.weights.flat();
  const bias = localKernel.bias ?? new Array<number>(heads * valueDim).fill(0);
  if (value.device.kind === 'webgpu' && value.dtype === 'f32')
    return onGpu(value, heads, geometry, side, weights, bias);
  const data = await value.read();
  const out = new Float64Array(batch * heads * tokens * valueDim);
  const { rows, columns } = geometry;
  const radius = (side - 1) / 2;
  const channels = heads * valueDim;
  for (let plane = 0; plane < batch * heads; plane++) {
    const head = plane % heads;
    const source = (Math.floor(plane / heads) * keyHeads + Math.floor(head / (heads / keyHeads))) * tokens;
    for (let token = 0; token < tokens; token++) {
      const [row, column] = [Math.floor(token / columns), token % columns];
      const target = (plane * tokens + token) * valueDim;
      for (let d = 0; d < valueDim; d++) out[target + d] = bias[head * valueDim + d];
      for (let place = 0; place < side * side; place++) {
        const y = row + Math.floor(place / side) - radius;
        const x = column + (place % side) - radius;
        if (y < 0 || y >= rows || x < 0 || x >= columns) continue;
        const from = (source + y * columns + x) * valueDim;
        for (let d = 0; d < valueDim; d++)
          out[target + d] += weights[place * channels + head * valueDim + d] * data[from + d];
      }
    }
  }
  return value.device.tensor(out, shape, dtype);
}

const bindings = {
  value: read('f32'), // [batch, keyHeads, tokens, valueDim]
  weights: read('f32'), // [side * side, channels], then bias [channels]
  output: write('f32'), // [batch, heads, tokens, valueDim]
  shape: uniform({
    items: 'u32',
    heads: 'u32',
    keyHeads: 'u32',
    rows: 'i32',
    columns: 'i32',
    valueDim: 'u32',
    side: 'i32',
  }),
};
const THREADS = 256;

/** One thread an output number. */
const convolution = () =>
  assemble({
    name: 'biformer-local-context',
    bindings,
    constants: {},
    stages: [],
    threads: THREADS,
    main: wgsl`
  let item = workgroup * ${THREADS}u + lane;
  if (item < shape.items) {
    let d = item % shape.valueDim;
    let tokens = u32(shape.rows * shape.columns);
    let token = i32((item / shape.valueDim) % tokens);
    let plane = item / shape.valueDim / tokens;
    let head = plane % shape.heads;
    let source = (plane / shape.heads) * shape.keyHeads + head / (shape.heads / shape.keyHeads);
    let channels = shape.heads * shape.valueDim;
    let channel = head * shape.valueDim + d;
    let places = u32(shape.side * shape.side);
    var sum = weights[places * channels + channel];
    for (var place = 0u; place < places; place++) {
      let y = token / shape.columns + i32(place) / shape.side - shape.side / 2;
      let x = token % shape.columns + i32(place) % shape.side - shape.side / 2;
      if (y >= 0 && y < shape.rows && x >= 0 && x < shape.columns) {
        let at = (source * tokens + u32(y * shape.columns + x)) * shape.valueDim + d;
        sum += weights[place * channels + channel] * value[at];
      }
    }
    output[item] = sum;
  }`,
  });

async function onGpu(
  value: Tensor,
  heads: number,
  { rows, columns }: RegionGeometry,
  side: number,
  weights: readonly number[],
  bias: readonly number[],
): Promise<Tensor> {
  const [batch, keyHeads, tokens, valueDim] = value.shape;
  const items = batch * heads * tokens * valueDim;
  const packed = value.device.tensor([...weights, ...bias], [weights.length + bias.length]);
  const output = emptyLike(value, [batch, heads, tokens, valueDim]);
  try {
    await runKernel(
      convolution(),
      { value, weights: packed, output, shape: { items, heads, keyHeads, rows, columns, valueDim, side } },
      Math.ceil(items / THREADS),
    );
  } finally {
    packed.dispose();
  }
  return output;
}
