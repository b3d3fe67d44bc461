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
export function keptPairs({
  mask,
  queryTokens,
  keyTokens,
}: Pick<BenchCase, 'mask' | 'queryTokens' | 'keyTokens'>): number {
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

/** A stored run with the name of its file, without `.json`. */
export interface StoredBench {
  name: string;
  file: BenchFile;
}

/** What ran one case on one machine, side by side in one run. */
export interface Comparison {
  facts: BenchCase;
  machine: BenchFile['machine'];
  /** Where it is stored, and of which day and commit it is. */
  name: string;
  date: string;
  commit: string;
  /** Ours first, then the others, each with the faster first. */
  results: readonly BenchResult[];
}

export const isOurs = ({ peer }: { peer: string }) => peer.startsWith('saccade');

/** The latest full run of each case on each machine, in the order of the machines' latest runs and of their cases. */
export function latestComparisons(stored: readonly StoredBench[]): Comparison[] {
  const found = new Map<string, Comparison>();
  const byDate = stored
    .filter(({ file }) => !file.quick)
    .sort((a, b) => b.file.date.localeCompare(a.file.date));
  for (const { name, file } of byDate) {
    for (const { case: facts } of file.results) {
      const key = `${file.machine.id} ${facts.id}`;
      if (found.get(key)) continue;
      const results = file.results
        .filter((result) => result.case.id === facts.id)
        .sort((a, b) => Number(isOurs(b)) - Number(isOurs(a)) || median(a.samplesMs) - median(b.samplesMs));
      const { machine, date, commit } = file;
      found.set(key, { facts, machine, name, date, commit, results });
    }
  }
  const machines = [...new Set(byDate.map(({ file }) => file.machine.id))];
  return [...found.values()].sort((a, b) => machines.indexOf(a.machine.id) - machines.indexOf(b.machine.id));
}

/** 1 x 16 x 4096 x 128, f32: batch, heads, tokens, headDim; queries of keys where they differ. */
export function shapeInWords({ batch, heads, queryTokens, keyTokens, headDim, dtype }: BenchCase): string {
  const tokens = queryTokens === keyTokens ? `${queryTokens}` : `${queryTokens} of ${keyTokens}`;
  return `${batch} x ${heads} x ${tokens} x ${headDim}, ${dtype}`;
}

/** Operations a second on the pairs that the mask keeps. */
export function rateInWords(item: BenchCase, timeMs: number): string {
  const perSecond = operations(item) / (timeMs / 1e3);
  return perSecond >= 1e12
    ? `${(perSecond / 1e12).toFixed(1)} TFLOP/s`
    : `${(perSecond / 1e9).toFixed(1)} GFLOP/s`;
}

export function timeInWords(timeMs: number): string {
  return `${timeMs >= 100 ? timeMs.toFixed(0) : timeMs.toPrecision(3)} ms`;
}

/** saccade-webgpu-portable as Saccade, WebGPU, portable. */
export function peerInWords(peer: string): string {
  const names: Readonly<Record<string, string>> = {
    'saccade-wasm': 'Saccade, WASM',
    'saccade-webgpu': 'Saccade, WebGPU',
    'onnxruntime-cpu': 'onnxruntime, processor',
    'onnxruntime-webgpu': 'onnxruntime, WebGPU',
    'jax-js-wasm': 'jax-js, WASM',
    'jax-js-webgpu': 'jax-js, WebGPU',
    'tensorflow-js-wasm': 'TensorFlow.js, WASM',
    'tensorflow-js-webgpu': 'TensorFlow.js, WebGPU',
    'torch-sdpa': 'PyTorch SDPA',
    'torch-flex': 'PyTorch FlexAttention',
  };
  const tier = /^saccade-webgpu-(\w+)$/.exec(peer)?.[1];
  return tier ? `Saccade, WebGPU, ${tier}` : (names[peer] ?? peer);
}
