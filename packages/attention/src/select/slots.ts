import { ArgumentError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { checkLists, checkSameDevice, checkShapeIs, checkShared, checkTensor } from './checks.ts';
import type { SelectedBlocks } from './request.ts';

/**
 * Rows of a tensor in the order of ids: the queries of groups, experts or clusters one after another, where a token may
 * stand in several groups or in none. Attend over them as tokens of their own (one query block a group), then bring the
 * results home with mergeSlots().
 * @param input [batch, heads, tokens, headDim]
 * @param ids u32 [batch or 1, heads or a divisor, slots]: token of each slot; one out of range gives a row of zeros
 * @returns [batch, heads, slots, headDim], of the input's dtype
 * @throws ArgumentError if shapes do not fit, or rows of f16 have an odd headDim
 */
export async function gatherRows(input: Tensor, ids: Tensor): Promise<Tensor> {
  checkTensor('gatherRows', 'input', input, '[batch, heads, tokens, headDim]');
  checkTensor('gatherRows', 'ids', ids, '[batch, heads, slots]', 'u32');
  checkShared('gatherRows', 'ids', ids, input);
  if (input.dtype === 'f16' && input.shape[3] % 2 === 1)
    throw new ArgumentError('gatherRows', 'input', `f16 with headDim ${input.shape[3]}`, 'an even headDim');
  return input.device.kernels.gatherRows({ input, ids });
}

/**
 * Attention of slots back to tokens: L = log Σ exp L_s, O = Σ exp(L_s − L) O_s over the slots s of a token, in their
 * order. Exact where the slots of a token saw different keys; a key that two of them saw weighs double.
 * @param part output [batch, heads, slots, valueDim] and logSumExp [batch, heads, slots], of attend() over gathered queries
 * @param slots the slots of each token: groupBySegment(ids, tokens) of the ids that gathered them
 * @returns f32 output [batch, heads, tokens, valueDim] and logSumExp; zeros and -Infinity where no slot saw a key
 * @throws ArgumentError if shapes do not fit
 */
export async function mergeSlots(
  part: { output: Tensor; logSumExp: Tensor },
  slots: SelectedBlocks,
): Promise<{ output: Tensor; logSumExp: Tensor }> {
  const { output, logSumExp } = part;
  checkTensor('mergeSlots', 'output', output, '[batch, heads, slots, valueDim]');
  checkTensor('mergeSlots', 'logSumExp', logSumExp, '[batch, heads, slots]');
  checkSameDevice('mergeSlots', 'logSumExp', logSumExp, output);
  checkShapeIs('mergeSlots', 'logSumExp', logSumExp, output.shape.slice(0, 3));
  checkLists('mergeSlots', 'slots', slots);
  checkShared('mergeSlots', 'slots', slots.rows, output);
  return output.device.kernels.mergeSlots({ output, logSumExp, slots });
}
