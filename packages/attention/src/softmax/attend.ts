import { type Device, type Tier, tiersOf } from '../device/device.ts';
import { ArgumentError, throwIfAborted } from '../errors.ts';
import {
  type MaskFunction,
  type ScoreFunction,
  type Traced,
  traceMask,
  traceScore,
} from '../mods/expression.ts';
import { densePlan, isOwnBand, type Plan } from '../plan.ts';
import { type DType, requireLive, sameShape, type Tensor } from '../tensor.ts';
import { checkLists } from './check-lists.ts';
import type { AttendRequest, AttendResult } from './request.ts';

export interface AttendOptions {
  /** Which keys each group of queries sees; default: all. */
  plan?: Plan;
  /** Keeps only keys at or before the query; the last query sees the last key when lengths differ. */
  causal?: boolean;
  /** Keeps only pairs for which it is true, in addition to the plan. */
  mask?: MaskFunction;
  /** Changes the scaled score of a pair. */
  score?: ScoreFunction;
  /** Multiplies q·k; default headDim^-1/2. */
  scale?: number;
  /** output = scale * attention + add. scale: a number, or a tensor [batch, heads, queryTokens]; add: like the output. */
  epilogue?: { scale?: number | Tensor; add?: Tensor };
  /** Of the output; default: the query's. */
  outputDType?: DType;
  /** Insists on a kind of kernel; default: the device's tier, or a lower one where that has no kernel for the call. */
  tier?: Tier;
  signal?: AbortSignal;
}

/**
 * Softmax attention under a plan: output = softmax(scale · query keyᵀ, changed by score, where kept) value.
 *
 * @param query [batch, heads, queryTokens, headDim]
 * @param key [batch, keyHeads, keyTokens, headDim]; keyHeads divides heads (grouped-query attention)
 * @param value [batch, keyHeads, keyTokens, valueDim]
 * @returns output [batch, heads, queryTokens, valueDim] and logSumExp [batch, heads, queryTokens] (natural log).
 *   A query that sees no key gets zeros and -Infinity. `tier` says which kind of kernel ran.
 * @throws ArgumentError before anything is launched if shapes, dtypes, devices or options do not fit, on a device opened
 *   with debug also if the plan's lists name what does not exist;
 *   DeviceError if the machine cannot do it, or not on the tier asked for; the signal's reason when cancelled
 *
 * Online softmax over key tiles after Dao et al. 2022 (FlashAttention); nothing of size queryTokens x keyTokens exists.
 */
export async function attend(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttendOptions = {},
): Promise<AttendResult> {
  let request = checkAttend(query, key, value, options);
  throwIfAborted(options.signal);
  if (query.device.debug) {
    await checkLists(request.plan);
    request = checkAttend(query, key, value, options); // a tensor may have been disposed of meanwhile
  }
  return query.device.kernels.attend(request);
}

/**
 * The checks of attend(), for callers that want a request without running it.
 * @param keyTokens the first tokens of key and value that are there; default: all
 */
export function checkAttend(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttendOptions,
  keyTokens = key.shape[2],
): AttendRequest {
  const where = 'attend';
  const tensors = { query, key, value };
  for (const [name, tensor] of Object.entries(tensors)) {
    requireLive(where, name, tensor, query.device);
    if (tensor.shape.length !== 4) {
      throw new ArgumentError(
        where,
        name,
        `of shape [${tensor.shape.join(', ')}]`,
        '[batch, heads, tokens, headDim]',
      );
    }
    if (tensor.dtype === 'u32') throw new ArgumentError(where, name, 'of dtype u32', 'f32 or f16');
    if (tensor.dtype !== query.dtype)
      throw new ArgumentError(where, name, `of dtype ${tensor.dtype}`, `${query.dtype}, as query`);
  }
  const [batch, heads, queryTokens, headDim] = query.shape;
  const [, keyHeads, keyStride] = key.shape;
  const valueDim = value.shape[3];
  const shapeOf = (tensor: Tensor) => `of shape [${tensor.shape.join(', ')}]`;
  if (headDim < 1) throw new ArgumentError(where, 'query', shapeOf(query), 'a headDim of at least 1');
  if (valueDim < 1) throw new ArgumentError(where, 'value', shapeOf(value), 'a last axis of at least 1');
  if (key.shape[0] !== batch)
    throw new ArgumentError(where, 'key', shapeOf(key), `a batch of ${batch}, as query`);
  if (key.shape[3] !== headDim)
    throw new ArgumentError(where, 'key', shapeOf(key), `a headDim of ${headDim}, as query`);
  if (keyHeads < 1 ? heads > 0 : heads % keyHeads !== 0) {
    throw new ArgumentError(where, 'key', shapeOf(key), `heads that divide the query's ${heads}`);
  }
  if (!sameShape(value.shape.slice(0, 3), key.shape.slice(0, 3))) {
    throw new ArgumentError(
      where,
      'value',
      shapeOf(value),
      `[${batch}, ${keyHeads}, ${keyStride}, valueDim], as key`,
    );
  }
  const scale = options.scale ?? headDim ** -0.5;
  if (!Number.isFinite(scale)) throw new ArgumentError(where, 'scale', scale, 'a finite number');
  const plan = options.plan ?? densePlan(queryTokens, keyTokens);
  checkPlan(plan, { batch, heads, queryTokens, keyTokens });
  checkIndices(plan, query.device);
  // a single query is the last: it sees every key
  const causalOffset = options.causal && queryTokens > 1 ? keyTokens - queryTokens : undefined;
  const mask = combine(plan.keep, causalOffset, options.mask);
  const outputDType = options.outputDType ?? query.dtype;
  const tiers: readonly Tier[] = tiersOf[query.device.kind];
  if (options.tier !== undefined && !tiers.includes(options.tier))
    throw new ArgumentError(where, 'tier', options.tier, `${tiers.join(', ')} on ${query.device.kind}`);
  if (outputDType === 'u32') throw new ArgumentError(where, 'outputDType', outputDType, 'f32 or f16');
  return {
    query,
    key,
    value,
    batch,
    heads,
    keyHeads,
    queryTokens,
    keyTokens,
    keyStride,
    headDim,
    valueDim,
    scale,
    plan,
    causalOffset,
    mask: mask && withLiveTables('mask', traceMask(mask), query.device),
    honourFullBlocks: causalOffset === undefined && options.mask === undefined,
    score: options.score && withLiveTables('score', traceScore(options.score), query.device),
    epilogue: checkEpilogue(options.epilogue, query, [batch, heads, queryTokens, valueDim]),
    outputDType,
    maskIsBand: causalOffset === undefined && options.mask === undefined && isOwnBand(plan),
    maskIsCausal: causalOffset !== undefined && plan.keep === undefined && options.mask === undefined,
    tier: options.tier,
    signal: options.signal,
  };
}

