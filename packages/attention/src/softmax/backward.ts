import { ArgumentError } from '../errors.ts';
import type { TableHandle } from '../mods/expression.ts';
import { sameShape, type Tensor } from '../tensor.ts';
import { type AttendOptions, checkAttend, withListsChecked } from './attend.ts';
import type { AttendGradients, AttendResult, BackwardRequest } from './request.ts';

/**
 * The options of the attend() call, with what else is wanted. An epilogue is refused: with output = a * attention + b,
 * give a * the output's gradient and the output before the epilogue.
 */
export interface BackwardOptions extends AttendOptions {
  /** Gradient of the loss with respect to logSumExp, [batch, heads, queryTokens]; default: none. */
  logSumExpGradient?: Tensor;
  /** Float tables that `score` reads and whose gradients are wanted. */
  tables?: readonly TableHandle[];
  /**
   * Sums of dS, the gradient of the changed scores, per (query block, key block): the gradient of a number that would
   * be added to all scores of the block, for routers. Only for plans that list key blocks.
   */
  blockSums?: boolean;
}

const where = 'attendBackward';

/**
 * Gradients of attend(): with S the changed scores, P = exp(S − L), dP = dO Vᵀ, dS = P ∘ (dP − rowsum(dO ∘ O) + dL),
 * dV = Pᵀ dO, dQ = scale (dS ∘ s) K, dK = scale (dS ∘ s)ᵀ Q, where s is the score expression's derivative.
 * Grouped query heads add up in their key head. The same call gives the same bits on every run. A query that sees no
 * key has a zero gradient and gives none. The result of mergeAttention() stands for each of its parts: their gradients
 * add up. A NaN or an infinity among the inputs spreads, also from behind a mask.
 *
 * @param query [batch, heads, queryTokens, headDim], as key and value what attend() was given
 * @param key [batch, keyHeads, keyTokens, headDim]
 * @param value [batch, keyHeads, keyTokens, valueDim]
 * @param result output [batch, heads, queryTokens, valueDim] and logSumExp [batch, heads, queryTokens] of attend()
 * @param outputGradient like the output: gradient of the loss with respect to it
 * @param options those of attend(), and what else is wanted
 * @returns gradients like query, key, value and each table, in f32; blockSums [batch, heads, queryBlocks, keyBlocks]
 * @throws ArgumentError before anything is launched if arguments do not fit, or a table is none that `score` reads, on a
 *   device opened with debug also if the plan's lists name what does not exist;
 *   DeviceError if the machine cannot do it; the signal's reason when cancelled
 *
 * On a device with matrix units, f16 query, key and value are multiplied there: weights and dS are rounded to halves, errors
 * are some 3e-4 of the gradients' root mean square. A score expression whose derivative is not 1 runs in f32.
 *
 * After Dao 2023 (FlashAttention-2, algorithm 2), as two passes without atomics: over query tiles for dQ, over key
 * tiles and the inverted plan for dK and dV.
 */
export async function attendBackward(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  result: Pick<AttendResult, 'output' | 'logSumExp'>,
  outputGradient: Tensor,
  options: BackwardOptions = {},
): Promise<AttendGradients> {
  return withListsChecked(
    () => checkBackward(query, key, value, result, outputGradient, options),
    (request) => query.device.kernels.attendBackward(request),
  );
}

/** The checks of attendBackward(), for callers that want a request without running it. */
export function checkBackward(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  result: Pick<AttendResult, 'output' | 'logSumExp'>,
  outputGradient: Tensor,
  options: BackwardOptions,
): BackwardRequest {
  if (options.epilogue)
    throw new ArgumentError(
      where,
      'epilogue',
      'given',
      "none: scale outputGradient by the epilogue's scale and give the output before the epilogue",
    );
  const attention = checkAttend(query, key, value, options);
  const { batch, heads, queryTokens, valueDim, plan } = attention;
  const outputShape = [batch, heads, queryTokens, valueDim];
  checkTensor('result.output', result.output, outputShape, query);
  checkTensor('result.logSumExp', result.logSumExp, outputShape.slice(0, 3), query);
  checkTensor('outputGradient', outputGradient, outputShape, query);
  const { logSumExpGradient, tables = [], blockSums = false } = options;
  if (logSumExpGradient) checkTensor('logSumExpGradient', logSumExpGradient, outputShape.slice(0, 3), query);
  if (blockSums && plan.keys.kind !== 'blocks')
    throw new ArgumentError(
      where,
      'blockSums',
      `true under the plan '${plan.name}' of key ${plan.keys.kind}`,
      'plans that list key blocks',
    );
  tables.forEach(({ table }, index) => {
    if (table.type === 'i32')
      throw new ArgumentError(where, `tables[${index}]`, 'an integer table', 'float tables');
    if (!attention.score?.tables.includes(table))
      throw new ArgumentError(
        where,
        `tables[${index}]`,
        'a table that score does not read',
        'those it reads',
      );
    if (tables.findIndex((other) => other.table === table) !== index)
      throw new ArgumentError(where, `tables[${index}]`, 'a table named before', 'each table once');
  });
  return {
    ...attention,
    output: result.output,
    logSumExp: result.logSumExp,
    outputGradient,
    logSumExpGradient,
    tables: tables.map(({ table }) => table),
    blockSums,
  };
}

function checkTensor(argument: string, tensor: Tensor, shape: readonly number[], query: Tensor): void {
  if (tensor.disposed) throw new ArgumentError(where, argument, 'a disposed tensor', 'a live tensor');
  if (!sameShape(tensor.shape, shape))
    throw new ArgumentError(
      where,
      argument,
      `of shape [${tensor.shape.join(', ')}]`,
      `[${shape.join(', ')}]`,
    );
  if (tensor.dtype === 'u32') throw new ArgumentError(where, argument, 'of dtype u32', 'f32 or f16');
  if (tensor.device !== query.device)
    throw new ArgumentError(where, argument, 'on another device', 'the device of query');
}
