import { z } from 'zod';
import { definePaper } from '../kit/paper.ts';

/** The only declaration of the options: parser, defaults, command line, sliders and README table come from it. */
export const options = z.strictObject({
  grid: z.array(z.int().min(1)).min(1).max(3).optional().meta({
    label: 'grid',
    description:
      'frames, then the axes of a frame, last axis fastest; their product is the number of video tokens. Without it: one frame',
  }),
  mask: z.enum(['tokens', 'blocks']).default('tokens').meta({
    label: 'mask',
    description: "tokens: the paper's equations; blocks: the coarser mask of the authors' program",
  }),
  blockSize: z.int().min(1).max(1024).default(64).meta({
    label: 'block size',
    unit: 'tokens',
    description: "of the kernel's lists, and of the block mask; the authors' program uses 128",
  }),
  decay: z.number().positive().max(16).default(1).meta({
    label: 'decay',
    step: 0.05,
    description: 'scales the width of the bands of the block mask; frames are thinned out as before',
  }),
  sink: z.boolean().default(true).meta({
    label: 'sink',
    description: 'every query sees the first frame',
  }),
  textTokens: z.int().min(0).max(65536).default(0).meta({
    label: 'text tokens',
    unit: 'tokens',
    description: 'tokens after the video that see everything and are seen by everything',
  }),
});
export type Options = z.output<typeof options>;

export const paper = definePaper<Options>({
  slug: 'radial-attention',
  idea: 'Video attention whose bands narrow, then thin, with distance in time.',
  inputs: ['clip'],
  options,
  reconstructed: [
    "Thinning of frames in the block mask for block sizes other than the program's 128: the block size takes its place.",
    'A tail shorter than a block: kept as an always seen block, where the program drops it.',
    'Diagonal blocks that the threshold of the block mask would delete (very small frames) are kept, and counted.',
    'Thresholds of the verdicts.',
  ],
  limits: [
    'Padded text tokens are not masked: give only the tokens that are there.',
    'Whether a layer or a step of diffusion runs dense is decided by the caller.',
    'Claims about video models, their tuning and the quality of their clips cannot be checked here.',
    'The lab’s heads are synthetic and its denoising is untrained; a clip with fewer frames than the grid repeats them.',
  ],
  fit: (grid) => {
    const perFrame = grid.slice(1).reduce((product, length) => product * length, 1);
    // a block mask says something where a frame has several blocks; below, the mask of the equations does
    return perFrame >= 256
      ? { grid: [...grid], mask: 'blocks', blockSize: 64 }
      : { grid: [...grid], mask: 'tokens', blockSize: Math.min(64, Math.max(8, perFrame)) };
  },
  mechanism: async () => (await import('./mechanism.ts')).radialAttention,
  reference: async () => (await import('./reference.ts')).radialAttention,
  claims: async () => (await import('./claims.ts')).claims,
  trials: async () => ({ denoise: (await import('./denoise.ts')).denoise }),
});
