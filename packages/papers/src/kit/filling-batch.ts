import type { ClaimRun } from './claim.ts';

/** Numbers of a tensor, 128 MiB in f32: the most that WebGPU promises to bind. */
const MOST_NUMBERS = 2 ** 25;

/**
 * How many inputs a timed call takes at once, so that a GPU works on it longer than the processor takes to queue it: some 0.1 ms,
 * for which a short call would be timed otherwise. 1 in quick runs, and where a processor computes.
 * @param numbers of one input's query
 */
export function fillingBatch({ device, quick }: Pick<ClaimRun, 'device' | 'quick'>, numbers: number): number {
  const hardware = device.kind === 'webgpu' && device.capabilities.software !== true;
  return hardware && !quick ? Math.max(1, Math.floor(MOST_NUMBERS / numbers)) : 1;
}
