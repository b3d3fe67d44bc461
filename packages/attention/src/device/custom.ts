import { DeviceError } from '../errors.ts';
import { checkShape, type DType, type Shape, type Tensor } from '../tensor.ts';
import { assemble as assembleKernel, type Kernel, type KernelSource } from '../wgsl/assemble.ts';
import type { Bindings } from '../wgsl/bindings.ts';
import type { Device } from './device.ts';
import { type Gpu, GpuTensor } from './gpu.ts';

/** What a kernel of your own is launched with: a tensor per storage binding, numbers per uniform. */
export type KernelValues<B extends Bindings> = {
  [K in keyof B]: B[K] extends { kind: 'uniform'; fields: infer F }
    ? Record<keyof F & string, number>
    : Tensor;
};

/**
 * Joins the parts of a WGSL kernel of your own, in the form of Saccade's: bindings, memory, stages, entry.
 * For baselines and experiments that attend() does not cover. `main` sees `workgroup` and `lane` (both u32).
 * @throws DeviceError if its workgroup memory exceeds 16 KiB, which every WebGPU device has
 */
export function assemble<B extends Bindings>(source: Omit<KernelSource<B>, 'memoryLimit'>): Kernel<B> {
  return assembleKernel({ ...source, memoryLimit: 16_384 });
}

/**
 * Runs `groups` workgroups of a kernel on the device that its tensors live on; resolves when the work is queued.
 * @throws DeviceError if a tensor does not live on a WebGPU device
 */
export async function runKernel<B extends Bindings>(
  kernel: Kernel<B>,
  values: KernelValues<B>,
  groups: number,
): Promise<void> {
  let gpu: Gpu | undefined;
  const buffers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values) as [string, Tensor | Record<string, number>][]) {
    if (kernel.bindings[name]?.kind === 'uniform') {
      buffers[name] = value;
      continue;
    }
    const tensor = onGpu(value as Tensor, name);
    gpu ??= tensor.gpu;
    buffers[name] = tensor.storage;
  }
  if (!gpu)
    throw new DeviceError(`the kernel ${kernel.name} cannot run`, {
      needs: 'at least one tensor',
      has: 'none',
    });
  await gpu.launch(kernel, buffers as never, groups);
}

/**
 * A tensor on the device of `like` whose content a kernel will write.
 * @throws ArgumentError for a bad shape; DeviceError if `like` is not on a WebGPU device or there is no room
 */
export function emptyLike(like: Tensor, shape: Shape, dtype: DType = 'f32'): Tensor {
  checkShape('emptyLike', shape);
  return onGpu(like, 'like').gpu.empty(shape, dtype);
}

/** The largest buffer that a kernel on this device can bind, in bytes; Infinity off the GPU. */
export function largestBuffer(device: Device): number {
  return gpuOf(device)?.limits.maxStorageBufferBindingSize ?? Number.POSITIVE_INFINITY;
}

/** Whether kernels on this device may use a WebGPU feature, such as `shader-f16`; false off the GPU. */
export function offers(device: Device, feature: string): boolean {
  return gpuOf(device)?.features.has(feature) ?? false;
}

function gpuOf(device: Device): Gpu | undefined {
  const probe = device.tensor([0], [1]);
  try {
    return probe instanceof GpuTensor ? probe.gpu : undefined;
  } finally {
    probe.dispose();
  }
}

function onGpu(tensor: Tensor, name: string): GpuTensor {
  if (tensor instanceof GpuTensor) return tensor;
  throw new DeviceError(`${name} cannot be used by a WGSL kernel`, {
    needs: 'a tensor on a WebGPU device',
    has: `one on ${tensor.device.kind}`,
  });
}
