import { ArgumentError, DeviceError } from '../errors.ts';
import { selectionOnGpu } from '../select/webgpu.ts';
import { attendOnGpu, mergeOnGpu } from '../softmax/webgpu.ts';
import type { DType, Shape, Tensor } from '../tensor.ts';
import { findAdapter, isSoftware } from './adapter.ts';
import type { Device, Kernels } from './device.ts';
import { Gpu } from './gpu.ts';
import type { OpenOptions } from './open.ts';

const tiers = ['portable', 'subgroup', 'matrix'] as const;

/** A GPU through WebGPU: the browser's, or Dawn's in Node. */
export class WebGPUDevice implements Device {
  readonly kind = 'webgpu';
  readonly tier = 'portable';
  readonly description: string;
  readonly capabilities: Device['capabilities'];
  readonly kernels: Kernels;
  /** For measuring and for tests: what the kernels run on. */
  readonly gpu: Gpu;

  constructor(gpu: Gpu, description: string) {
    this.gpu = gpu;
    this.description = description;
    const { limits, device } = gpu;
    this.capabilities = {
      software: gpu.software,
      subgroups: device.features.has('subgroups'),
      shaderF16: device.features.has('shader-f16'),
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    };
    this.kernels = {
      attend: (request) => attendOnGpu(gpu, request),
      merge: (request) => mergeOnGpu(gpu, request),
      ...selectionOnGpu(gpu),
    };
    gpu.owner = this;
  }

  get memory() {
    return this.gpu.memory;
  }

  get lost(): Promise<string> {
    return this.gpu.lost;
  }

  tensor(data: ArrayLike<number>, shape: Shape, dtype?: DType): Tensor {
    return this.gpu.tensor(data, shape, dtype);
  }

  resetPeak(): void {
    this.gpu.memory.peakBytes = this.gpu.memory.currentBytes;
  }

  finish(): Promise<void> {
    return this.gpu.finish();
  }

  async close(): Promise<void> {
    this.gpu.device.destroy();
    await this.gpu.lost;
  }
}

/** Open devices: Dawn's process dies when the garbage collector takes one that is in use. */
const open = new Set<GPUDevice>();

/**
 * Opens WebGPU with the adapter's own limits.
 * @throws ArgumentError for a tier that is none of WebGPU's; DeviceError, saying what to install, where there is no
 *   adapter, or for a tier that this version lacks
 */
export async function openWebGPU(options: OpenOptions = {}): Promise<WebGPUDevice> {
  const { tier = 'portable', dawnFeatures } = options;
  if (!(tiers as readonly string[]).includes(tier))
    throw new ArgumentError('openDevice', 'tier', tier, tiers.join(', '));
  if (tier !== 'portable')
    throw new DeviceError(`the tier '${tier}' is not in this version`, {
      needs: `kernels of the tier '${tier}'`,
      has: "those of the tier 'portable'",
    });
  const adapter = await findAdapter(dawnFeatures);
  const wanted = [
    'maxBufferSize',
    'maxStorageBufferBindingSize',
    'maxStorageBuffersPerShaderStage',
    'maxComputeWorkgroupStorageSize',
    'maxComputeInvocationsPerWorkgroup',
    'maxComputeWorkgroupSizeX',
    'maxComputeWorkgroupsPerDimension',
  ] as const;
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredLimits: Object.fromEntries(wanted.map((limit) => [limit, adapter.limits[limit]])),
    });
  } catch (error) {
    throw new DeviceError(
      'the adapter gave no device',
      { needs: "the adapter's own limits", has: String(error) },
      { cause: error },
    );
  }
  open.add(device);
  const { info } = adapter;
  const words = [info.vendor, info.architecture, info.device, info.description].filter((word) => word);
  const software = isSoftware(adapter);
  if (software) words.push('fallback adapter: software');
  const gpu = new Gpu(device, software);
  gpu.lost.then(() => open.delete(device));
  return new WebGPUDevice(gpu, [...new Set(words)].join(', '));
}
