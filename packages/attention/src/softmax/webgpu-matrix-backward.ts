import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { sizeOf } from '../tensor.ts';
import type { BackwardRequest } from './request.ts';
import type { Storage } from './tiers/access.ts';
import type { BackwardOptionsOfSide } from './tiers/backward-options.ts';
import {
  gradientScales,
  HALVES_OF_GROUP,
  LARGEST,
  largestNumber,
  NUMBERS_OF_GROUP,
  scaledHalves,
} from './tiers/gradient-scales.ts';
import { matrixBackward } from './tiers/matrix-backward.ts';
import {
  type BackwardSlots,
  chooseMatrixBackward,
  type MatrixBackwardTile,
  matrixBackwardShape,
} from './tiers/matrix-backward-tile.ts';

/** The kernel of a side; undefined where the portable one is the right one. `forced`: that tile, for measuring. */
export function matrixBackwardOf(
  options: BackwardOptionsOfSide,
  rows: number,
  slots: BackwardSlots,
  limits: { memoryBytes: number; threads: number },
  forced: MatrixBackwardTile | undefined,
) {
  const { side } = options;
  if (side === 'tables') return undefined;
  const shape = forced
    ? matrixBackwardShape(forced, options, slots)
    : chooseMatrixBackward(options, rows, slots, limits);
  if (!shape) return undefined;
  // halves, whatever the gradient of the output is stored as
  const kernel = matrixBackward([{ ...options, side, gradientStorage: 'f16' }, shape]);
  return { kernel, rowTile: shape.rowTile };
}

/**
 * What the kernels of the matrix units read besides the others' inputs: scales, and the output's gradient as halves.
 * @param rowStats of every row, as the portable kernels take them
 * @param scratch gives a buffer of so many words that the caller releases
 */
export async function halvesForMatrix(
  gpu: Gpu,
  request: BackwardRequest,
  rowStats: GPUBuffer,
  scratch: (words: number, cleared?: boolean) => GPUBuffer,
): Promise<{ scales: GPUBuffer; outputGradient: GPUBuffer }> {
  const { valueDim, keyTokens, keyStride } = request;
  const outputGradient = request.outputGradient as GpuTensor;
  const value = request.value as GpuTensor;
  const largest = scratch(3, true);
  const scales = scratch(4);
  const look = (
    numbers: GPUBuffer,
    storage: Storage,
    size: number,
    place: number,
    rest: { first?: number; spacing?: number; width?: number; stride?: number; rows?: number },
  ) =>
    gpu.launch(
      largestNumber(storage),
      {
        numbers,
        largest,
        shape: { size, place, first: 0, spacing: 1, width: 1, stride: 1, rows: 1, ...rest },
      } as never,
      Math.ceil(size / NUMBERS_OF_GROUP),
    );
  const size = sizeOf(outputGradient.shape);
  await look(outputGradient.storage, outputGradient.dtype as Storage, size, LARGEST.outputGradient, {});
  await look(value.storage, value.dtype as Storage, sizeOf(value.shape), LARGEST.value, {
    width: valueDim,
    stride: keyStride,
    rows: keyTokens,
  });
  await look(rowStats, 'f32', size / valueDim, LARGEST.mean, { first: 1, spacing: 2 });
  const isHalves = outputGradient.dtype === 'f16';
  await gpu.launch(gradientScales, { largest, scales, shape: { valueDim, halves: Number(isHalves) } }, 1);
  if (isHalves) return { scales, outputGradient: outputGradient.storage };
  // rows of halves are read in 16-byte words
  const halves = scratch(4 * Math.ceil(size / 8));
  await gpu.launch(
    scaledHalves,
    { numbers: outputGradient.storage, scales, halves, shape: { size } },
    Math.ceil(size / HALVES_OF_GROUP),
  );
  return { scales, outputGradient: halves };
}
