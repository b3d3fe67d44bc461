import type { Device } from '../device/device.ts';
import { openDevice } from '../device/open.ts';
import { type AttendOptions, attend } from '../softmax/attend.ts';
import type { Tensor } from '../tensor.ts';
import { expectClose, randomArray, type Tolerance, tolerances } from './close.ts';

/** One thing that a device must do as the reference does. `run` throws an Error that says what differs. */
export interface DeviceCase {
  name: string;
  run(device: Device): Promise<void>;
}

export interface AttendCase {
  name: string;
  batch?: number;
  heads?: number;
  keyHeads?: number;
  queryTokens: number;
  keyTokens?: number;
  headDim: number;
  valueDim?: number;
  dtype?: 'f32' | 'f16';
  /** Of queries and keys; larger values sharpen the softmax. */
  spread?: number;
  /** Called once per device, so that tensors in the options live where the call runs. */
  options?: (device: Device, outputShape: readonly number[]) => AttendOptions;
  /** Changes the random inputs before they are copied to the devices. */
  prepare?: (inputs: { query: Float32Array; key: Float32Array; value: Float32Array }) => void;
}

export async function runAttend(item: AttendCase, device: Device): Promise<void> {
  const { batch = 1, heads = 1, queryTokens, headDim, dtype = 'f32', spread = 1 } = item;
  const { keyHeads = heads, keyTokens = queryTokens, valueDim = headDim } = item;
  const shapes = {
    query: [batch, heads, queryTokens, headDim],
    key: [batch, keyHeads, keyTokens, headDim],
    value: [batch, keyHeads, keyTokens, valueDim],
  };
  const inputs = {
    query: randomArray(1, shapes.query, spread),
    key: randomArray(2, shapes.key, spread),
    value: randomArray(3, shapes.value),
  };
  item.prepare?.(inputs);
  const reference = await openDevice('reference');
  const outputShape = [batch, heads, queryTokens, valueDim];
  const run = async (on: Device) => {
    const tensors = (['query', 'key', 'value'] as const).map((name) =>
      on.tensor(inputs[name], shapes[name], dtype),
    );
    const result = await attend(tensors[0], tensors[1], tensors[2], item.options?.(on, outputShape));
    const read = { output: await result.output.read(), logSumExp: await result.logSumExp.read() };
    disposeAll([...tensors, result.output, result.logSumExp]);
    return read;
  };
  const [expected, actual] = [await run(reference), await run(device)];
  const tolerance = tolerances[dtype];
  expectClose(actual.output, expected.output, tolerance, 'output');
  // -Infinity, NaN and numbers of the log-sum-exp do not depend on how the values are stored
  expectClose(actual.logSumExp, expected.logSumExp, tolerances.f32, 'logSumExp');
}

function disposeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}

/** Runs the same steps on the reference and on the device and compares what they return. */
export async function compare(
  device: Device,
  steps: (
    on: Device,
    tensor: (seed: number, ...shape: number[]) => Tensor,
  ) => Promise<Record<string, ArrayLike<number>>>,
  tolerance: Tolerance = tolerances.f32,
): Promise<void> {
  const on = (target: Device) =>
    steps(target, (seed, ...shape) => target.tensor(randomArray(seed, shape), shape, 'f32'));
  const expected = await on(await openDevice('reference'));
  const actual = await on(device);
  for (const name of Object.keys(expected)) expectClose(actual[name], expected[name], tolerance, name);
}

/** Copies and selections are equal or wrong. */
export const exactly: Tolerance = { absolute: 1e-30, relative: 0, rms: 1e-30 };

/** Lists as a plan reads them: the counts, and the entries within them. */
export async function listsOf(selected: {
  rows: Tensor;
  blocks: Tensor;
}): Promise<{ counts: number[]; entries: number[] }> {
  const [rows, blocks] = await Promise.all([selected.rows.read(), selected.blocks.read()]);
  const counts: number[] = [];
  const entries: number[] = [];
  for (let i = 0; i < rows.length; i += 2) {
    counts.push(rows[i + 1]);
    for (let e = 0; e < rows[i + 1]; e++) entries.push(blocks[rows[i] + e]);
  }
  return { counts, entries };
}
