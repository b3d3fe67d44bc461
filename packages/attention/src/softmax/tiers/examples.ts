import type { GpuTier } from '../../device/device.ts';
import {
  type MaskFunction,
  type Positions,
  type ScoreFunction,
  traceMask,
  traceScore,
} from '../../mods/expression.ts';
import { compileToWgsl } from '../../mods/to-wgsl.ts';
import { exampleBackwardKernels } from './backward-examples.ts';
import { decodeSplit } from './decode.ts';
import { decodeMerge } from './decode-merge.ts';
import { chooseDecodeTile } from './decode-tile.ts';
import { chooseForward, loadMatrixTier, type Machine } from './forward.ts';
import { type ForwardOptions, plainForward } from './forward-options.ts';
import { fillTiles, gatherQueries, mergeTiles } from './portable-key-major.ts';

await loadMatrixTier();

const machine = { memoryBytes: 32768, threads: 256, software: false, subgroupMin: 32 };

interface Example {
  name: string;
  tier?: GpuTier;
  queryBlock?: number;
  headDim: number;
  valueDim?: number;
  machine?: Partial<Machine>;
  options?: Partial<ForwardOptions>;
  keep?: MaskFunction;
  change?: ScoreFunction;
}

const halves = { storage: 'f16', outputStorage: 'f16' } as const;

const examples: Example[] = [
  { name: 'dense-128', headDim: 128 },
  { name: 'dense-128-16-kib', headDim: 128, machine: { memoryBytes: 16384 } },
  { name: 'dense-33', headDim: 33 },
  { name: 'dense-64-f16', headDim: 64, options: { storage: 'f16', outputStorage: 'f16' } },
  { name: 'causal-64', headDim: 64, options: { stopEarly: true }, keep: ({ query, key }) => key.le(query) },
  { name: 'soft-cap-64', headDim: 64, change: ({ score }) => score.div(30).tanh().mul(30) },
  { name: 'blocks-64', queryBlock: 64, headDim: 64, options: { keys: 'blocks' } },
  {
    name: 'blocks-16-window',
    queryBlock: 16,
    headDim: 64,
    options: { keys: 'blocks', honourFullBlocks: true },
    keep: ({ query, key }) => query.sub(key).abs().lt(64),
  },
  { name: 'selected-blocks-64', queryBlock: 64, headDim: 64, options: { keys: 'blocks', lists: 'tensors' } },
  {
    name: 'ranges-in-order-64',
    queryBlock: 32,
    headDim: 64,
    options: { keys: 'ranges', queryOrder: true, keyOrder: true },
  },
  { name: 'boxes-zero-64', queryBlock: 49, headDim: 64, options: { keys: 'boxes', outside: 'zero' } },
  {
    name: 'epilogue-64',
    headDim: 64,
    valueDim: 96,
    options: { epilogueScale: 'f32', epilogueAdd: 'f16' },
  },
  ...[
    { name: 'dense-64-f16', headDim: 64, options: halves },
    { name: 'dense-128-f16', headDim: 128, options: halves, machine: { memoryBytes: 49152 } },
    { name: 'dense-64-lanes-of-4', headDim: 64, options: halves, machine: { subgroupMin: 4 } },
    { name: 'dense-33', headDim: 33 },
    {
      name: 'causal-64-f16',
      headDim: 64,
      options: { ...halves, stopEarly: true, maskIsCausal: true },
      keep: ({ query, key }: Positions) => key.le(query),
    },
    {
      name: 'blocks-16-window-f16',
      queryBlock: 16,
      headDim: 64,
      options: { ...halves, keys: 'blocks' as const, honourFullBlocks: true },
      keep: ({ query, key }: Positions) => query.sub(key).abs().lt(64),
    },
  ].map((example) => ({ ...example, tier: 'subgroup' as const })),
  ...[
    { name: 'dense-64', headDim: 64 },
    { name: 'dense-128', headDim: 128 },
    { name: 'dense-256', headDim: 256 },
    { name: 'dense-33', headDim: 33, options: { outputStorage: 'f32' as const } },
    {
      name: 'causal-128',
      headDim: 128,
      options: { stopEarly: true, maskIsCausal: true },
      keep: ({ query, key }: Positions) => key.le(query),
    },
    {
      name: 'band-64',
      queryBlock: 128,
      headDim: 64,
      options: { keys: 'band' as const, honourFullBlocks: true, maskIsBand: true },
      keep: ({ query, key }: Positions) => key.le(query).and(query.sub(key).lt(1024)),
    },
    { name: 'blocks-64', queryBlock: 64, headDim: 64, options: { keys: 'blocks' as const } },
    {
      name: 'blocks-64-window',
      queryBlock: 64,
      headDim: 64,
      options: { keys: 'blocks' as const, honourFullBlocks: true },
      keep: ({ query, key }: Positions) => query.sub(key).abs().lt(64),
    },
    {
      name: 'blocks-64-orders-window',
      queryBlock: 64,
      headDim: 64,
      options: { keys: 'blocks' as const, queryOrder: true, keyOrder: true, honourFullBlocks: true },
      keep: ({ query, key }: Positions) => query.sub(key).abs().lt(64),
    },
    {
      name: 'boxes-zero-64',
      queryBlock: 49,
      headDim: 64,
      options: { keys: 'boxes' as const, outside: 'zero' as const },
    },
  ].map((example) => ({
    ...example,
    options: { ...halves, ...example.options },
    tier: 'matrix' as const,
    machine: { memoryBytes: 49152, threads: 1024 },
  })),
];

