import type { Device, DType, Tensor } from '@saccade/attention';
import type { Inputs } from './paper.ts';

/**
 * Random query, key and value on a device, the same for the same seed: what kernel claims are timed on
 * (never zeros: they hide mistakes and can run faster than data).
 * @param shape [batch, heads, tokens, headDim]; keyHeads as heads
 */
export function randomInputs(
  device: Device,
  shape: readonly [number, number, number, number],
  options: { dtype?: DType; seed?: number } = {},
): Inputs {
  const { dtype, seed = 1 } = options;
  const size = shape[0] * shape[1] * shape[2] * shape[3];
  const make = (offset: number) => {
    let state = (seed * 3 + offset) >>> 0;
    const data = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // linear congruential: good enough to time on
      data[i] = state / 2 ** 31 - 1;
    }
    return device.tensor(data, shape, dtype);
  };
  return { query: make(0), key: make(1), value: make(2) };
}

/** Frees what randomInputs() made. */
export function disposeInputs(inputs: Inputs): void {
  inputs.query.dispose();
  inputs.key.dispose();
  inputs.value.dispose();
}

/** Frees what attend() or a mechanism gave. */
export function disposeOutputs({ output, logSumExp }: { output: Tensor; logSumExp: Tensor }): void {
  output.dispose();
  logSumExp.dispose();
}