function checkPlan(
  plan: Plan,
  shape: { batch: number; heads: number; queryTokens: number; keyTokens: number },
): void {
  const where = 'attend';
  if (plan.queryTokens !== shape.queryTokens || plan.keyTokens !== shape.keyTokens) {
    throw new ArgumentError(
      where,
      'plan',
      `made for ${plan.queryTokens} queries and ${plan.keyTokens} keys`,
      `${shape.queryTokens} queries and ${shape.keyTokens} keys, as the tensors`,
    );
  }
  if (plan.listBatches !== 1 && plan.listBatches !== shape.batch) {
    throw new ArgumentError(where, 'plan.listBatches', plan.listBatches, `1 or the batch, ${shape.batch}`);
  }
  if (plan.listHeads < 1 || (shape.heads > 0 && shape.heads % plan.listHeads !== 0)) {
    throw new ArgumentError(
      where,
      'plan.listHeads',
      plan.listHeads,
      `a divisor of the ${shape.heads} query heads`,
    );
  }
  const layouts = [['queries', plan.queries] as const];
  if ('layout' in plan.keys) layouts.push(['keys', plan.keys.layout] as never);
  if (plan.keys.kind === 'band' && plan.queries.order)
    throw new ArgumentError(where, 'plan.queries.order', 'given', 'queries in token order under a band');
  for (const [name, layout] of layouts) {
    if (!Number.isInteger(layout.block) || layout.block < 1)
      throw new ArgumentError(where, `plan.${name}.block`, layout.block, 'an integer of at least 1');
    if (layout.order && layout.order.length !== layout.slots) {
      throw new ArgumentError(where, `plan.${name}.order`, `${layout.order.length} slots`, `${layout.slots}`);
    }
  }
}

/** Lists that a selection left on the device. */
function checkIndices({ keys }: Plan, device: Device): void {
  const lists = keys.kind === 'blocks' ? { rows: keys.rows, blocks: keys.blocks } : {};
  const named = keys.kind === 'ranges' ? { ranges: keys.ranges } : lists;
  for (const [name, list] of Object.entries(named))
    if (!(list instanceof Uint32Array)) requireLive('attend', `plan.keys.${name}`, list, device);
}

function withLiveTables(where: 'mask' | 'score', traced: Traced, device: Device): Traced {
  traced.tables.forEach(({ data }, i) => {
    if (!(data instanceof Float32Array) && !(data instanceof Int32Array))
      requireLive('attend', `table ${i} that ${where} reads`, data, device);
  });
  return traced;
}

function combine(
  keep: MaskFunction | undefined,
  causalOffset: number | undefined,
  mask: MaskFunction | undefined,
): MaskFunction | undefined {
  const causal: MaskFunction | undefined =
    causalOffset === undefined ? undefined : ({ query, key }) => key.le(query.add(causalOffset));
  const parts = [keep, causal, mask].filter((part) => part !== undefined);
  if (parts.length === 0) return undefined;
  return (at) => parts.slice(1).reduce((all, part) => all.and(part(at)), parts[0](at));
}

function checkEpilogue(
  epilogue: AttendOptions['epilogue'],
  query: Tensor,
  outputShape: readonly number[],
): AttendRequest['epilogue'] {
  if (!epilogue) return undefined;
  const { scale = 1, add } = epilogue;
  if (typeof scale !== 'number') requireLive('attend', 'epilogue.scale', scale, query.device);
  if (add) requireLive('attend', 'epilogue.add', add, query.device);
  if (typeof scale === 'number') {
    if (!Number.isFinite(scale))
      throw new ArgumentError('attend', 'epilogue.scale', scale, 'a finite number or a tensor');
  } else if (!sameShape(scale.shape, outputShape.slice(0, 3))) {
    throw new ArgumentError(
      'attend',
      'epilogue.scale',
      `of shape [${scale.shape.join(', ')}]`,
      `[${outputShape.slice(0, 3).join(', ')}]`,
    );
  }
  if (add && !sameShape(add.shape, outputShape)) {
    throw new ArgumentError(
      'attend',
      'epilogue.add',
      `of shape [${add.shape.join(', ')}]`,
      `[${outputShape.join(', ')}]`,
    );
  }
  return { scale, add };
}
