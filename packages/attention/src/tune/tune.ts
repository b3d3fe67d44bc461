import type { Device, GpuTier } from '../device/device.ts';
import type { WebGPUDevice } from '../device/webgpu.ts';
import { ArgumentError } from '../errors.ts';
import type { Storage } from '../softmax/tiers/access.ts';
import type { TunedMask } from './masks.ts';

export type { TunedMask };

export interface TuneOptions {
  /** Default: 64 and 128. Values have as many channels. */
  headDims?: readonly number[];
  /** Default: both. */
  dtypes?: readonly Storage[];
  /** Default: dense, causal and blocks-64. */
  masks?: readonly TunedMask[];
  /** Tokens of queries and of keys; default: 2048 and 8192. What is found serves all sizes of the same bucket. */
  tokens?: readonly number[];
  /** Batch times heads; default: 16. */
  batchHeads?: readonly number[];
  signal?: AbortSignal;
  /** Told before each family: how many are done, of how many, and the family in words. */
  progress?: (done: number, of: number, what: string) => void;
}

/** What a search found for a family of calls. */
export interface TunedFamily {
  name: string;
  tier: GpuTier;
  /** Batch times heads, and tokens, of the call that was timed: fewer than asked for where one takes long. */
  batchHeads: number;
  tokens: number;
  /** The tile that attend() uses from now on, in words; undefined: the tier's own choice. */
  tile: string | undefined;
  /** Milliseconds of a call; undefined where nothing could be timed. */
  timeMs: number | undefined;
  /** The same with the tier's own choice. */
  ownChoiceMs: number | undefined;
  /** Candidates that were timed, with the median of their samples. */
  timed: { tile: string | undefined; medianMs: number; samplesMs: number[] }[];
  /** Candidates that were not, with the reason. */
  dropped: { tile: string | undefined; reason: string }[];
}

export interface TuneResult {
  families: TunedFamily[];
  /** Where tuned tiles are kept for later runs, in words; undefined: there is no such place here. */
  place: string | undefined;
  /** Whether this result is. */
  kept: boolean;
  /** Why what earlier runs kept was not used, or why this result is not kept; undefined: nothing was wrong. */
  note: string | undefined;
}

/**
 * Times the tiles that a WebGPU device's kernels may be cut into, for families of calls, and makes attend() use the fastest
 * from then on: on this device, and on this adapter in later runs. Each tile first computes as the portable kernel does on a
 * small input of odd size. Takes a few seconds a family; attend() alone never searches.
 *
 * @throws ArgumentError if the device is not WebGPU's or an option does not fit; DeviceError if the device is lost; the
 *   signal's reason when cancelled (families that were done stay)
 */
export async function tune(device: Device, options: TuneOptions = {}): Promise<TuneResult> {
  if (device.kind !== 'webgpu')
    throw new ArgumentError('tune', 'device', `a device of the kind ${device.kind}`, 'a WebGPU device');
  // few pages search: the others do not load it
  const { searchFamilies } = await import('./search.ts');
  return searchFamilies((device as WebGPUDevice).gpu, options);
}
