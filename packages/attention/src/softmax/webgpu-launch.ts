import type { Gpu } from '../device/gpu.ts';
import { throwIfAborted } from '../errors.ts';
import type { Kernel } from '../wgsl/assemble.ts';
import type { Arguments, Bindings } from '../wgsl/bindings.ts';

/** Multiply-adds times two that one submission may hold: below what watchdogs of graphics drivers allow. */
const FLOPS_PER_SUBMISSION = { hardware: 1e12, software: 2e10 };

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
  const most = FLOPS_PER_SUBMISSION[gpu.software ? 'software' : 'hardware'];
  const step = Math.max(1, Math.ceil(groups / Math.ceil(Math.max(flops / most, 1))));
  for (let first = 0; first < groups; first += step) {
    await gpu.pipeline(kernel);
    throwIfAborted(signal);
    await gpu.launch(kernel, values, Math.min(step, groups - first), first);
    if (step < groups) await gpu.finish();
  }
}
