import type { Gpu, GpuTensor } from '../packages/attention/src/device/gpu.ts';
import { bytesPerElement, sizeOf } from '../packages/attention/src/tensor.ts';
import { randomArray } from '../packages/attention/src/testing/close.ts';

const PERIOD = 2 ** 20;

/** A tensor of random numbers that repeat every 2^20: making 10^8 of them on the host takes longer than measuring. */
export function repeatedRandom(
  gpu: Gpu,
  shape: readonly number[],
  dtype: 'f16' | 'f32',
  seed: number,
): GpuTensor {
  const size = sizeOf(shape);
  const period = Math.min(size, PERIOD);
  const small = gpu.tensor(randomArray(seed, [period]), [period], dtype);
  const tensor = gpu.empty(shape, dtype);
  const each = bytesPerElement(dtype);
  const encoder = gpu.device.createCommandEncoder();
  for (let at = 0; at < size; at += period)
    encoder.copyBufferToBuffer(
      small.storage,
      0,
      tensor.storage,
      at * each,
      Math.min(period, size - at) * each,
    );
  gpu.device.queue.submit([encoder.finish()]);
  small.dispose();
  return tensor;
}
