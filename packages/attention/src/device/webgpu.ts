import { cacheKernelsOnGpu } from '../cache/webgpu.ts';
import { ArgumentError, DeviceError } from '../errors.ts';
import { lazily } from '../lazy.ts';
import { selectionOnGpu } from '../select/webgpu.ts';
import { retileWith } from '../softmax/retile.ts';
import { attendOnGpu } from '../softmax/webgpu.ts';
import type { DType, Shape, Tensor } from '../tensor.ts';
import { findAdapter, isSoftware } from './adapter.ts';
import type { Device, GpuTier, Kernels } from './device.ts';
import { Gpu } from './gpu.ts';
import { guarded } from './in-flight.ts';
import type { OpenOptions } from './open.ts';
import { resolveTier, tierFeatures, usableFeatures } from './tiers.ts';

// pages that only look do not load what trains
const gradients = lazily(() => import('../softmax/webgpu-backward.ts'));
const merging = lazily(() => import('../softmax/webgpu-merge.ts'));

/** A GPU through WebGPU: the browser's, or Dawn's in Node. */
export class WebGPUDevice implements Device {
  readonly kind = 'webgpu';
  readonly description: string;
  readonly capabilities: Device['capabilities'];
  readonly kernels: Kernels;
  readonly debug: boolean;
  /** For measuring and for tests: what the kernels run on. */
  readonly gpu: Gpu;

  constructor(gpu: Gpu, description: string, debug = false) {
    this.debug = debug;
    this.gpu = gpu;
    this.description = description;
    const { limits, subgroups } = gpu;
    this.capabilities = {
      software: gpu.software,
      subgroups: subgroups !== undefined,
      ...(subgroups && { subgroupMinSize: subgroups.min, subgroupMaxSize: subgroups.max }),
      shaderF16: gpu.features.has('shader-f16'),
      subgroupMatrix: gpu.features.has('chromium-experimental-subgroup-matrix'),
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    };
    this.kernels = guarded(gpu.inFlight, {
      attend: (request) => attendOnGpu(gpu, request),
      attendBackward: async (request) => {
        const { attendBackwardOnGpu } = await gradients();
        return attendBackwardOnGpu(gpu, request);
      },
      merge: async (request) => {
        const { mergeOnGpu } = await merging();
        return mergeOnGpu(gpu, request);
      },
      ...selectionOnGpu(gpu),
      cache: cacheKernelsOnGpu(gpu),
    });
    gpu.owner = this;
  }

  get tier(): GpuTier {
    return this.gpu.tier;
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

  close(): Promise<void> {
    return this.gpu.close();
  }
}

/** Open devices: Dawn's process dies when the garbage collector takes one that is in use. */
const open = new Set<GPUDevice>();

/**
 * Opens WebGPU with the adapter's own limits and the features that the tiers use.
 * @throws ArgumentError for a tier that is none of WebGPU's; DeviceError, saying what to install, where there is no
 *   adapter, or saying what the adapter lacks for the tier
 */
export async function openWebGPU(options: OpenOptions = {}): Promise<WebGPUDevice> {
  if (options.gpuDevice) return borrow(options.gpuDevice, options);
  const adapter = await findAdapter(options.dawnFeatures);
  const software = isSoftware(adapter);
  const tier = resolveTier(options.tier, usableFeatures(adapter), software);
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
      requiredFeatures: tierFeatures.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[],
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
  const gpu = new Gpu(device, { software, tier, usable: usableFeatures(adapter), borrowed: false });
  gpu.lost.then(() => open.delete(device));
  return joined(gpu, describe(adapter.info, software), options);
}

function borrow(device: GPUDevice, options: OpenOptions): WebGPUDevice {
  if (typeof device.createComputePipelineAsync !== 'function' || !device.queue)
    throw new ArgumentError('openDevice', 'gpuDevice', String(device), 'a GPUDevice');
  const { adapterInfo: info } = device;
  const software = isSoftware({ info });
  const usable = usableFeatures({ features: device.features, info });
  const tier = resolveTier(options.tier, usable, software);
  const gpu = new Gpu(device, { software, tier, usable, borrowed: true });
  return joined(gpu, `${describe(info, software)}, shared`, options);
}

function joined(
  gpu: Gpu,
  description: string,
  { debug, tuned, dawnFeatures = [] }: OpenOptions,
): WebGPUDevice {
  // nothing waits for it, and where it cannot be loaded the tiers' own tiles do
  if (tuned !== false)
    import('../softmax/tuned.ts').then(
      ({ openTunedTiles }) => openTunedTiles(gpu, retileWith, dawnFeatures),
      () => {},
    );
  return new WebGPUDevice(gpu, description, debug);
}

function describe(info: GPUAdapterInfo, software: boolean): string {
  const words = [info.vendor, info.architecture, info.device, info.description].filter((word) => word);
  if (software) words.push('fallback adapter: software');
  return [...new Set(words)].join(', ');
}
