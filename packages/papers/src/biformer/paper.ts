import { z } from 'zod';
import { definePaper } from '../kit/paper.ts';

/** The only declaration of the options: parser, defaults, command line, sliders and README table come from it. */
export const options = z
  .strictObject({
    grid: z.array(z.int().min(1)).length(2).optional().meta({
      label: 'grid',
      description: 'rows and columns of the image; without it the tokens are taken as a square image',
    }),
    regions: z.int().min(1).max(64).default(7).meta({
      label: 'regions',
      unit: 'a side',
      description: 'S: the image is cut into S x S regions (fewer where sides do not divide)',
    }),
    topk: z.int().min(1).max(4096).default(4).meta({
      label: 'top-k',
      unit: 'regions',
      description: 'k: key regions that each query region keeps',
    }),
    routing: z.enum(['content', 'window', 'random']).default('content').meta({
      label: 'routing',
      description: 'content is the method; window keeps the own region, random k fixed ones (for comparison)',
    }),
    seed: z.int().min(0).max(2147483647).default(0).meta({
      label: 'seed',
      description: 'of random routing only',
    }),
    localKernel: z
      .strictObject({
        weights: z.array(z.array(z.number())).min(1),
        bias: z.array(z.number()).optional(),
      })
      .optional()
      .meta({
        label: 'local kernel',
        description:
          'LCE: weights [side * side][channels] (row-major, odd side) and bias [channels] of the depth-wise convolution of value that is added',
      }),
    checkFinite: z.boolean().default(false).meta({
      label: 'check finite',
      description: 'refuse NaN and infinities in query and key (reads the region means back)',
    }),
    causal: z
      .literal(false, {
        error: ({ input }) => `biformer has no causal form: causal is ${String(input)}; allowed: false`,
      })
      .default(false)
      .meta({ label: 'causal', description: 'there is no causal form' }),
  })
  .superRefine(({ regions, topk, localKernel }, context) => {
    const issue = (name: string, given: unknown, allowed: string) =>
      context.addIssue({ code: 'custom', path: [name], message: `${name} is ${given}; allowed: ${allowed}` });
    if (topk > regions * regions) issue('topk', topk, `1 to ${regions * regions}, regions x regions`);
    if (!localKernel) return;
    const { weights, bias } = localKernel;
    const side = Math.sqrt(weights.length);
    if (side % 2 !== 1)
      issue('localKernel', `of ${weights.length} places`, 'the square of an odd number of places');
    const channels = weights[0].length;
    if (weights.some((place) => place.length !== channels) || (bias && bias.length !== channels))
      issue('localKernel', 'of uneven channels', 'as many channels at each place and in bias');
  });
export type Options = z.output<typeof options>;

export const paper = definePaper<Options>({
  slug: 'biformer',
  idea: 'Regions choose regions by their means; tokens attend to the chosen.',
  inputs: ['image'],
  options,
  reconstructed: [
    'Images that the regions do not divide: regions of unequal size whose padding takes part in neither means nor softmax. The two published programs pad with zeros, in two ways.',
    'Fewer regions than k (ragged images): k is lowered to their number and the plan says so.',
    'The comparison with fixed random regions, and the thresholds of the verdicts.',
  ],
  limits: [
    'Attention and the local convolution only: projections, blocks and the backbones are not built here.',
    'No gradient flows through the routing, as in the paper. Soft routing, off in all released models, is left out.',
    'The convolution runs on the host off the GPU and for f16 tensors.',
    'The small trained comparison waits for the training package.',
    'The lab’s cue is found by untrained features and its convolution is a fixed sharpening; a trained model with layers to choose is not there.',
  ],
  fit: (grid) => {
    const [rows, columns] = [grid.at(-2) ?? 1, grid.at(-1) ?? 1];
    const smaller = Math.min(rows, columns);
    // even regions where one of the usual counts gives them, never regions of a single pixel
    const regions =
      [8, 7, 6, 5, 4].find((count) => rows % count === 0 && columns % count === 0 && smaller >= 2 * count) ??
      Math.max(1, Math.min(7, Math.floor(smaller / 2)));
    const least =
      Math.ceil(rows / Math.ceil(rows / regions)) * Math.ceil(columns / Math.ceil(columns / regions));
    return { grid: [rows, columns], regions, topk: Math.min(4, least) };
  },
  mechanism: async () => (await import('./mechanism.ts')).biLevelRoutingAttention,
  reference: async () => (await import('./reference.ts')).biLevelRoutingAttention,
  claims: async () => (await import('./claims.ts')).claims,
});
