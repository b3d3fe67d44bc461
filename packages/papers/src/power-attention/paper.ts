import { z } from 'zod';
import { definePaper } from '../kit/paper.ts';

/** The paper's own pattern, and the static patterns that it is compared with. */
export const patternNames = ['power', 'window', 'slash', 'dilated', 'longnet', 'full'] as const;
export type PatternName = (typeof patternNames)[number];

/** The only declaration of the options: parser, defaults, command line, sliders and README table come from it. */
export const options = z.strictObject({
  grid: z.array(z.int().min(1)).min(1).max(3).optional().meta({
    label: 'grid',
    description: 'tokens along each axis, last axis fastest; their product is the number of tokens',
  }),
  pattern: z.enum(patternNames).default('power').meta({
    label: 'pattern',
    description: 'power is the method; the others are the static masks that it is compared with',
  }),
  blockSize: z.int().min(1).max(4096).default(64).meta({
    label: 'block size',
    unit: 'tokens',
    description: 'distances are counted in blocks of this many tokens; the paper uses 256',
  }),
  windowBlocks: z.int().min(1).max(4096).default(5).meta({
    label: 'window',
    unit: 'blocks',
    description: 'nearest blocks that are always seen, own block included',
  }),
  sinkBlocks: z.int().min(0).max(4096).default(1).meta({
    label: 'sink',
    unit: 'blocks',
    description: 'first blocks of the sequence that are always seen',
  }),
  period: z.int().min(1).max(4096).default(31).meta({
    label: 'slash period',
    unit: 'blocks',
    description: 'of the slash pattern only: every block distance that it divides is seen',
  }),
  causal: z
    .literal(true, {
      error: ({ input }) => `power-attention is causal: causal is ${String(input)}; allowed: true`,
    })
    .default(true)
    .meta({ label: 'causal', description: 'a query never sees later keys; cannot be switched off' }),
});
export type Options = z.output<typeof options>;

export const paper = definePaper<Options>({
  slug: 'power-attention',
  idea: 'Attend to blocks at power-of-two distances: reach doubles with each layer.',
  inputs: ['text'],
  options,
  reconstructed: [
    'The period of the slash pattern: chosen so that its last row has as many blocks as the method.',
    "LongNet's segments and dilations, at block instead of token granularity.",
    'Thresholds of the verdicts.',
  ],
  limits: [
    'Left-padded batches are not supported: block 0 starts at the first token of the tensors.',
    'The hybrid with full layers between, and the trained comparison of the patterns, wait for the training package.',
    'Whether trained models answer the digit task is not yet measured: the lab says which patterns can, for 128 blocks apart from the text.',
  ],
  fit: (grid) => {
    const tokens = grid.reduce((product, length) => product * length, 1);
    // some thirty blocks, so that a short text has distances worth seeing; never beyond the kernel's own tile
    const blockSize = Math.min(64, Math.max(1, 2 ** Math.floor(Math.log2(Math.max(tokens / 32, 1)))));
    return { grid: [...grid], blockSize, windowBlocks: 2 };
  },
  mechanism: async () => (await import('./mechanism.ts')).powerAttention,
  reference: async () => (await import('./reference.ts')).powerAttention,
  claims: async () => (await import('./claims.ts')).claims,
  trials: async () => ({ prefill: (await import('./prefill.ts')).prefill }),
});
