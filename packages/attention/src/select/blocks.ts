import { ArgumentError } from '../errors.ts';
import type { BlockLayout } from '../plan.ts';
import type { Tensor } from '../tensor.ts';
import { checkSameDevice, checkTensor, shapeText } from './checks.ts';
import type { BlockMoments } from './request.ts';

/**
 * Mean of the tokens of each block, accumulated in f32 or better.
 * @param input [batch, heads, tokens, headDim]
 * @param layout which tokens make a block; padding slots take no part; an empty block gives zeros
 * @returns [batch, heads, blocks, headDim], f32
 * @throws ArgumentError if input has not four axes or the layout names tokens out of range
 */
export async function blockMean(input: Tensor, layout: BlockLayout): Promise<Tensor> {
  checkLayout('blockMean', input, layout);
  return input.device.kernels.blockMean({ input, layout });
}

/**
 * Of the tokens of each block, channel by channel: the mean, and the mean absolute deviation from it, Σ |x − mean| / count.
 * With it a block score knows how far its pairs may lie from it: |⟨q, k⟩ − ⟨mean q, mean k⟩| grows with the deviations.
 * @param input [batch, heads, tokens, headDim]
 * @param layout as for blockMean; an empty block gives zeros
 * @returns mean and deviation, f32 [batch, heads, blocks, headDim]
 * @throws ArgumentError as blockMean
 */
export async function blockMoments(input: Tensor, layout: BlockLayout): Promise<BlockMoments> {
  checkLayout('blockMoments', input, layout);
  return input.device.kernels.blockMoments({ input, layout });
}

/**
 * Scores of block pairs: scale · ⟨query[i], key[j]⟩ for each head, or summed over heads (then the product of all channels).
 * @param query [batch, heads, queryBlocks, headDim]
 * @param key [batch, keyHeads, keyBlocks, headDim]; keyHeads divides heads
 * @param options.causal columns beyond the row become -Infinity, and tiles of nothing else are not computed
 * @returns f32 [batch, heads, queryBlocks, keyBlocks]; heads is 1 with `sum`
 * @throws ArgumentError if shapes do not fit or the scale is not finite
 */
export async function blockScores(
  query: Tensor,
  key: Tensor,
  options: { scale?: number; heads?: 'each' | 'sum'; causal?: boolean } = {},
): Promise<Tensor> {
  checkTensor('blockScores', 'query', query, '[batch, heads, queryBlocks, headDim]');
  checkTensor('blockScores', 'key', key, '[batch, keyHeads, keyBlocks, headDim]');
  checkSameDevice('blockScores', 'key', key, query);
  const { scale = 1, heads = 'each', causal = false } = options;
  if (!Number.isFinite(scale)) throw new ArgumentError('blockScores', 'scale', scale, 'a finite number');
  if (
    key.shape[0] !== query.shape[0] ||
    key.shape[3] !== query.shape[3] ||
    query.shape[1] % key.shape[1] !== 0
  ) {
    throw new ArgumentError(
      'blockScores',
      'key',
      shapeText(key),
      `batch and headDim of the query [${query.shape.join(', ')}], and heads that divide its heads`,
    );
  }
  return query.device.kernels.blockScores({ query, key, scale, heads, causal });
}

function checkLayout(where: string, input: Tensor, layout: BlockLayout): void {
  checkTensor(where, 'input', input, '[batch, heads, tokens, headDim]');
  if (!Number.isInteger(layout.block) || layout.block < 1)
    throw new ArgumentError(where, 'layout.block', layout.block, 'an integer of at least 1');
  if (!layout.order && layout.slots > input.shape[2]) {
    throw new ArgumentError(
      where,
      'layout.slots',
      layout.slots,
      `at most the ${input.shape[2]} tokens of input, or an order`,
    );
  }
}
