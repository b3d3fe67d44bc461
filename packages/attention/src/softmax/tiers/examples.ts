import { type MaskFunction, type ScoreFunction, traceMask, traceScore } from '../../mods/expression.ts';
import { compileToWgsl } from '../../mods/to-wgsl.ts';
import { type PortableOptions, portableForward } from './portable.ts';
import { chooseTile } from './portable-tile.ts';

const limits = { memoryBytes: 32768, threads: 256, software: false };

interface Example {
  name: string;
  queryBlock?: number;
  headDim: number;
  valueDim?: number;
  memoryBytes?: number;
  options?: Partial<PortableOptions>;
  keep?: MaskFunction;
  change?: ScoreFunction;
}

const examples: Example[] = [
  { name: 'dense-128', headDim: 128 },
  { name: 'dense-128-16-kib', headDim: 128, memoryBytes: 16384 },
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
];

/** WGSL of chosen options, by name: for reading, and for the difference that a change makes. */
export function exampleKernels(): Map<string, string> {
  return new Map(
    examples.map(
      ({
        name,
        queryBlock = 4096,
        headDim,
        valueDim = headDim,
        memoryBytes = limits.memoryBytes,
        ...rest
      }) => {
        const options: PortableOptions = {
          tile: chooseTile(queryBlock, headDim, valueDim, { ...limits, memoryBytes }),
          headDim,
          valueDim,
          storage: 'f32',
          outputStorage: 'f32',
          keys: 'all',
          lists: 'packed',
          queryOrder: false,
          keyOrder: false,
          outside: 'skip',
          stopEarly: false,
          honourFullBlocks: false,
          keep: rest.keep && compileToWgsl('keep', traceMask(rest.keep), noTable),
          change: rest.change && compileToWgsl('change', traceScore(rest.change), noTable),
          tableStages: [],
          tableBindings: {},
          epilogueScale: 'none',
          epilogueAdd: 'none',
          memoryLimit: memoryBytes,
          ...rest.options,
        };
        return [`softmax-forward-portable-${name}.wgsl`, portableForward(options).code];
      },
    ),
  );
}

function noTable(): never {
  throw new Error('the examples read no table');
}