/** WGSL of chosen options, by name: for reading, and for the difference that a change makes. */
export function exampleKernels(): Map<string, string> {
  return new Map([...tiledKernels(), ...decodeKernels(), ...keyMajorKernels(), ...exampleBackwardKernels()]);
}

function tiledKernels(): [string, string][] {
  return examples.map((example) => {
    const { name, tier = 'portable', queryBlock = 4096 } = example;
    const limits = { ...machine, ...example.machine };
    const options = optionsOf(example);
    const block = queryBlock === 4096 ? 1 : queryBlock;
    const blocks = { queryBlock, keys: { slots: 4096, block, filled: true } };
    const { kernel } = chooseForward(options, blocks, limits, tier, tier);
    return [`softmax-forward-${tier}-${name}.wgsl`, kernel.code];
  });
}

function optionsOf({ headDim, valueDim = headDim, ...rest }: Omit<Example, 'name'>): ForwardOptions {
  return {
    ...plainForward,
    headDim,
    valueDim,
    keep: rest.keep && compileToWgsl('keep', traceMask(rest.keep), noTable),
    change: rest.change && compileToWgsl('change', traceScore(rest.change), noTable),
    memoryLimit: { ...machine, ...rest.machine }.memoryBytes,
    ...rest.options,
  };
}

/** One row of halves, and three rows of four heads that share keys, under a mask, over block lists. */
function decodeKernels(): [string, string][] {
  const one = optionsOf({ headDim: 128, options: halves });
  const several = optionsOf({
    headDim: 64,
    options: { keys: 'blocks', epilogueAdd: 'f32' },
    keep: ({ query, key }) => key.le(query),
  });
  const split = (options: ForwardOptions, sharedHeads: number, queryBlock: number) => {
    const needs = { sharedHeads, queryBlock, keySlots: 32768, memoryBytes: 32768, wantedGroups: 4224 };
    const tile = chooseDecodeTile({ ...options, ...needs, groups: () => 32 / sharedHeads });
    return decodeSplit({ ...options, tile }).code;
  };
  return [
    ['softmax-decode-split-128-f16.wgsl', split(one, 1, 1)],
    ['softmax-decode-split-64-heads-causal-blocks.wgsl', split(several, 4, 3)],
    ['softmax-decode-merge-128-f16.wgsl', decodeMerge(one).code],
    ['softmax-decode-merge-64-epilogue.wgsl', decodeMerge(several).code],
  ];
}

/** Tiles of queries in an order, halves gathered, and a merge that ends with an epilogue. */
function keyMajorKernels(): [string, string][] {
  const merge = { ...optionsOf({ headDim: 64 }), epilogueScale: 'number', epilogueAdd: 'f32' } as const;
  return [
    ['softmax-key-major-fill-in-order.wgsl', fillTiles({ queryOrder: true }).code],
    ['softmax-key-major-gather-64-f16.wgsl', gatherQueries({ headDim: 64, storage: 'f16' }).code],
    ['softmax-key-major-gather-33-f16.wgsl', gatherQueries({ headDim: 33, storage: 'f16' }).code],
    ['softmax-key-major-merge-64-epilogue.wgsl', mergeTiles(merge).code],
  ];
}

function noTable(): never {
  throw new Error('the examples read no table');
}
