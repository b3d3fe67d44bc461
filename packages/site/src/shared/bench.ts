import { z } from 'zod';

/** What a benchmark compares: one shape of attention under one mask. */
export const benchCaseSchema = z.object({
  id: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words joined by -'),
  title: z.string().min(1),
  pass: z.enum(['forward', 'backward']),
  mask: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('none') }),
    z.object({ kind: z.literal('causal') }),
    /** Causal, and only the last `size` keys. */
    z.object({ kind: z.literal('window'), size: z.int().min(1) }),
    /** `kept` of the `keyTokens / block` key blocks for each query block, drawn with the seed. */
    z.object({
      kind: z.literal('blocks'),
      block: z.int().min(1),
      kept: z.int().min(1),
      seed: z.int(),
    }),
  ]),
  dtype: z.enum(['f32', 'f16']),
  batch: z.int().min(1),
  heads: z.int().min(1),
  queryTokens: z.int().min(1),
  keyTokens: z.int().min(1),
  headDim: z.int().min(1),
  /** Of the processor; absent for cases of graphics processors. */
  threads: z.int().min(1).optional(),
});
export type BenchCase = z.infer<typeof benchCaseSchema>;

export const benchResultSchema = z.object({
  case: benchCaseSchema,
  /** Who ran it: saccade-webgpu-portable, onnxruntime-cpu, torch-sdpa … */
  peer: z.string().min(1),
  /** Library, version, device. */
  description: z.string(),
  /** Milliseconds of one attention, one a round. */
  samplesMs: z.array(z.number().finite()).min(1),
  /** Milliseconds as timed, [round][chain length], where samples are differences of chains. */
  rawMs: z.array(z.array(z.number().finite())).optional(),
  /** Attentions one after the other in each timed run. */
  chains: z.array(z.int().min(1)).optional(),
  /** Largest absolute difference of outputs to the first peer that ran the case; null where none was compared. */
  difference: z.number().nullable(),
});
export type BenchResult = z.infer<typeof benchResultSchema>;

/** One run of the bench: a file of bench/results. */
export const benchFileSchema = z.object({
  date: z.string().datetime(),
  commit: z.string(),
  quick: z.boolean(),
  machine: z.object({
    id: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'lower-case words joined by -'),
    adapter: z.string(),
    cpu: z.string(),
    cores: z.int(),
    os: z.string(),
    runtime: z.string(),
  }),
  results: z.array(benchResultSchema),
  skipped: z.array(z.object({ case: z.string(), peer: z.string(), why: z.string() })),
});
export type BenchFile = z.infer<typeof benchFileSchema>;

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Pairs of query and key that the mask keeps, in one head. */
export function keptPairs({ mask, queryTokens, keyTokens }: BenchCase): number {
  const offset = keyTokens - queryTokens; // the last query sees the last key
  const rows = (most: number) => {
    let sum = 0;
    for (let i = 0; i < queryTokens; i++) sum += Math.min(Math.max(i + offset + 1, 0), most);
    return sum;
  };
  switch (mask.kind) {
    case 'none':
      return queryTokens * keyTokens;
    case 'causal':
      return rows(keyTokens);
    case 'window':
      return rows(mask.size);
    case 'blocks':
      return queryTokens * mask.kept * mask.block;
  }
}

/**
 * Floating-point operations on the pairs that are kept: two products forward, five backward, two operations a
 * multiply-add.
 */
export function operations(item: BenchCase): number {
  const products = item.pass === 'forward' ? 2 : 5;
  return 2 * products * item.batch * item.heads * keptPairs(item) * item.headDim;
}
