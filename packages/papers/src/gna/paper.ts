import { z } from 'zod';
import { definePaper } from '../kit/paper.ts';

const perAxis = 'one entry for all axes, or one an axis';
const tile = z.array(z.int().min(1)).min(1).max(3).optional();

/** The only declaration of the options: parser, defaults, command line, sliders and README table come from it. */
export const options = z.strictObject({
  grid: z.array(z.int().min(1)).min(1).max(3).optional().meta({
    label: 'grid',
    description: 'tokens along each axis, last axis fastest; without it all tokens lie on one axis',
  }),
  window: z
    .array(z.int().min(2))
    .min(1)
    .max(3)
    .default([8])
    .meta({
      label: 'window',
      unit: 'tokens',
      description: `keys on an axis; ${perAxis}`,
    }),
  stride: z
    .array(z.int().min(1))
    .min(1)
    .max(3)
    .default([1])
    .meta({
      label: 'stride',
      unit: 'tokens',
      description: `queries that share a window; 1 slides, the window itself gives separate blocks; ${perAxis}`,
    }),
  dilation: z
    .array(z.int().min(1))
    .min(1)
    .max(3)
    .default([1])
    .meta({
      label: 'dilation',
      unit: 'tokens',
      description: `distance of neighbouring keys of a window; ${perAxis}`,
    }),
  causal: z
    .array(z.boolean())
    .min(1)
    .max(3)
    .default([false])
    .meta({
      label: 'causal',
      description: `keys at or before the query only; ${perAxis}`,
    }),
  queryTile: tile.meta({
    label: 'query tile',
    unit: 'tokens',
    description: 'box of queries that a kernel takes at once; default 64 tokens',
  }),
  keyTile: tile.meta({
    label: 'key tile',
    unit: 'tokens',
    description: 'box of keys that a kernel loads at once; default 64 tokens',
  }),
  keyTiling: z.enum(['static', 'dynamic']).default('static').meta({
    label: 'key tiling',
    description:
      'static: key boxes on a fixed grid; dynamic: the keys that a query tile needs are cut out first. Same result',
  }),
  extraTokens: z.int().min(0).default(0).meta({
    label: 'extra tokens',
    unit: 'tokens',
    description: 'keys after the grid (text) that every query sees',
  }),
});
export type Options = z.output<typeof options>;

export const paper = definePaper<Options>({
  slug: 'gna',
  idea: 'Sliding, strided and blocked windows under one stride, with a simulator.',
  inputs: ['image', 'clip', 'text'],
  options,
  reconstructed: [
    'The mean over query tiles beside the worst tile in the simulator, and dilation in it.',
    'Marking key tiles that need no mask, which the paper leaves for later.',
    'The default tiles of 64 tokens, and the thresholds of the verdicts.',
  ],
  limits: [
    'Gradients come from the engine, which inverts the lists of the plan; the closed form of the inverse windows is checked by enumeration, and no kernel uses it.',
    'End-to-end gains in video and image models are not measured: they need the models. The page has the arithmetic instead.',
    'The lab’s strip of strides has those that are equal on all axes; others are predicted one at a time.',
  ],
  fit: (grid) => {
    const most = grid.length === 1 ? 64 : grid.length === 2 ? 8 : 4;
    const window = grid.map((length) => Math.max(2, Math.min(most, length)));
    return { grid: [...grid], window, stride: window.map((w) => Math.max(1, w >> 1)) };
  },
  mechanism: async () => (await import('./mechanism.ts')).generalizedNeighborhoodAttention,
  reference: async () => (await import('./reference.ts')).generalizedNeighborhoodAttention,
  claims: async () => (await import('./claims.ts')).claims,
});
