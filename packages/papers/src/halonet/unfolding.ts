import { attend } from '@saccade/attention';
import { median } from '../kit/claim.ts';
import { relativeError } from '../kit/compare.ts';
import type { Trial } from '../kit/paper.ts';
import { haloAttention } from './mechanism.ts';
import type { Options } from './paper.ts';
import { unfold, unfoldedPlan } from './unfold.ts';

/** The two ways to give each block its window. */
export interface UnfoldingTime {
  name: 'copied' | 'fused';
  samplesMs: number[];
  /** Median of them; undefined before the first. */
  timeMs?: number;
  /** Device memory beside the inputs, at its highest. */
  memoryBytes: number;
}

export interface Unfolding {
  times: UnfoldingTime[];
  /** ‖copied − fused‖ / ‖fused‖. */
  differs: number;
}

const ROUNDS = 7;
const PATIENCE_MS = 4000;

/** Windows copied out and then attended to, beside the kernel that reads them where they lie; stride 1, zeros outside. */
export const unfolding: Trial<Options, null, Unfolding> = async (run) => {
  const { device, inputs, signal, progress } = run;
  const { query, key, value } = inputs;
  const options: Options = {
    ...run.options,
    stride: 1,
    averageDown: false,
    border: 'zero',
    centredRadius: undefined,
    position: undefined,
  };
  const plan = unfoldedPlan(query.shape[2], options);
  const works = {
    copied: async () => {
      const [keys, values] = [await unfold(key, options), await unfold(value, options)];
      try {
        return await attend(query, keys, values, { plan, signal });
      } finally {
        keys.dispose();
        values.dispose();
      }
    },
    fused: () => haloAttention(inputs, options, { signal }),
  };
  const lap = async (name: keyof typeof works) => {
    signal.throwIfAborted();
    const before = device.memory.currentBytes;
    device.resetPeak();
    const start = performance.now();
    const { output, logSumExp } = await works[name]();
    await device.finish();
    const ms = performance.now() - start;
    logSumExp.dispose();
    return { output, ms, memoryBytes: device.memory.peakBytes - before };
  };
  const outputs: ArrayLike<number>[] = [];
  const times: UnfoldingTime[] = [];
  for (const name of ['copied', 'fused'] as const) {
    progress(0.05, `warming up: ${name}`);
    const { output } = await lap(name);
    outputs.push(await output.read());
    output.dispose();
    times.push({ name, samplesMs: [], memoryBytes: 0 });
  }
  const differs = relativeError(outputs[0], outputs[1]);
  const began = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    if (round >= 3 && performance.now() - began > PATIENCE_MS) break;
    for (const time of times) {
      const { output, ms, memoryBytes } = await lap(time.name);
      output.dispose();
      time.samplesMs.push(ms);
      time.timeMs = median(time.samplesMs);
      // the plan's lists lie on the device by now: what is left is of the call itself
      time.memoryBytes = memoryBytes;
    }
    progress((round + 1) / ROUNDS, `round ${round + 1} of ${ROUNDS}`, { times, differs });
  }
  return { times, differs };
};
