import { invariant } from '../../errors.ts';
import { type BackwardKernelOptions, type BackwardOptionsOfSide, plainBackward } from './backward-options.ts';
import { matrixBackward } from './matrix-backward.ts';
import { chooseMatrixBackward } from './matrix-backward-tile.ts';
import { portableBackward } from './portable-backward.ts';
import { chooseBackwardTile, type Side } from './portable-backward-tile.ts';
import { type Gathered, gatherFields } from './portable-table-gradients.ts';

const limits = { memoryBytes: 32768, threads: 256, software: false };

const sums: Gathered = { step: 'add', reads: [], blockSums: 0, fields: gatherFields(1) };

const examples: { name: string; side: Side; rows: number; options?: Partial<BackwardKernelOptions> }[] = [
  { name: 'queries-64', side: 'queries', rows: 4096 },
  {
    name: 'keys-causal-64',
    side: 'keys',
    rows: 4096,
    options: { causalTiles: true, onlyCausal: true },
  },
  { name: 'keys-blocks-64', side: 'keys', rows: 64, options: { keys: 'blocks' } },
  { name: 'tables-block-sums-64', side: 'tables', rows: 64, options: { keys: 'blocks', gathered: sums } },
];

const onMatrix: {
  name: string;
  side: 'queries' | 'keys';
  options?: Partial<BackwardOptionsOfSide>;
}[] = [
  { name: 'queries-64', side: 'queries' },
  { name: 'keys-causal-64', side: 'keys', options: { causalTiles: true, onlyCausal: true } },
  { name: 'keys-blocks-64', side: 'keys', options: { keys: 'blocks' } },
];

function matrixExamples(): [name: string, code: string][] {
  return onMatrix.map(({ name, side, options }) => {
    const call = {
      ...plainBackward,
      headDim: 64,
      valueDim: 64,
      storage: 'f16' as const,
      gradientStorage: 'f16' as const,
      memoryLimit: 49152,
      ...options,
      side,
    };
    const slots = { keys: { slots: 4096, block: 64 }, queryBlock: 64 };
    const shape = chooseMatrixBackward(call, call.keys === 'blocks' ? 64 : 4096, slots, {
      memoryBytes: 49152,
      threads: 1024,
    });
    invariant(shape !== undefined, `no tile for ${name}`);
    return [`softmax-backward-matrix-${name}.wgsl`, matrixBackward([call, shape]).code];
  });
}

/** WGSL of chosen options of the backward pass, by file name. */
export function exampleBackwardKernels(): [name: string, code: string][] {
  const portable = examples.map(({ name, side, rows, options }) => {
    const kernel = portableBackward({
      side,
      tile: chooseBackwardTile(side, rows, 64, 64, limits),
      ...plainBackward,
      headDim: 64,
      valueDim: 64,
      memoryLimit: limits.memoryBytes,
      ...options,
    });
    return [`softmax-backward-portable-${name}.wgsl`, kernel.code] as [string, string];
  });
  return [...portable, ...matrixExamples()];
}
