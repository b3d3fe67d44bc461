import type { Tensor } from '../tensor.ts';
import { checkInteger, checkLists, checkShared, checkTensor } from './checks.ts';
import type { SelectedBlocks } from './request.ts';

const MOST_COLUMNS = 2 ** 30;

/**
 * Stream compaction: of each row the columns whose mask is not 0, ascending.
 * @param mask u32 [batch, heads, rows, columns]
 * @returns lists on the device, `columns` apart
 * @throws ArgumentError if the mask has not four axes of u32
 */
export async function compact(mask: Tensor): Promise<SelectedBlocks> {
  checkTensor('compact', 'mask', mask, '[batch, heads, rows, columns]', 'u32');
  return mask.device.kernels.compact({ mask });
}

/**
 * The transpose of block lists: for each column the rows that name it, ascending, marks (FULL_BLOCK) kept. Inverted twice
 * (with the number of rows as `columns`) the lists are what they were. Entries out of range are left out.
 * By a bit matrix a list: no order of execution shows.
 * @param lists rows [batch, heads, queryBlocks, 2] and blocks, as a selection or a plan on the device has them
 * @param columns number of key blocks
 * @returns lists on the device: rows [batch, heads, columns, 2], packed
 * @throws ArgumentError if the lists' sizes disagree or columns is not an integer from 0 to 2^30
 */
export async function invertLists(lists: SelectedBlocks, columns: number): Promise<SelectedBlocks> {
  checkLists('invertLists', 'lists', lists);
  checkInteger('invertLists', 'columns', columns, 0, MOST_COLUMNS);
  return lists.rows.device.kernels.invertLists({ lists, columns });
}

/**
 * The tokens of each segment, ascending (a counting sort): segment ids in, lists out. Ids out of range belong nowhere.
 * @param ids u32 [batch, heads, tokens]
 * @param segments number of segments
 * @returns lists on the device: rows [batch, heads, segments, 2], packed
 * @throws ArgumentError if ids has not three axes of u32 or segments is not an integer from 1 to 2^30
 */
export async function groupBySegment(ids: Tensor, segments: number): Promise<SelectedBlocks> {
  checkTensor('groupBySegment', 'ids', ids, '[batch, heads, tokens]', 'u32');
  checkInteger('groupBySegment', 'segments', segments, 1, MOST_COLUMNS);
  return ids.device.kernels.groupBySegment({ ids, segments });
}

/**
 * Mean of the rows that each segment lists, in f32 or better, in the order of the list: bit-equal over runs.
 * @param input [batch, heads, tokens, headDim]
 * @param members lists of tokens, one a segment, for each (batch, head) or shared as a plan's lists are
 * @returns f32 [batch, heads, segments, headDim]; zeros for a segment without members
 * @throws ArgumentError if shapes do not fit
 */
export async function segmentMean(input: Tensor, members: SelectedBlocks): Promise<Tensor> {
  checkTensor('segmentMean', 'input', input, '[batch, heads, tokens, headDim]');
  checkLists('segmentMean', 'members', members);
  checkShared('segmentMean', 'members', members.rows, input);
  return input.device.kernels.segmentMean({ input, members, empty: undefined });
}
