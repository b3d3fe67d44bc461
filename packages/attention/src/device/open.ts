import { ArgumentError, DeviceError } from '../errors.ts';
import { type Device, type DeviceKind, type Tier, tiersOf } from './device.ts';

export interface OpenOptions {
  /** The tier to use; default: the best that the adapter has. With the kind `auto` it names the kind of device, too. */
  tier?: Tier;
  /** WASM threads; default: the processor's, where shared memory is allowed, else 1. */
  threads?: number;
  /** Dawn features to enable besides those that tiers need, in Node only. */
  dawnFeatures?: readonly string[];
  /**
   * A GPUDevice that another library has opened (or will be given), so that buffers need no copying between the two.
   * It stays its owner's: close() frees what is ours and leaves the device open. For the kind webgpu only.
   */
  gpuDevice?: GPUDevice;
  /**
   * Checks, before each call, that the lists of its plan name tokens and blocks that exist, by reading them back: slow, for
   * finding mistakes. Without it such a token or block counts as no key. Default: false.
   */
  debug?: boolean;
  /** false: kernels have their tiers' own tiles, whatever tune() found on this adapter. WebGPU only. */
  tuned?: boolean;
}

const kinds = ['reference', 'wasm', 'webgpu'] as const;

/**
 * Opens a device. `auto` takes WebGPU where there is an adapter, else WASM.
 * Close it when done; results of attend() and friends live on it.
 * @throws ArgumentError for an unknown kind or tier; DeviceError, saying what is missing, where the machine has no such device
 */
export async function openDevice(
  kind: DeviceKind | 'auto' = 'auto',
  options: OpenOptions = {},
): Promise<Device> {
  if (options.gpuDevice && (kind === 'reference' || kind === 'wasm'))
    throw new ArgumentError(
      'openDevice',
      'gpuDevice',
      `given for the kind ${kind}`,
      'with the kind webgpu only',
    );
  switch (kind) {
    case 'reference': {
      const { ReferenceDevice } = await import('./reference.ts');
      return new ReferenceDevice(options.debug);
    }
    case 'wasm': {
      const { openWasm } = await import('./wasm.ts');
      return openWasm(options);
    }
    case 'webgpu': {
      const { openWebGPU } = await import('./webgpu.ts');
      return openWebGPU(options);
    }
    case 'auto': {
      const { tier } = options;
      const named = kinds.find((one) => (tiersOf[one] as readonly Tier[]).includes(tier as Tier));
      if (named) return openDevice(named, options);
      try {
        return await openDevice('webgpu', options);
      } catch (error) {
        if (!(error instanceof DeviceError) || options.gpuDevice) throw error;
        return openDevice('wasm', options);
      }
    }
    default:
      throw new ArgumentError('openDevice', 'kind', kind, `${kinds.join(', ')} or auto`);
  }
}
