import { type HostPlan, resolvePlan } from '../host-plan.ts';
import type { Traced } from '../mods/expression.ts';
import { compileToJs, type PairInputs } from '../mods/to-js.ts';
import type { NumberArray } from '../tensor.ts';
import type { AttendRequest } from './request.ts';

/** The arrays of a call on the host, and the plan and expressions ready to walk: what every naive form below needs. */
export interface HostAttention {
  request: AttendRequest;
  plan: HostPlan;
  query: NumberArray;
  key: NumberArray;
  value: NumberArray;
  /** The pairs of one query row that the mask keeps. */
  row(batch: number, head: number, querySlot: number): HostRow;
}

export interface HostRow {
  keys: number[]; // tokens; -1: a zero key
  keySlots: number[];
  /** Scaled products, as the score expression receives them. */
  products: number[];
  /** What the score expression makes of them. */
  scores: number[];
}

/** Copies a request to the host and compiles its expressions. */
export async function onHost(request: AttendRequest): Promise<HostAttention> {
  const [plan, query, key, value] = await Promise.all([
    resolvePlan(request.plan),
    request.query.read(),
    request.key.read(),
    request.value.read(),
  ]);
  const mask = request.mask && (await compileOnHost(request.mask));
  const score = request.score && (await compileOnHost(request.score));
  const { heads, keyHeads, queryTokens, keyStride, headDim, scale, honourFullBlocks } = request;
  const { block } = request.plan.queries;
  const at: PairInputs = { batch: 0, head: 0, query: 0, key: 0, querySlot: 0, keySlot: 0, score: 0 };
  const row = (batch: number, head: number, slot: number) => {
    const token = plan.queryToken(slot);
    const queryRow = ((batch * heads + head) * queryTokens + token) * headDim;
    const keyHead = (batch * keyHeads + Math.floor(head / (heads / keyHeads))) * keyStride;
    const row: HostRow = { keys: [], keySlots: [], products: [], scores: [] };
    at.batch = batch;
    at.head = head;
    at.query = token;
    at.querySlot = slot % block;
    plan.forEachKey(plan.listOf(batch, head, heads), Math.floor(slot / block), (keySlot, keyToken, full) => {
      at.key = keyToken;
      at.keySlot = keySlot;
      if (mask && !(full && honourFullBlocks) && !mask(at)) return;
      let dot = 0;
      if (keyToken >= 0) {
        const keyRow = (keyHead + keyToken) * headDim;
        for (let d = 0; d < headDim; d++) dot += query[queryRow + d] * key[keyRow + d];
      }
      at.score = dot * scale;
      row.keys.push(keyToken);
      row.keySlots.push(keySlot);
      row.products.push(at.score);
      row.scores.push(score ? score(at) : at.score);
    });
    return row;
  };
  return { request, plan, query, key, value, row };
}

/** Softmax of scores in place; returns the log-sum-exp, -Infinity where nothing is above -Infinity (then all weights are 0). */
export function softmaxInPlace(scores: number[]): number {
  let maximum = -Infinity;
  for (const score of scores) if (score > maximum || Number.isNaN(score)) maximum = score;
  if (maximum === -Infinity) {
    scores.fill(0);
    return -Infinity;
  }
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += scores[i] = Math.exp(scores[i] - maximum);
  for (let i = 0; i < scores.length; i++) scores[i] /= sum;
  return maximum + Math.log(sum);
}

/** Attention by plain loops in float64: the meaning that every tier must agree with. */
export async function attendReference(
  request: AttendRequest,
): Promise<{ output: Float64Array; logSumExp: Float64Array }> {
  const host = await onHost(request);
  const { batch, heads, keyHeads, queryTokens, keyStride, valueDim } = request;
  const output = new Float64Array(batch * heads * queryTokens * valueDim);
  const logSumExp = new Float64Array(batch * heads * queryTokens).fill(-Infinity);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const valueHead = (b * keyHeads + Math.floor(h / (heads / keyHeads))) * keyStride;
      for (let slot = 0; slot < request.plan.queries.slots; slot++) {
        const token = host.plan.queryToken(slot);
        if (token < 0) continue;
        const { keys, scores } = host.row(b, h, slot);
        const row = (b * heads + h) * queryTokens + token;
        logSumExp[row] = softmaxInPlace(scores);
        for (let p = 0; p < keys.length; p++) {
          if (keys[p] < 0 || scores[p] === 0) continue;
          for (let d = 0; d < valueDim; d++)
            output[row * valueDim + d] += scores[p] * host.value[(valueHead + keys[p]) * valueDim + d];
        }
      }
    }
  }
  await finishReference(request, output);
  return { output, logSumExp };
}

/** The epilogue of a call, in place. */
export async function finishReference(
  { epilogue, valueDim }: AttendRequest,
  output: Float64Array,
): Promise<void> {
  if (!epilogue) return;
  const scale = typeof epilogue.scale === 'number' ? undefined : await epilogue.scale.read();
  const add = await epilogue.add?.read();
  for (let i = 0; i < output.length; i++) {
    output[i] =
      (scale ? scale[Math.floor(i / valueDim)] : (epilogue.scale as number)) * output[i] + (add ? add[i] : 0);
  }
}

/** An expression with its tables copied to the host. */
export async function compileOnHost(traced: Traced) {
  const tables = await Promise.all(
    traced.tables.map(async ({ data }) => ('read' in data ? await data.read() : data)),
  );
  return compileToJs(traced, tables);
}
