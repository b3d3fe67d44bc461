import {
  type AttendOptions,
  attend,
  attentionCost,
  attentionRows,
  type Device,
  type NumberArray,
  type Tensor,
  throwIfAborted,
} from '@saccade/attention';
import { median } from './claim.ts';
import type { Inputs, Mechanism, Outputs } from './paper.ts';

/** One attention row, spread over all keys: [keyTokens], sums to 1 (0 where nothing is seen). */
export interface Rows {
  query: number;
  dense: Float32Array;
  mechanism: Float32Array;
}

/** What one run measured. Times are medians in milliseconds, dense and mechanism taken in turn after a warm-up. */
export interface Numbers {
  denseMs: number;
  /** attend() with the plan ready. */
  attendMs: number;
  /** The whole mechanism: plan or selection, attention, correction. */
  mechanismMs: number;
  samples: { dense: number[]; attend: number[]; mechanism: number[] };
  /** Mean share of a dense attention row's weight on the keys that the mechanism looks at; sampled queries, all heads. */
  massKept: number;
  massQueries: number;
  /** ‖output − dense‖ / ‖dense‖ over all heads and tokens. */
  relativeError: number;
  /** The two products only, two operations a multiply-add. */
  flops: number;
  denseFlops: number;
  visitedPairs: number;
  densePairs: number;
  planBytes: number;
  /** Highest device memory during the mechanism, above its inputs. */
  extraBytes: number;
  denseExtraBytes: number;
}

/** A finished run: outputs on the host, numbers, and a reader of attention rows. */
export interface Comparison {
  dense: NumberArray; // [batch, heads, tokens, headDim]
  output: NumberArray; // [batch, heads, tokens, headDim]
  logSumExp: NumberArray; // [batch, heads, tokens]
  numbers: Numbers;
  /** Attention of one query of the first batch entry, dense beside mechanism; head `all` is the mean over heads. */
  rows(query: number, head: number | 'all'): Rows;
}

/** Queries whose dense rows are summed for the kept mass: enough for two digits. */
const MASS_QUERIES = 48;
const FEWEST_SAMPLES = 3;

export interface CompareRun {
  samples: number;
  /** A slow machine takes fewer samples, at least three, once this much time is spent on them. */
  patienceMs: number;
  signal: AbortSignal;
  progress(fraction: number, what: string): void;
}

/**
 * Runs a mechanism and dense attention on the same tensors, in turns, and measures both. Dense attention is what the
 * mechanism approximates: the same scale and causality, every key. The inputs stay the caller's.
 * @param options parsed by the paper
 * @throws ArgumentError, DeviceError, or the signal's reason between two steps
 */
export async function compare<O>(
  device: Device,
  inputs: Inputs,
  mechanism: Mechanism<O>,
  options: O,
  run: CompareRun,
): Promise<Comparison> {
  const { signal, samples, patienceMs, progress } = run;
  const { query, key, value } = inputs;
  const [, heads, tokens] = query.shape;
  const made: Tensor[] = [];
  const step = async (fraction: number, what: string) => {
    throwIfAborted(signal);
    progress(fraction, what);
    // lets a cancel message in: kernels on WASM do not yield by themselves
    await new Promise((resolve) => setTimeout(resolve, 0));
    throwIfAborted(signal);
  };
  try {
    await device.finish();
    await step(0.1, 'running the mechanism');
    const before = device.memory.currentBytes;
    device.resetPeak();
    const first = await mechanism(inputs, options, { signal });
    await device.finish();
    const extraBytes = device.memory.peakBytes - before;
    const { attended, held = [] } = first;
    made.push(first.output, first.logSumExp, ...held); // what `attended` reads must live until the last row is read
    const output = await first.output.read();
    const logSumExp = await first.logSumExp.read();
    first.output.dispose();
    first.logSumExp.dispose();
    const whole: AttendOptions = { scale: attended.scale, causal: attended.causal };

    await step(0.3, 'running dense attention');
    const beforeDense = device.memory.currentBytes;
    device.resetPeak();
    const denseFirst = await attend(query, key, value, whole);
    await device.finish();
    const denseExtraBytes = device.memory.peakBytes - beforeDense;
    made.push(denseFirst.output, denseFirst.logSumExp);
    const dense = await denseFirst.output.read();
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
      if (sample >= FEWEST_SAMPLES && performance.now() - started > patienceMs) break;
      await step(0.4 + (0.4 * sample) / samples, `timing, ${sample + 1} of ${samples}`);
      times.mechanism.push(await timed(device, () => mechanism(inputs, options, { signal })));
      times.attend.push(await timed(device, () => attend(query, key, value, { ...alone, signal })));
      times.dense.push(await timed(device, () => attend(query, key, value, { ...whole, signal })));
    }

    await step(0.85, 'counting attention mass');
    const [cost, denseRow, mechanismRow] = await Promise.all([
      attentionCost(query, key, value, attended),
      attentionRows(query, key, value, whole),
      attentionRows(query, key, value, attended),
    ]);
    const queries = Math.min(tokens, MASS_QUERIES);
    let mass = 0;
    for (let i = 0; i < queries; i++) {
      if (i % 8 === 0) await step(0.85 + (0.14 * i) / queries, 'counting attention mass');
      const at = Math.floor(((i + 0.5) * tokens) / queries);
      for (let head = 0; head < heads; head++) {
        const seen = new Set(mechanismRow({ head, query: at }).keys);
        const all = denseRow({ head, query: at });
        for (let k = 0; k < all.keys.length; k++) if (seen.has(all.keys[k])) mass += all.weights[k];
      }
    }
    return {
      dense,
      output,
      logSumExp,
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
      rows: (at, head) => ({
        query: at,
        dense: meanOfHeads(denseRow, at, head, heads, key.shape[2]),
        mechanism: meanOfHeads(mechanismRow, at, head, heads, key.shape[2]),
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

/** ‖a − b‖ / ‖b‖; 0 where both are zero, and NaN stays NaN, so that a broken run is seen. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < a.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}
