import { z } from 'zod';
import { definePaper } from '../kit/paper.ts';

const relativeTable = z.array(z.array(z.number()).min(1)).min(1);

/** The only declaration of the options: parser, defaults, command line, sliders and README table come from it. */
export const options = z
  .strictObject({
    grid: z.array(z.int().min(1)).length(2).optional().meta({
      label: 'grid',
      description: 'rows and columns of the image; without it the tokens are taken as a square image',
    }),
    blockSize: z.int().min(1).max(64).default(8).meta({
      label: 'block',
      unit: 'pixels',
      description: 'side b of the query blocks; all queries of a block share one window',
    }),
    halo: z.int().min(0).max(64).default(3).meta({
      label: 'halo',
      unit: 'pixels',
      description:
        'pixels h that the window reaches beyond the block on each side; 0 is a window of the block alone',
    }),
    stride: z
      .int()
      .min(1)
      .max(2)
      .default(1)
      .meta({ label: 'stride', description: '2: only queries at even places of each block (downsampling)' }),
    averageDown: z.boolean().default(false).meta({
      label: 'average down',
      description: 'with stride 2: attend at every pixel, then take means of 2 x 2 (needs no even block)',
    }),
    border: z.enum(['zero', 'mask']).default('zero').meta({
      label: 'border',
      description: 'pixels outside the image: zero keys and values that take part, or masked',
    }),
    pad: z.boolean().default(false).meta({
      label: 'pad',
      description:
        'allow images that are no multiple of the block: zeros at the bottom and right, cropped after',
    }),
    centredRadius: z.int().min(0).max(64).optional().meta({
      label: 'centred radius',
      unit: 'pixels',
      description: 'the masked variant: each query keeps only the square of this radius around itself',
    }),
    position: z.strictObject({ rows: relativeTable, columns: relativeTable }).optional().meta({
      label: 'position tables',
      description: 'rh and rw, each [2 (block + 2 halo) - 1][headDim], shared by all heads',
    }),
    scalePosition: z.boolean().default(false).meta({
      label: 'scale position',
      description: 'multiply the position terms by headDim^-1/2 too',
    }),
  })
  .superRefine((value, context) => {
    const { blockSize, halo, stride, averageDown, centredRadius, position } = value;
    const issue = (name: string, given: unknown, allowed: string) =>
      context.addIssue({ code: 'custom', path: [name], message: `${name} is ${given}; allowed: ${allowed}` });
    if (stride === 2 && blockSize % 2 === 1 && !averageDown)
      issue('blockSize', blockSize, 'an even number with stride 2, or averageDown');
    if (averageDown && stride === 1) issue('averageDown', true, 'true only with stride 2');
    if (centredRadius !== undefined && centredRadius > halo)
      issue('centredRadius', centredRadius, `at most the halo, ${halo}`);
    const entries = 2 * (blockSize + 2 * halo) - 1;
    for (const [name, table] of Object.entries(position ?? {})) {
      if (table.length !== entries)
        issue('position', `${name} of ${table.length} entries`, `${entries} entries, 2 (block + 2 halo) - 1`);
      if (table.some((row) => row.length !== table[0].length))
        issue('position', `${name} of uneven rows`, 'rows of headDim numbers each');
    }
  });
export type Options = z.output<typeof options>;

export const paper = definePaper<Options>({
  slug: 'halonet',
  idea: 'Blocks of pixels share one window: the block plus a halo.',
  inputs: ['image'],
  options,
  reconstructed: [
    'What happens outside the image: the default, zero keys that take part, is that of a known port; the paper is silent.',
    'The position terms of a strided query use its place in the strided block, as in that port.',
    'The one-hot form of the position terms (same numbers, no score expression).',
    'Thresholds of the verdicts.',
  ],
  limits: [
    'Attention only: projections, bottlenecks and the backbones H0 to H7 are not built here.',
    'With stride 2 the output keeps a row a pixel: pixels without a query are zeros. downsampled() makes the smaller image.',
    'The small models that the paper page compares wait for the training package.',
    'The segmentation of a painted image by trained models is not yet measured; the lab shows where the output leaves dense attention instead.',
  ],
  fit: (grid) => {
    const [rows, columns] = [grid.at(-2) ?? 1, grid.at(-1) ?? 1];
    // the largest usual block that divides both sides, else a padded block of 8
    const blockSize = [8, 7, 6, 5, 4].find((size) => rows % size === 0 && columns % size === 0);
    return { grid: [rows, columns], blockSize: blockSize ?? 8, halo: 3, pad: blockSize === undefined };
  },
  mechanism: async () => (await import('./mechanism.ts')).haloAttention,
  reference: async () => (await import('./reference.ts')).haloAttention,
  claims: async () => (await import('./claims.ts')).claims,
  trials: async () => ({ unfolding: (await import('./unfolding.ts')).unfolding }),
});
