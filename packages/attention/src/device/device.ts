import type { CacheKernels } from '../cache/request.ts';
import type { SelectionKernels } from '../select/request.ts';
import type {
  AttendGradients,
  AttendRequest,
  AttendResult,
  BackwardRequest,
  MergeRequest,
} from '../softmax/request.ts';
import type { DType, NumberArray, Shape, Tensor } from '../tensor.ts';

export type DeviceKind = 'reference' | 'wasm' | 'webgpu';

/** The tiers that each kind of device may have; WebGPU's from the one that runs everywhere to the one that needs most. */
export const tiersOf = {
  reference: ['reference'],
  wasm: ['wasm'],
  webgpu: ['portable', 'subgroup', 'matrix'],
} as const satisfies Record<DeviceKind, readonly string[]>;

/** Which kind of kernel runs. */
export type Tier = (typeof tiersOf)[DeviceKind][number];

/** WebGPU's: `portable` uses plain WGSL, `subgroup` exchanges numbers between lanes, `matrix` the GPU's matrix units. */
export type GpuTier = (typeof tiersOf)['webgpu'][number];

export interface Memory {
  /** Bytes of live tensors and scratch. Freed GPU buffers that are kept for reuse (at most 256 MiB) are not counted. */
  currentBytes: number;
  /** Highest value of currentBytes since the last resetPeak(). */
  peakBytes: number;
}

/**
 * Where tensors live and kernels run. Opened with openDevice(), closed with close().
 * The kernels receive requests that the public functions have checked; they trust them.
 */
export interface Device {
  readonly kind: DeviceKind;
  /** The best tier that its kernels use. A call that this tier has no kernel for runs on a lower one: its result says so. */
  readonly tier: Tier;
  /** In words for the reader: adapter and driver, or processor and thread count. */
  readonly description: string;
  readonly capabilities: Readonly<Record<string, string | number | boolean>>;
  /** Copies `data` to the device. dtype defaults to f32 (f64 on the reference; u32 for a Uint32Array). */
  tensor(data: ArrayLike<number>, shape: Shape, dtype?: DType): Tensor;
  /** Resolves when all queued work is done; rejects with DeviceError if the device was lost. */
  finish(): Promise<void>;
  readonly memory: Readonly<Memory>;
  resetPeak(): void;
  /** Resolves with the reason once the device is lost; never for the reference and WASM. */
  readonly lost: Promise<string>;
  /** Calls check the lists of their plans first, also those that a selection left on the device. */
  readonly debug: boolean;
  close(): Promise<void>;
  readonly kernels: Kernels;
}

/** What a backend implements. Same meaning everywhere; the reference says what is right. */
export interface Kernels extends SelectionKernels {
  attend(request: AttendRequest): Promise<AttendResult>;
  attendBackward(request: BackwardRequest): Promise<AttendGradients>;
  merge(request: MergeRequest): Promise<AttendResult>;
  readonly cache: CacheKernels;
}

export type { DType, NumberArray, Shape, Tensor };
