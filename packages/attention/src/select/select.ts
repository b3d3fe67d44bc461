import { ArgumentError } from '../errors.ts';
import type { BlockLayout } from '../plan.ts';
import type { Tensor } from '../tensor.ts';
import type { SelectedBlocks } from './request.ts';

/**
 * Mean of the tokens of each block, accumulated in f32 or better.
 * @param input [batch, heads, tokens, headDim]
 * @param layout which tokens make a block; padding slots take no part; an empty block gives zeros
 * @returns [batch, heads, blocks, headDim], f32
 * @throws ArgumentError if input has not four axes or the layout names tokens out of range
 */
export async function blockMean(input: Tensor, layout: BlockLayout): Promise<Tensor> {
  checkFourAxes('blockMean', 'input', input);
  if (!Number.isInteger(layout.block) || layout.block < 1)
    throw new ArgumentError('blockMean', 'layout.block', layout.block, 'an integer of at least 1');
  if (!layout.order && layout.slots > input.shape[2]) {
    throw new ArgumentError(
      'blockMean',
      'layout.slots',
      layout.slots,
      `at most the ${input.shape[2]} tokens of input, or an order`,
    );
  }
  return input.device.kernels.blockMean({ input, layout });
}

/**
 * Scores of block pairs: scale · ⟨query[i], key[j]⟩ for each head, or summed over heads (then the product of all channels).
 * @param query [batch, heads, queryBlocks, headDim]
 * @param key [batch, keyHeads, keyBlocks, headDim]
 * @returns f32 [batch, heads, queryBlocks, keyBlocks]; heads is 1 with `sum`
 * @throws ArgumentError if shapes do not fit
 */
export async function blockScores(
  query: Tensor,
  key: Tensor,
  options: { scale?: number; heads?: 'each' | 'sum' } = {},
): Promise<Tensor> {
  checkFourAxes('blockScores', 'query', query);
  checkFourAxes('blockScores', 'key', key);
  const { scale = 1, heads = 'each' } = options;
  if (
    key.shape[0] !== query.shape[0] ||
    key.shape[3] !== query.shape[3] ||
    query.shape[1] % key.shape[1] !== 0
  ) {
    throw new ArgumentError(
      'blockScores',
      'key',
      `of shape [${key.shape.join(', ')}]`,
      `batch and headDim of the query [${query.shape.join(', ')}], and heads that divide its heads`,
    );
  }
  return query.device.kernels.blockScores({ query, key, scale, heads });
}

/**
 * The k best key blocks of each row. Equal scores: the lower index wins, so every device chooses the same set.
 * A row with fewer candidates than k takes all of them. NaN counts as -Infinity.
 * @param scores f32 [batch, heads, queryBlocks, keyBlocks]
 * @returns block lists on the device, entries ascending; ready for selectedPlan()
 * @throws ArgumentError if k is not an integer from 1 to keyBlocks, or forceOwn is asked for without a square table
 */
export async function topK(
  scores: Tensor,
  options: { k: number; causal?: boolean; forceOwn?: boolean },
): Promise<SelectedBlocks> {
  checkFourAxes('topK', 'scores', scores);
  const { k, causal = false, forceOwn = false } = options;
  const [, , rows, columns] = scores.shape;
  if (!Number.isInteger(k) || k < 1 || k > columns)
    throw new ArgumentError('topK', 'k', k, `an integer from 1 to the ${columns} key blocks`);
  if ((forceOwn || causal) && rows !== columns)
    throw new ArgumentError(
      'topK',
      'scores',
      `of ${rows} x ${columns} blocks`,
      'a square table with causal or forceOwn',
    );
  return scores.device.kernels.topK({ scores, k, causal, forceOwn });
}

function checkFourAxes(where: string, name: string, tensor: Tensor): void {
  if (tensor.shape.length !== 4)
    throw new ArgumentError(where, name, `of shape [${tensor.shape.join(', ')}]`, 'four axes');
  if (tensor.disposed) throw new ArgumentError(where, name, 'a disposed tensor', 'a live tensor');
}
