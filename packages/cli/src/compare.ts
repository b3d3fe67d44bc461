import {
  type AttendOptions,
  attend,
  attentionCost,
  attentionRows,
  type Device,
  type Tensor,
  throwIfAborted,
} from '@saccade/attention';
import { type Inputs, type Mechanism, median, type Outputs } from '@saccade/papers/kit';

/** A mechanism beside dense attention on the same tensors. */
export interface Comparison {
  timeMs: number;
  denseTimeMs: number;
  timesFasterThanDense: number;
  samplesMs: readonly number[];
  denseSamplesMs: readonly number[];
  /** Mean share of a query's dense attention that falls on keys which the mechanism sees, over sampled queries. */
  keptMass: number;
  sampledQueries: number;
  /** Norm of the difference of the outputs over the norm of the dense output. */
  relativeError: number;
  flops: number;
  denseFlops: number;
  /** Largest memory beyond the inputs. */
  memoryBytes: number;
  denseMemoryBytes: number;
}

export interface Compared {
  numbers: Comparison;
  output: Float32Array | Float64Array | Uint32Array; // [batch, heads, tokens, headDim]
  logSumExp: Float32Array | Float64Array | Uint32Array; // [batch, heads, tokens]
  dense: Float32Array | Float64Array | Uint32Array; // like output
}

const SAMPLES = 5;
/** Slow devices get fewer samples than this takes. */
const PATIENCE_MS = 8000;
const SAMPLED_QUERIES = 48;

/** Runs both, alternating so that neither profits from a warm machine, and compares times, outputs, cost and kept mass. */
export async function compare<O>(
  device: Device,
  inputs: Inputs,
  mechanism: Mechanism<O>,
  options: O,
  run: { signal: AbortSignal; progress(what: string): void },
): Promise<Compared> {
  const { query, key, value } = inputs;
  const { signal } = run;
  run.progress('first run of the mechanism');
  const first = await timed(device, () => mechanism(inputs, options, { signal }));
  const { attended } = first.result;
  // Where the mechanism looks only back, so does what it is compared with.
  const denseOptions: AttendOptions = { causal: attended.causal, scale: attended.scale, signal };
  run.progress('first run of dense attention');
  const firstDense = await timed(device, () => attend(query, key, value, denseOptions));
  const output = await first.result.output.read();
  const logSumExp = await first.result.logSumExp.read();
  const dense = await firstDense.result.output.read();
  release(first.result);
  release(firstDense.result);

  const samplesMs: number[] = [];
  const denseSamplesMs: number[] = [];
  const began = performance.now();
  for (let round = 0; round < SAMPLES; round++) {
    throwIfAborted(signal);
    run.progress(`run ${round + 1} of ${SAMPLES}`);
    const one = await timed(device, () => mechanism(inputs, options, { signal }));
    release(one.result);
    const other = await timed(device, () => attend(query, key, value, denseOptions));
    release(other.result);
    samplesMs.push(one.ms);
    denseSamplesMs.push(other.ms);
    if (performance.now() - began > PATIENCE_MS) break;
  }
  run.progress('attention rows');
  const { keptMass, sampledQueries } = await keptMassOf(query, key, value, attended, denseOptions, signal);
  const cost = await attentionCost(query, key, value, attended);
  const timeMs = median(samplesMs);
  const denseTimeMs = median(denseSamplesMs);
  return {
    output,
    logSumExp,
    dense,
    numbers: {
      timeMs,
      denseTimeMs,
      timesFasterThanDense: denseTimeMs / timeMs,
      samplesMs,
      denseSamplesMs,
      keptMass,
      sampledQueries,
      relativeError: relativeError(output, dense),
      flops: cost.flops,
      denseFlops: cost.denseFlops,
      memoryBytes: first.memoryBytes,
      denseMemoryBytes: firstDense.memoryBytes,
    },
  };
}

async function timed<T>(device: Device, work: () => Promise<T>) {
  device.resetPeak();
  const before = device.memory.currentBytes;
  const start = performance.now();
  const result = await work();
  await device.finish();
  return { result, ms: performance.now() - start, memoryBytes: device.memory.peakBytes - before };
}

function release({ output, logSumExp }: Pick<Outputs, 'output' | 'logSumExp'>): void {
  output.dispose();
  logSumExp.dispose();
}

async function keptMassOf(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  attended: AttendOptions,
  denseOptions: AttendOptions,
  signal: AbortSignal,
) {
  const [, heads, tokens] = query.shape;
  const rows = await attentionRows(query, key, value, attended);
  const denseRows = await attentionRows(query, key, value, denseOptions);
  const count = Math.min(SAMPLED_QUERIES, tokens);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    throwIfAborted(signal);
    // Heads take turns; the middle of each stretch, so that neither only first rows nor only corners are taken.
    const at = { head: i % heads, query: Math.floor(((i + 0.5) * tokens) / count) };
    const seen = new Set(rows(at).keys);
    const dense = denseRows(at);
    dense.keys.forEach((token, index) => {
      if (seen.has(token)) sum += dense.weights[index];
    });
  }
  return { keptMass: sum / count, sampledQueries: count };
}

/** |actual - expected| / |expected|, Euclidean; 0 where both are zero. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}
