import {
  ArgumentError,
  type AttendOptions,
  attend,
  type BlockLayout,
  blockListPlan,
  NO_TOKEN,
  type Plan,
} from '@saccade/attention';
import type { Inputs, Outputs, RunContext } from '../kit/paper.ts';
import { remember } from '../kit/remember.ts';
import type { Options } from './paper.ts';
import { rowBlocks } from './patterns.ts';

/**
 * PowerAttention on the engines: select by a rule, attend, nothing to correct. Equation numbers as in reference.ts.
 *
 * Fewer queries than keys (a step of decoding, a chunk of prefill) are the last ones of the sequence:
 * query i has the absolute position keyTokens − queryTokens + i.
 * @throws ArgumentError where the grid does not fit the tokens, or there are more queries than keys
 */
export async function powerAttention(
  { query, key, value }: Inputs,
  options: Options,
  run: RunContext = {},
): Promise<Outputs> {
  const queryTokens = query.shape[2];
  const keyTokens = key.shape[2];
  checkTokens(queryTokens, keyTokens, options);
  // select: (1) to (4) as one list of key blocks per query block, the same for all batches and heads
  const plan = powerPlan(queryTokens, keyTokens, options);
  // attend: (5) is cut by the plan's own mask in the diagonal block only; `causal` would test every pair again
  const { output, logSumExp } = await attend(query, key, value, { plan, signal: run.signal });
  // correct: nothing. `causal` says to readers of `attended` what the plan does already.
  const attended: AttendOptions = { plan, causal: true, signal: run.signal };
  return { output, logSumExp, attended };
}

/** Block lists of the rule for the last `queryTokens` of `keyTokens` tokens; made once a geometry. */
export const powerPlan = remember((queryTokens: number, keyTokens: number, options: Options): Plan => {
  const { blockSize, pattern } = options;
  const offset = keyTokens - queryTokens;
  const firstBlock = Math.floor(offset / blockSize);
  const blocks = Math.ceil(keyTokens / blockSize) - firstBlock;
  return blockListPlan({
    name: `${pattern}, blocks of ${blockSize}`,
    queryTokens,
    keyTokens,
    queries: queryLayout(queryTokens, offset % blockSize, blockSize, blocks),
    keys: { slots: keyTokens, block: blockSize },
    lists: Array.from({ length: queryTokens === 0 ? 0 : blocks }, (_, index) => {
      const row = firstBlock + index;
      return rowBlocks(row, options).map((block) => ({ block, full: block < row }));
    }),
    keep: ({ query, key }) => key.le(query.add(offset)),
  });
});

/** Queries in the blocks of their absolute positions: the first block may begin in its middle. */
function queryLayout(queryTokens: number, skipped: number, blockSize: number, blocks: number): BlockLayout {
  if (skipped === 0) return { slots: queryTokens, block: blockSize };
  // within one block (decoding, mostly) no padding is needed
  if (blocks === 1) return { slots: queryTokens, block: Math.max(queryTokens, 1) };
  const order = new Uint32Array(skipped + queryTokens).fill(NO_TOKEN, 0, skipped);
  for (let token = 0; token < queryTokens; token++) order[skipped + token] = token;
  return { slots: order.length, block: blockSize, order };
}

function checkTokens(queryTokens: number, keyTokens: number, { grid }: Options): void {
  if (queryTokens > keyTokens) {
    throw new ArgumentError(
      'power-attention',
      'query',
      `${queryTokens} tokens`,
      `at most the ${keyTokens} of key: query tokens are the last ones of the sequence`,
    );
  }
  const product = grid?.reduce((size, length) => size * length, 1);
  if (product !== undefined && product !== keyTokens) {
    throw new ArgumentError(
      'power-attention',
      'grid',
      `[${grid?.join(', ')}], ${product} tokens`,
      `a product of ${keyTokens}, the tokens of key`,
    );
  }
}
