import type { Gpu } from '../device/gpu.ts';
import { throwIfAborted } from '../errors.ts';
import type { Kernel } from '../wgsl/assemble.ts';
import type { Arguments, Bindings } from '../wgsl/bindings.ts';
import { groupsPerSubmission } from './webgpu-output.ts';

/** Queues a kernel whose workgroups share `flops` evenly, in pieces that no watchdog minds. */
export async function launchInPieces<B extends Bindings>(
  gpu: Gpu,
  work: {
    kernel: Kernel<B>;
    values: Arguments<B>;
    groups: number;
    flops: number;
    signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { kernel, values, groups, flops, signal } = work;
  const step = groupsPerSubmission(gpu, groups, flops);
  for (let first = 0; first < groups; first += step) {
    await gpu.pipeline(kernel);
    throwIfAborted(signal);
    await gpu.launch(kernel, values, Math.min(step, groups - first), first);
    if (step < groups) await gpu.finish();
  }
}
