import { ArgumentError } from '../errors.ts';
import { resolvePlan } from '../host-plan.ts';
import type { Tensor } from '../tensor.ts';
import { type AttendOptions, checkAttend } from './attend.ts';
import { onHost, softmaxInPlace } from './reference.ts';

/** One query's attention: the keys it sees and how it weighs them. */
export interface AttentionRow {
  keys: Int32Array; // token indices; -1: a zero key outside the grid
  weights: Float64Array; // sums to 1, or to 0 where nothing is seen
  logSumExp: number;
}

/**
 * A reader of single attention rows under the given options, computed on the host in float64
 * (cost of a row: its keys x headDim). For hovering, for statistics; never a whole matrix.
 * @throws ArgumentError as attend(), or when a row is out of range or the plan leaves the query out
 */
export async function attentionRows(query: Tensor, key: Tensor, value: Tensor, options: AttendOptions = {}) {
  const host = await onHost(checkAttend(query, key, value, options));
  const { batch, heads, queryTokens } = host.request;
  const slotOf = new Int32Array(queryTokens).fill(-1);
  for (let slot = 0; slot < host.request.plan.queries.slots; slot++) {
    const token = host.plan.queryToken(slot);
    if (token >= 0) slotOf[token] = slot;
  }
  return (at: { batch?: number; head?: number; query: number }): AttentionRow => {
    const { batch: b = 0, head = 0, query: token } = at;
    for (const [name, index, size] of [
      ['batch', b, batch],
      ['head', head, heads],
      ['query', token, queryTokens],
    ] as const) {
      if (!Number.isInteger(index) || index < 0 || index >= size)
        throw new ArgumentError('attentionRows', name, index, `0 to ${size - 1}`);
    }
    if (slotOf[token] < 0)
      return { keys: new Int32Array(), weights: new Float64Array(), logSumExp: -Infinity };
    const { keys, scores } = host.row(b, head, slotOf[token]);
    const logSumExp = softmaxInPlace(scores);
    return { keys: Int32Array.from(keys), weights: Float64Array.from(scores), logSumExp };
  };
}

export interface AttentionCost {
  /** (query, key) pairs whose score is computed, over all batches and heads: the plan's lists, before the fine mask. */
  visitedPairs: number;
  /** The same for dense attention without a mask. */
  densePairs: number;
  /** 2 (headDim + valueDim) a visited pair: two products, two operations a multiply-add. */
  flops: number;
  denseFlops: number;
  /** Bytes of the plan's lists and orders. */
  planBytes: number;
}

/** What a call costs, counted from its plan. */
export async function attentionCost(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttendOptions = {},
): Promise<AttentionCost> {
  const request = checkAttend(query, key, value, options);
  const { plan, batch, heads, queryTokens, keyTokens, headDim, valueDim } = request;
  const host = await resolvePlan(plan);
  let pairs = 0;
  for (let list = 0; list < plan.listBatches * plan.listHeads; list++) {
    for (let block = 0; block < host.queryBlocks; block++) {
      let rows = 0;
      const first = block * plan.queries.block;
      for (let slot = first; slot < Math.min(first + plan.queries.block, plan.queries.slots); slot++)
        if (host.queryToken(slot) >= 0) rows++;
      pairs += rows * host.keyCount(list, block);
    }
  }
  const visitedPairs = (pairs * batch * heads) / (plan.listBatches * plan.listHeads);
  const densePairs = batch * heads * queryTokens * keyTokens;
  const each = 2 * (headDim + valueDim);
  const bytes = (data: { byteLength: number } | Tensor | undefined) =>
    data === undefined
      ? 0
      : 'byteLength' in data
        ? data.byteLength
        : data.shape.reduce((size, length) => size * length, 4);
  const { keys } = plan;
  const planBytes =
    bytes(plan.queries.order) +
    ('layout' in keys ? bytes(keys.layout.order) : 0) +
    (keys.kind === 'blocks' ? bytes(keys.rows) + bytes(keys.blocks) : 0) +
    (keys.kind === 'ranges' ? bytes(keys.ranges) : 0) +
    (keys.kind === 'intervals' ? bytes(keys.rows) + bytes(keys.runs) : 0) +
    (keys.kind === 'boxes' ? keys.boxes.byteLength : 0);
  return { visitedPairs, densePairs, flops: visitedPairs * each, denseFlops: densePairs * each, planBytes };
}
