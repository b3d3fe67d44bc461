import { type Device, type DeviceKind, openDevice } from '@saccade/attention';
import { expectClose, randomArray, type Tolerance, tolerances } from '@saccade/attention/testing';
import { afterAll, describe, test } from 'vitest';
import type { Paper, ReferenceInputs } from './paper.ts';

/** One shape and option set on which mechanism and reference must agree. */
export interface AgreeCase {
  name: string;
  /** As a user writes them: parsed by paper.options. */
  options: Record<string, unknown>;
  tokens: number;
  batch?: number;
  heads?: number;
  keyHeads?: number;
  headDim?: number;
  /** Of the random inputs; larger values sharpen the softmax. */
  spread?: number;
  /** Queries and keys drawn so that a selection has no near ties: then every device must choose the same set. */
  inputs?: (inputs: ReferenceInputs) => ReferenceInputs;
}

const devices: readonly { kind: DeviceKind; dtype: 'f64' | 'f32' | 'f16'; tolerance: Tolerance }[] = [
  { kind: 'reference', dtype: 'f64', tolerance: tolerances.f64 },
  { kind: 'wasm', dtype: 'f32', tolerance: tolerances.f32 },
  { kind: 'webgpu', dtype: 'f32', tolerance: tolerances.f32 },
  { kind: 'webgpu', dtype: 'f16', tolerance: tolerances.f16 },
];

/**
 * The suite that all papers share: on every device the mechanism equals the paper's own naive reference, in output
 * and log-sum-exp. Two programs that share no code but types say the same, so a shared mistake is unlikely.
 */
export function agree<O>(paper: Paper<O>, cases: readonly AgreeCase[]): void {
  const opened = new Map<DeviceKind, Promise<Device>>();
  const open = (kind: DeviceKind) => {
    let device = opened.get(kind);
    if (!device) {
      device = openDevice(kind);
      opened.set(kind, device);
    }
    return device;
  };
  afterAll(async () => {
    for (const device of opened.values()) await (await device).close();
  });
  for (const { kind, dtype, tolerance } of devices) {
    describe(`${paper.slug}: mechanism = reference on ${kind} ${dtype}`, () => {
      for (const item of cases) {
        test(item.name, async () => {
          const options = paper.options.parse(item.options) as O;
          const [mechanism, reference, device] = await Promise.all([
            paper.mechanism(),
            paper.reference(),
            open(kind),
          ]);
          const inputs = makeInputs(item);
          const tensor = (data: Float64Array, heads: number) =>
            device.tensor(data, [inputs.batch, heads, inputs.tokens, inputs.headDim], dtype);
          const tensors = {
            query: tensor(inputs.query, inputs.heads),
            key: tensor(inputs.key, inputs.keyHeads),
            value: tensor(inputs.value, inputs.keyHeads),
          };
          // the reference sees what the device stores: f16 rounding of inputs is not the kernel's error
          const rounded = {
            ...inputs,
            query: Float64Array.from(await tensors.query.read()),
            key: Float64Array.from(await tensors.key.read()),
            value: Float64Array.from(await tensors.value.read()),
          };
          const expected = reference(rounded, options);
          const actual = await mechanism(tensors, options);
          const label = `${paper.slug} ${kind} ${dtype}, ${item.name}`;
          expectClose(await actual.output.read(), expected.output, tolerance, `${label}: output`);
          expectClose(await actual.logSumExp.read(), expected.logSumExp, tolerance, `${label}: logSumExp`);
          for (const made of [actual.output, actual.logSumExp, tensors.query, tensors.key, tensors.value])
            made.dispose();
        });
      }
    });
  }
}

function makeInputs(item: AgreeCase): ReferenceInputs {
  const { batch = 1, heads = 1, headDim = 8, tokens, spread = 1 } = item;
  const keyHeads = item.keyHeads ?? heads;
  const random = (seed: number, count: number) =>
    Float64Array.from(randomArray(seed, [batch, count, tokens, headDim], spread));
  const inputs = {
    batch,
    heads,
    keyHeads,
    tokens,
    headDim,
    query: random(1, heads),
    key: random(2, keyHeads),
    value: random(3, keyHeads),
  };
  return item.inputs ? item.inputs(inputs) : inputs;
}
