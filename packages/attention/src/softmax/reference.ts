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
  /** Kept key tokens (-1: zero key) and changed scores of one query row. */
  row(batch: number, head: number, querySlot: number): { keys: number[]; scores: number[] };
}

/** Copies a request to the host and compiles its expressions. */
export async function onHost(request: AttendRequest): Promise<HostAttention> {
  const [plan, query, key, value] = await Promise.all([
    resolvePlan(request.plan),
    request.query.read(),
    request.key.read(),
    request.value.read(),
  ]);
  const mask = request.mask && (await compile(request.mask));
  const score = request.score && (await compile(request.score));
  const { heads, keyHeads, queryTokens, keyStride, headDim, scale, honourFullBlocks } = request;
  const { block } = request.plan.queries;
  const at: PairInputs = { batch: 0, head: 0, query: 0, key: 0, querySlot: 0, keySlot: 0, score: 0 };
  const row = (batch: number, head: number, slot: number) => {
    const token = plan.queryToken(slot);
    const queryRow = ((batch * heads + head) * queryTokens + token) * headDim;
    const keyHead = (batch * keyHeads + Math.floor(head / (heads / keyHeads))) * keyStride;
    const keys: number[] = [];
    const scores: number[] = [];
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
      keys.push(keyToken);
      scores.push(score ? score(at) : at.score);
    });
    return { keys, scores };
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
  const { batch, heads, keyHeads, queryTokens, keyStride, valueDim, epilogue } = request;
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
  if (epilogue) {
    const scale = typeof epilogue.scale === 'number' ? undefined : await epilogue.scale.read();
    const add = await epilogue.add?.read();
    for (let i = 0; i < output.length; i++) {
      output[i] =
        (scale ? scale[Math.floor(i / valueDim)] : (epilogue.scale as number)) * output[i] +
        (add ? add[i] : 0);
    }
  }
  return { output, logSumExp };
}

/**
 * Gradients of the plain softmax attention (no epilogue, no score function) by loops in float64:
 * dV = Pᵀ dO, dP = dO Vᵀ, dS = P ∘ (dP − rowsum(P ∘ dP) + dL), dQ = scale dS K, dK = scale dSᵀ Q.
 * With a score function that only adds to the score, dQ, dK and dV are still right; `visit` receives dS for the rest.
 */
export async function attendGradientsReference(
  request: AttendRequest,
  outputGradient: ArrayLike<number>,
  visit?: (batch: number, head: number, query: number, key: number, scoreGradient: number) => void,
): Promise<{ query: Float64Array; key: Float64Array; value: Float64Array }> {
  const host = await onHost(request);
  const { batch, heads, keyHeads, queryTokens, keyTokens, headDim, valueDim, scale } = request;
  const gradient = {
    query: new Float64Array(host.query.length),
    key: new Float64Array(host.key.length),
    value: new Float64Array(host.value.length),
  };
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const keyHead = (b * keyHeads + Math.floor(h / (heads / keyHeads))) * keyTokens;
      for (let slot = 0; slot < request.plan.queries.slots; slot++) {
        const token = host.plan.queryToken(slot);
        if (token < 0) continue;
        const { keys, scores: weights } = host.row(b, h, slot);
        softmaxInPlace(weights);
        const row = (b * heads + h) * queryTokens + token;
        const weightGradients = keys.map((key) => {
          let sum = 0;
          if (key >= 0)
            for (let d = 0; d < valueDim; d++)
              sum += outputGradient[row * valueDim + d] * host.value[(keyHead + key) * valueDim + d];
          return sum;
        });
        const mean = weights.reduce((sum, weight, p) => sum + weight * weightGradients[p], 0);
        keys.forEach((key, p) => {
          const scoreGradient = weights[p] * (weightGradients[p] - mean);
          visit?.(b, h, token, key, scoreGradient);
          if (key < 0) return;
          for (let d = 0; d < valueDim; d++)
            gradient.value[(keyHead + key) * valueDim + d] += weights[p] * outputGradient[row * valueDim + d];
          for (let d = 0; d < headDim; d++) {
            gradient.query[row * headDim + d] +=
              scale * scoreGradient * host.key[(keyHead + key) * headDim + d];
            gradient.key[(keyHead + key) * headDim + d] +=
              scale * scoreGradient * host.query[row * headDim + d];
          }
        });
      }
    }
  }
  return gradient;
}

async function compile(traced: Traced) {
  const tables = await Promise.all(
    traced.tables.map(async ({ data }) => ('read' in data ? await data.read() : data)),
  );
  return compileToJs(traced, tables);
}
