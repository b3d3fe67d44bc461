/** One module on an image; operations count a multiply-add as two. */
export interface ModuleShape {
  rows: number;
  columns: number;
  channels: number;
  regions: number; // S, dividing both sides
  topk: number;
  localSide: number; // of the depth-wise kernel
}

/** Operations of the parts of a module: projections, routing, attention, local convolution. */
export function moduleFlops({ rows, columns, channels: C, regions, topk, localSide }: ModuleShape) {
  const N = rows * columns;
  return {
    qkv: 6 * N * C * C,
    output: 2 * N * C * C,
    routing: 2 * regions ** 4 * C,
    attention: 4 * N * topk * (N / regions ** 2) * C,
    local: 2 * localSide ** 2 * N * C,
    denseAttention: 4 * N * N * C,
  };
}

/**
 * The S that makes routing and attention cheapest for a fixed k, by the paper's model 2 S⁴ C + 2 N k (N / S²) C:
 * S⁶ = k N² / 2.
 */
export function bestRegions(tokens: number, topk: number): number {
  return ((topk * tokens * tokens) / 2) ** (1 / 6);
}

/** The published models: depths and channels of the four stages; heads of 32 channels; k = 1, 4, 16, then dense. */
export const models = {
  T: { depths: [2, 2, 8, 2], channels: [64, 128, 256, 512] },
  S: { depths: [4, 4, 18, 4], channels: [64, 128, 256, 512] },
  B: { depths: [4, 4, 18, 4], channels: [96, 192, 384, 768] },
} as const;

/** Multiply-adds of a whole model on a square image: stem, downsampling, blocks, head. Norms and activations are not counted. */
export function modelMultiplyAdds(name: keyof typeof models, imageSide: number, classes = 1000): number {
  const { depths, channels } = models[name];
  const topks = [1, 4, 16];
  const half = channels[0] / 2;
  // stem: two 3 x 3 convolutions of stride 2
  let total = (imageSide / 2) ** 2 * 9 * 3 * half + (imageSide / 4) ** 2 * 9 * half * channels[0];
  depths.forEach((depth, stage) => {
    const C = channels[stage];
    const side = imageSide / 4 / 2 ** stage;
    const N = side * side;
    if (stage > 0) total += N * 9 * channels[stage - 1] * C;
    const shape = {
      rows: side,
      columns: side,
      channels: C,
      regions: 7,
      topk: topks[stage] ?? 1,
      localSide: 5,
    };
    const { qkv, output, routing, attention, local, denseAttention } = moduleFlops(shape);
    const routed = stage < 3 ? routing + attention : denseAttention;
    const position = N * 9 * C; // depth-wise 3 x 3
    const mlp = 2 * 3 * N * C * C; // ratio 3
    total += depth * ((qkv + output + local + routed) / 2 + position + mlp);
  });
  return total + channels[3] * classes;
}
