import { z } from 'zod';
import { definePaper } from '../kit/paper.ts';

const perAxis = 'one entry for all axes, or one an axis';

/** The only declaration of the options: parser, defaults, command line, sliders and README table come from it. */
export const options = z.strictObject({
  grid: z.array(z.int().min(1)).min(1).max(3).optional().meta({
    label: 'grid',
    description: 'tokens along each axis, last axis fastest; without it all tokens lie on one axis',
  }),
  window: z
    .array(
      z
        .int()
        .min(3)
        .refine((w) => w % 2 === 1, {
          error: ({ input }) =>
            `window is ${String(input)}; allowed: odd numbers of at least 3 (even windows: see gna)`,
        }),
    )
    .min(1)
    .max(3)
    .default([7])
    .meta({
      label: 'window',
      unit: 'tokens',
      step: 2,
      description: `neighbours on an axis, the token itself among them; ${perAxis}`,
    }),
  dilation: z
    .array(z.int().min(1))
    .min(1)
    .max(3)
    .default([1])
    .meta({
      label: 'dilation',
      unit: 'tokens',
      description: `distance of neighbouring neighbours; ${perAxis}`,
    }),
  causal: z
    .array(z.boolean())
    .min(1)
    .max(3)
    .default([false])
    .meta({
      label: 'causal',
      description: `neighbours at or before the token only; ${perAxis}`,
    }),
  relativeBias: z.array(z.number()).optional().meta({
    label: 'relative position bias',
    description:
      'table [heads, 2 window - 1 an axis], row-major, added to the scaled score at key minus query; not with causal',
  }),
  route: z.enum(['boxes', 'static']).default('boxes').meta({
    label: 'key tiles',
    description: 'boxes: one haloed key box a query tile; static: key boxes on a fixed grid. Same result',
  }),
});
export type Options = z.output<typeof options>;

export const paper = definePaper<Options>({
  slug: 'fna',
  idea: 'Each token attends to its nearest neighbours, in one fused kernel.',
  inputs: ['image', 'clip', 'text'],
  options,
  reconstructed: [
    'The naive and the unfused baselines, written for WebGPU after the description of the originals.',
    'Thresholds of the verdicts.',
  ],
  limits: [
    'Gradients come from the engine (attendBackward under the same plan); the paper’s own backward kernels are not timed beside them.',
    'The baselines run on WebGPU only, so the race of the lab needs it.',
  ],
  fit: (grid) => {
    const odd = (length: number) =>
      Math.max(3, Math.min(grid.length === 1 ? 63 : grid.length === 2 ? 9 : 5, length - 1 + (length % 2)));
    return { grid: [...grid], window: grid.map(odd) };
  },
  mechanism: async () => (await import('./mechanism.ts')).neighborhoodAttention,
  reference: async () => (await import('./reference.ts')).neighborhoodAttention,
  claims: async () => (await import('./claims.ts')).claims,
  trials: async () => ({ race: (await import('./race.ts')).race }),
});
