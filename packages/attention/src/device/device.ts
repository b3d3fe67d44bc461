import type { SelectionKernels } from '../select/request.ts';
import type { AttendRequest, AttendResult, MergeRequest } from '../softmax/request.ts';
import type { DType, NumberArray, Shape, Tensor } from '../tensor.ts';

export type DeviceKind = 'reference' | 'wasm' | 'webgpu';

/** Which kind of kernel runs. `portable`, `subgroup` and `matrix` are WebGPU's; the first is the one of this version. */
export type Tier = 'reference' | 'wasm' | 'portable' | 'subgroup' | 'matrix';

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
  close(): Promise<void>;
  readonly kernels: Kernels;
}

/** What a backend implements. Same meaning everywhere; the reference says what is right. */
export interface Kernels extends SelectionKernels {
  attend(request: AttendRequest): Promise<AttendResult>;
  merge(request: MergeRequest): Promise<AttendResult>;
}

export type { DType, NumberArray, Shape, Tensor };
