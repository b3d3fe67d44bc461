import { tensorFrom, WasmTensor } from '../../device/wasm-tensor.ts';
import { queryBlocks } from '../../plan.ts';
import type { Tensor } from '../../tensor.ts';
import type { AttendRequest, AttendResult } from '../request.ts';

/** Keys of a part that are worth a task of their own. */
const LEAST_KEYS = 512;
/** Query rows a task, as in assembly/params.ts. */
const ROWS_A_TASK = 64;

/**
 * Parts that the keys of a call are cut into, so that every thread gets a task: 1 where there are rows enough, or where
 * an expression or a list names places that the cut would change.
 */
export function keyParts(request: AttendRequest, threads: number, expression: boolean): number {
  const { batch, heads, plan, keyTokens } = request;
  if (expression || plan.keys.kind !== 'all') return 1;
  const chunks = Math.ceil(Math.min(plan.queries.block, plan.queries.slots) / ROWS_A_TASK);
  const tasks = batch * heads * queryBlocks(plan) * chunks;
  if (tasks === 0 || tasks >= threads) return 1;
  return Math.max(1, Math.min(Math.floor(threads / tasks), Math.floor(keyTokens / LEAST_KEYS)));
}

/**
 * A call of few rows: every head several times, each time over another run of the keys, by `attend`; the results are
 * joined by log-sum-exp, always in the same order.
 */
export async function attendInParts(
  request: AttendRequest,
  parts: number,
  attend: (request: AttendRequest) => Promise<AttendResult>,
): Promise<AttendResult> {
  const { batch, heads, queryTokens, headDim, valueDim, epilogue } = request;
  const { device, heap } = request.query as WasmTensor;
  const repeated = repeatHeads(request.query as WasmTensor, parts);
  const shape = [batch, heads * parts, queryTokens, headDim];
  const query = tensorFrom(device, heap, repeated, shape, request.query.dtype);
  let partial: AttendResult | undefined;
  const made: WasmTensor[] = [];
  try {
    partial = await attend(splitRequest(request, parts, query));
    const [outputs, sums] = [numbers(partial.output), numbers(partial.logSumExp)];
    const rows = batch * heads * queryTokens;
    const output = new WasmTensor(device, heap, [batch, heads, queryTokens, valueDim], request.outputDType);
    made.push(output);
    const logSumExp = new WasmTensor(device, heap, [batch, heads, queryTokens], 'f32');
    made.push(logSumExp);
    const finish = epilogueOf(epilogue);
    const merged = new Float32Array(valueDim);
    for (let row = 0; row < rows; row++) {
      const first = Math.floor(row / queryTokens) * parts * queryTokens + (row % queryTokens);
      const places = Array.from({ length: parts }, (_, part) => first + part * queryTokens);
      logSumExp.write([mergeRow(places, outputs, sums, merged)], row);
      finish(merged, row);
      output.write(merged, row * valueDim);
    }
    return { output, logSumExp };
  } catch (error) {
    for (const tensor of made) tensor.dispose();
    throw error;
  } finally {
    for (const tensor of [query, partial?.output, partial?.logSumExp]) tensor?.dispose();
  }
}

/** [batch, heads, queryTokens, headDim] with each head `parts` times. */
function repeatHeads(query: WasmTensor, parts: number): Float32Array {
  const head = query.shape[2] * query.shape[3];
  const rows = numbers(query);
  const repeated = new Float32Array(rows.length * parts);
  for (let at = 0; at < repeated.length; at += head) {
    const source = Math.floor(at / head / parts) * head;
    repeated.set(rows.subarray(source, source + head), at);
  }
  return repeated;
}

function splitRequest(request: AttendRequest, parts: number, query: Tensor): AttendRequest {
  const { heads, plan, keyTokens } = request;
  const blocks = queryBlocks(plan);
  const lists = heads * parts;
  const ranges = new Uint32Array(lists * blocks * 2);
  const start = (part: number) => Math.floor((keyTokens * part) / parts);
  for (let row = 0; row < lists * blocks; row++) {
    const part = Math.floor(row / blocks) % parts;
    ranges.set([start(part), start(part + 1) - start(part)], 2 * row);
  }
  const keys = { kind: 'ranges', layout: { slots: keyTokens, block: 1 }, ranges } as const;
  return {
    ...request,
    query,
    heads: lists,
    plan: { ...plan, keys, listBatches: 1, listHeads: lists },
    epilogue: undefined,
    outputDType: 'f32',
  };
}

/** Joins a row's parts at `places` into `merged`; returns its log-sum-exp. */
function mergeRow(
  places: readonly number[],
  outputs: Float32Array,
  sums: Float32Array,
  merged: Float32Array,
): number {
  const valueDim = merged.length;
  merged.fill(0);
  const maximum = Math.max(...places.map((place) => sums[place]));
  if (maximum === -Infinity) return -Infinity;
  const total = places.reduce((sum, place) => sum + Math.exp(sums[place] - maximum), 0);
  const logSumExp = maximum + Math.log(total);
  for (const place of places) {
    if (sums[place] === -Infinity) continue;
    const weight = Math.exp(sums[place] - logSumExp);
    for (let d = 0; d < valueDim; d++) merged[d] += weight * outputs[place * valueDim + d];
  }
  return logSumExp;
}

/** scale * row + add, as the kernel does where it writes the rows itself. */
export function epilogueOf(epilogue: AttendRequest['epilogue']): (row: Float32Array, index: number) => void {
  if (!epilogue) return () => {};
  const { scale } = epilogue;
  const scales = typeof scale === 'number' ? undefined : numbers(scale);
  const add = epilogue.add && numbers(epilogue.add);
  return (row, index) => {
    const factor = scales ? scales[index] : (scale as number);
    for (let d = 0; d < row.length; d++) row[d] = factor * row[d] + (add ? add[index * row.length + d] : 0);
  };
}

/** A copy of a tensor's numbers. */
export function numbers(tensor: Tensor): Float32Array {
  return (tensor as WasmTensor).copy() as Float32Array;
}
