import type { BenchCase } from '../packages/site/src/shared/bench.ts';
import { jax } from './peers/jax.ts';
import { onnxruntime } from './peers/onnxruntime.ts';
import type { Peer } from './peers/peer.ts';
import { saccade } from './peers/saccade.ts';
import { tensorflow } from './peers/tensorflow.ts';

/** Ours first: outputs of the others are compared with the first that runs. PyTorch is another process: torch.ts. */
export const peers: readonly Peer[] = [
  saccade('wasm'),
  onnxruntime('cpu'),
  tensorflow('wasm'),
  jax('wasm'),
  saccade('webgpu'),
  saccade('webgpu', 'portable'),
  saccade('webgpu', 'subgroup'),
  saccade('webgpu', 'matrix'),
  onnxruntime('webgpu'),
  jax('webgpu'),
  tensorflow('webgpu'),
];

/** How a case is timed, beside what it is. */
export interface TimedCase {
  readonly facts: BenchCase;
  /**
   * Attentions in one timed run, each forward one on the output of the one before. Two lengths: the time of one attention is the
   * difference over the difference, so that what is paid once a run drops out, copies to the host among it.
   */
  readonly chains: readonly [number] | readonly [number, number];
  readonly rounds: number;
}

const processor: Omit<BenchCase, 'id' | 'title' | 'threads'> = {
  pass: 'forward',
  mask: { kind: 'none' },
  dtype: 'f32',
  batch: 1,
  heads: 8,
  queryTokens: 1024,
  keyTokens: 1024,
  headDim: 64,
};

const gpu: Omit<BenchCase, 'id' | 'title'> = {
  pass: 'forward',
  mask: { kind: 'none' },
  dtype: 'f16',
  batch: 1,
  heads: 16,
  queryTokens: 8192,
  keyTokens: 8192,
  headDim: 128,
};
const long = { queryTokens: 32_768, keyTokens: 32_768 };

/** What is compared, smallest first within processors and graphics processors. */
export const cases: readonly TimedCase[] = [
  {
    facts: { ...processor, id: 'processor', title: 'Processor, dense, two threads', threads: 2 },
    chains: [1],
    rounds: 25,
  },
  {
    facts: { ...processor, id: 'processor-one-thread', title: 'Processor, dense, one thread', threads: 1 },
    chains: [1],
    rounds: 15,
  },
  {
    facts: { ...gpu, id: 'dense-f32', title: 'Dense', dtype: 'f32', queryTokens: 4096, keyTokens: 4096 },
    chains: [2, 10],
    rounds: 9,
  },
  {
    facts: {
      ...gpu,
      id: 'decode',
      title: 'Decoding, one query a head',
      heads: 32,
      queryTokens: 1,
      ...{ keyTokens: 32_768 },
    },
    chains: [16, 400],
    rounds: 9,
  },
  {
    facts: { ...gpu, id: 'dense-f16-64', title: 'Dense', headDim: 64 },
    chains: [2, 26],
    rounds: 9,
  },
  { facts: { ...gpu, id: 'dense-f16-128', title: 'Dense' }, chains: [2, 18], rounds: 9 },
  {
    facts: { ...gpu, id: 'causal', title: 'Causal', mask: { kind: 'causal' } },
    chains: [2, 42],
    rounds: 9,
  },
  {
    facts: {
      ...gpu,
      ...long,
      id: 'window',
      title: 'Causal window of 1024',
      mask: { kind: 'window', size: 1024 },
    },
    chains: [2, 34],
    rounds: 9,
  },
  {
    facts: {
      ...gpu,
      ...long,
      id: 'blocks',
      title: '10 % of blocks of 64',
      mask: { kind: 'blocks', block: 64, kept: 51, seed: 7 },
    },
    chains: [1, 13],
    rounds: 9,
  },
  {
    facts: { ...gpu, ...long, id: 'dense-long', title: 'Dense' },
    chains: [1, 3],
    rounds: 5,
  },
  {
    facts: { ...gpu, id: 'backward-64', title: 'Backward', pass: 'backward', headDim: 64 },
    chains: [1, 4],
    rounds: 9,
  },
  {
    facts: { ...gpu, id: 'backward-128', title: 'Backward', pass: 'backward' },
    chains: [1, 4],
    rounds: 9,
  },
];

/** The same case at a size that a software adapter gets through: to try the bench, not to compare. */
export function quick({ facts, chains }: TimedCase): TimedCase {
  const shrink = (tokens: number) => Math.min(tokens, 256);
  const { mask } = facts;
  return {
    facts: {
      ...facts,
      heads: Math.min(facts.heads, 2),
      queryTokens: shrink(facts.queryTokens),
      keyTokens: shrink(facts.keyTokens),
      mask:
        mask.kind === 'blocks' ? { ...mask, kept: 2 } : mask.kind === 'window' ? { ...mask, size: 64 } : mask,
    },
    chains,
    rounds: 3,
  };
}
