import {
  type AttendOptions,
  attend,
  attentionCost,
  attentionRows,
  type Device,
  type Tensor,
  throwIfAborted,
} from '@saccade/attention';
import { median } from '../../claim.ts';
import type { Inputs, Outputs, Paper } from '../../paper.ts';
import type { TokenInputs } from '../features.ts';
import type { Numbers, Rows } from './messages.ts';

/** A finished run: outputs on the host, numbers, and a reader of attention rows. */
export interface Measured {
  dense: Float32Array; // [1, heads, tokens, headDim]
  output: Float32Array; // [1, heads, tokens, headDim]
  numbers: Numbers;
  /** Attention of one query, dense beside mechanism; head `all` is the mean over heads. */
  rows(query: number, head: number | 'all'): Rows;
}

/** Queries whose dense rows are summed for the kept mass: enough for two digits. */
const MASS_QUERIES = 48;
/** Slow machines take fewer samples, so that the reader is not kept waiting. */
const TIMING_MS = 2000;
const FEWEST_SAMPLES = 3;

/**
 * Runs a paper's mechanism and dense attention on the same tensors and measures both. Dense attention is what the
 * mechanism approximates: the same scale and causality, every key.
 * @param options parsed by paper.options
 * @throws ArgumentError, DeviceError, or the signal's reason between two steps
 */
export async function measure<O>(
  device: Device,
  paper: Paper<O>,
  options: O,
  data: TokenInputs,
  run: { samples: number; signal: AbortSignal; progress(fraction: number, what: string): void },
): Promise<Measured> {
  const { signal, samples, progress } = run;
  const mechanism = await paper.mechanism();
  const made: Tensor[] = [];
  const tensor = (numbers: Float32Array) => {
    const on = device.tensor(numbers, data.shape);
    made.push(on);
    return on;
  };
  const step = async (fraction: number, what: string) => {
    throwIfAborted(signal);
    progress(fraction, what);
    // lets a cancel message in: kernels on WASM do not yield by themselves
    await new Promise((resolve) => setTimeout(resolve, 0));
    throwIfAborted(signal);
  };
  try {
    await step(0.05, 'copying the input to the device');
    const inputs: Inputs = {
      query: tensor(data.query),
      key: tensor(data.key),
      value: tensor(data.value),
    };
    await device.finish();

    await step(0.1, 'running the mechanism');
    const before = device.memory.currentBytes;
    device.resetPeak();
    const first = await mechanism(inputs, options, { signal });
    await device.finish();
    const extraBytes = device.memory.peakBytes - before;
    const output = await hostCopy(first.output);
    first.output.dispose();
    first.logSumExp.dispose();
    const { attended, held = [] } = first;
    made.push(...held); // what `attended` reads must live until the last row is read
    const whole: AttendOptions = { scale: attended.scale, causal: attended.causal };

    await step(0.3, 'running dense attention');
    const beforeDense = device.memory.currentBytes;
    device.resetPeak();
    const denseFirst = await attend(inputs.query, inputs.key, inputs.value, whole);
    await device.finish();
    const denseExtraBytes = device.memory.peakBytes - beforeDense;
    const dense = await hostCopy(denseFirst.output);
    release(denseFirst);

    // a plan cuts its own diagonal: saying causal again would make the kernel test every pair twice
    const alone: AttendOptions = {
      ...attended,
      causal: attended.plan ? undefined : attended.causal,
      epilogue: undefined,
    };
    const times = { dense: [] as number[], attend: [] as number[], mechanism: [] as number[] };
    const started = performance.now();
    for (let sample = 0; sample < samples; sample++) {
      if (sample >= FEWEST_SAMPLES && performance.now() - started > TIMING_MS) break;
      await step(0.4 + (0.4 * sample) / samples, `timing, ${sample + 1} of ${samples}`);
      times.mechanism.push(await timed(device, () => mechanism(inputs, options, { signal })));
      times.attend.push(
        await timed(device, () => attend(inputs.query, inputs.key, inputs.value, { ...alone, signal })),
      );
      times.dense.push(
        await timed(device, () => attend(inputs.query, inputs.key, inputs.value, { ...whole, signal })),
      );
    }

    await step(0.85, 'counting attention mass');
    const [cost, denseRow, mechanismRow] = await Promise.all([
      attentionCost(inputs.query, inputs.key, inputs.value, attended),
      attentionRows(inputs.query, inputs.key, inputs.value, whole),
      attentionRows(inputs.query, inputs.key, inputs.value, attended),
    ]);
    const [, heads, tokens] = data.shape;
    const queries = Math.min(tokens, MASS_QUERIES);
    let mass = 0;
    for (let i = 0; i < queries; i++) {
      if (i % 8 === 0) await step(0.85 + (0.14 * i) / queries, 'counting attention mass');
      const query = Math.floor(((i + 0.5) * tokens) / queries);
      for (let head = 0; head < heads; head++) {
        const all = spread(denseRow({ head, query }), tokens);
        for (const key of new Set(mechanismRow({ head, query }).keys)) if (key >= 0) mass += all[key];
      }
    }
    return {
      dense,
      output,
      numbers: {
        denseMs: median(times.dense),
        attendMs: median(times.attend),
        mechanismMs: median(times.mechanism),
        samples: times,
        massKept: mass / (queries * heads),
        massQueries: queries,
        relativeError: relativeError(output, dense),
        ...cost,
        extraBytes,
        denseExtraBytes,
      },
      rows: (query, head) => ({
        query,
        dense: meanOfHeads(denseRow, query, head, heads, tokens),
        mechanism: meanOfHeads(mechanismRow, query, head, heads, tokens),
      }),
    };
  } finally {
    for (const on of made) on.dispose();
  }
}

type RowReader = Awaited<ReturnType<typeof attentionRows>>;

function spread({ keys, weights }: ReturnType<RowReader>, tokens: number): Float32Array {
  const row = new Float32Array(tokens);
  for (let i = 0; i < keys.length; i++) if (keys[i] >= 0) row[keys[i]] += weights[i];
  return row;
}

function meanOfHeads(
  read: RowReader,
  query: number,
  head: number | 'all',
  heads: number,
  tokens: number,
): Float32Array {
  if (head !== 'all') return spread(read({ head, query }), tokens);
  const mean = new Float32Array(tokens);
  for (let h = 0; h < heads; h++) {
    const row = spread(read({ head: h, query }), tokens);
    for (let key = 0; key < tokens; key++) mean[key] += row[key] / heads;
  }
  return mean;
}

async function timed(device: Device, work: () => Promise<Pick<Outputs, 'output' | 'logSumExp' | 'held'>>) {
  const start = performance.now();
  const made = await work();
  await device.finish();
  const ms = performance.now() - start;
  release(made);
  return ms;
}

function release({ output, logSumExp, held = [] }: Pick<Outputs, 'output' | 'logSumExp' | 'held'>): void {
  for (const tensor of [output, logSumExp, ...held]) tensor.dispose();
}

async function hostCopy(tensor: Tensor): Promise<Float32Array> {
  const read = await tensor.read();
  return read instanceof Float32Array ? read : Float32Array.from(read);
}

/** ‖a − b‖ / ‖b‖; NaN stays NaN, so that a broken run is seen. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < a.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return size === 0 ? (difference === 0 ? 0 : Number.POSITIVE_INFINITY) : Math.sqrt(difference / size);
}
