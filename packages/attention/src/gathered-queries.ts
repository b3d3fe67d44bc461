import { ArgumentError } from './errors.ts';
import { FULL_BLOCK, type Indices, type Plan } from './plan.ts';
import type { GatheredQueriesSpec } from './plans.ts';
import type { SelectedBlocks } from './select/request.ts';
import { sizeOf } from './tensor.ts';
import { transposeLists } from './transpose.ts';

const where = 'gatheredQueriesPlan';

/** gatheredQueriesPlan(): the chosen queries of each key block, turned into the key blocks of each query. */
export async function planOfChosen(spec: GatheredQueriesSpec): Promise<Plan> {
  const { chosen, keys, ...rest } = spec;
  const { rows, blocks, listBatches = 1, listHeads = 1 } = chosen;
  const { queryTokens } = spec;
  const lists = listBatches * listHeads;
  const keyBlocks = Math.ceil(keys.slots / keys.block);
  const words = rows instanceof Uint32Array ? rows.length : sizeOf(rows.shape);
  if (words !== 2 * lists * keyBlocks)
    throw new ArgumentError(
      where,
      'chosen.rows',
      `${words} numbers`,
      `${2 * lists * keyBlocks}: two for each of ${keyBlocks} key blocks of ${lists} lists`,
    );
  const plan = { listBatches, listHeads, ...rest, queries: { slots: queryTokens, block: 1 } };
  const made = (inverse: { rows: Indices; blocks: Indices }): Plan => ({
    ...plan,
    order: 'key-major',
    keys: { kind: 'blocks', layout: keys, ...inverse },
  });
  if (rows instanceof Uint32Array && blocks instanceof Uint32Array) {
    for (let row = 0; row < rows.length; row += 2)
      for (const entry of blocks.subarray(rows[row], rows[row] + rows[row + 1]))
        if ((entry & ~FULL_BLOCK) >>> 0 >= queryTokens)
          throw new ArgumentError(
            where,
            `chosen.blocks of row ${row / 2}`,
            `query ${(entry & ~FULL_BLOCK) >>> 0}`,
            `0 to ${queryTokens - 1}`,
          );
    return made(transposeLists({ rows, blocks }, { lists, columns: queryTokens }));
  }
  if (rows instanceof Uint32Array || blocks instanceof Uint32Array)
    throw new ArgumentError(
      where,
      'chosen',
      'partly on the host',
      'rows and blocks both on the host or both on a device',
    );
  const given: SelectedBlocks = { rows, blocks, listBatches, listHeads };
  const { rows: ownRows, blocks: own } = await rows.device.kernels.invertLists({
    lists: given,
    columns: queryTokens,
  });
  return made({ rows: ownRows, blocks: own });
}
