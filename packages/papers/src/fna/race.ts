import { attend, bytesPerElement, DeviceError, sizeOf, type Tensor } from '@saccade/attention';
import { median } from '../kit/claim.ts';
import { relativeError } from '../kit/compare.ts';
import type { Inputs, Trial } from '../kit/paper.ts';
import { baseline } from './baselines.ts';
import { neighborhoodAttention } from './mechanism.ts';
import type { Options } from './paper.ts';

export const laneNames = ['naive', 'unfused', 'fused', 'dense'] as const;
export type LaneName = (typeof laneNames)[number];

/** What one form of the computation came to. */
export interface LaneResult {
  name: LaneName;
  /** Times so far, in milliseconds. */
  samplesMs: number[];
  /** Median of them; undefined before the first. */
  timeMs?: number;
  /** Device memory beside inputs and output, at its highest. */
  extraBytes: number;
  /** ‖output − fused‖ / ‖fused‖; dense attention computes something else. */
  differsFromFused: number;
}

const ROUNDS = 8;
const PATIENCE_MS = 6000;

/** Neighbourhood attention in its three forms, and dense attention, on the same tensors. */
export function lanesOf(
  inputs: Inputs,
  options: Options,
): Record<LaneName, () => Promise<{ output: Tensor }>> {
  const grid = options.grid ?? [inputs.query.shape[2]];
  const everyAxis = <T>(values: readonly T[]) => grid.map((_, axis) => values[axis] ?? values[0]);
  const neighbourhood = {
    grid,
    window: everyAxis(options.window),
    dilation: everyAxis(options.dilation),
    causal: everyAxis(options.causal),
  };
  const outputOf = ({ output, logSumExp }: { output: Tensor; logSumExp: Tensor }) => {
    logSumExp.dispose();
    return { output };
  };
  return {
    naive: () => baseline('naive', inputs, neighbourhood),
    unfused: () => baseline('unfused', inputs, neighbourhood),
    fused: async () => outputOf(await neighborhoodAttention(inputs, options)),
    dense: async () => outputOf(await attend(inputs.query, inputs.key, inputs.value)),
  };
}

/** The lab's race: the lanes in turns, round by round, after one lap of each in which memory and outputs are compared. */
export const race: Trial<Options, { dense: boolean }, LaneResult[]> = async (run) => {
  const { device, inputs, options, settings, signal, progress } = run;
  if (device.kind !== 'webgpu')
    throw new DeviceError('the naive and the unfused form are WebGPU kernels', {
      needs: 'a WebGPU adapter, of hardware or software',
      has: device.description,
    });
  const works = lanesOf(inputs, options);
  const names = laneNames.filter((name) => name !== 'dense' || settings.dense);
  const lap = async (name: LaneName) => {
    signal.throwIfAborted();
    const start = performance.now();
    const { output } = await works[name]();
    await device.finish();
    return { output, ms: performance.now() - start };
  };
  // the fused form first, so that the others can be compared with it; its plan lies on the device from then on
  progress(0.05, 'warming up: fused');
  const first = await lap('fused');
  const fused = await first.output.read();
  first.output.dispose();
  const lanes: LaneResult[] = [];
  for (const [index, name] of names.entries()) {
    progress(0.1 + (0.2 * index) / names.length, `warming up: ${name}`);
    const before = device.memory.currentBytes;
    device.resetPeak();
    const { output } = await lap(name);
    const outputBytes = sizeOf(output.shape) * bytesPerElement(output.dtype);
    const extraBytes = Math.max(0, device.memory.peakBytes - before - outputBytes);
    const differsFromFused = relativeError(await output.read(), fused);
    output.dispose();
    lanes.push({ name, samplesMs: [], extraBytes, differsFromFused });
  }
  const began = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    if (round >= 3 && performance.now() - began > PATIENCE_MS) break;
    for (const lane of lanes) {
      const { output, ms } = await lap(lane.name);
      output.dispose();
      lane.samplesMs.push(ms);
      lane.timeMs = median(lane.samplesMs);
    }
    progress(0.3 + (0.7 * (round + 1)) / ROUNDS, `round ${round + 1} of ${ROUNDS}`, lanes);
  }
  return lanes;
};
