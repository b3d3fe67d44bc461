import { BoolExpression, type Node, type Positions, table } from '../mods/expression.ts';
import { type Moved, rewrite } from '../mods/rewrite.ts';
import { type Indices, type KeyRule, type Plan, queryBlocks } from '../plan.ts';
import { bytesPerElement, type Tensor } from '../tensor.ts';
import type { AttendRequest } from './request.ts';

/**
 * Key-major execution, in the parts that devices share. The queries that list a key block are gathered into tiles; a
 * tile is a query block of its own that attends to the one key block, by the device's own kernels; partial results are
 * merged by log-sum-exp over the entries of each query's list, in their order: the same bits on every run.
 */

/** Rows that a tile has at least and at most, unless a query block has more. */
const TILE_ROWS = { least: 64, most: 256 };

/** Bytes of gathered queries and partial results that exist at a time; what needs more is done in several rounds. */
export const MOST_PARTIAL_BYTES = 256 * 2 ** 20;

/** A plan of key blocks. */
export type BlockPlan = Plan & { keys: Extract<KeyRule, { kind: 'blocks' }> };

/** The tiles of a call, in rounds of as many as memory allows. */
export interface Rounds {
  /** Visits of a key block by a query block that a tile holds. */
  visits: number;
  /** Query rows of a tile: visits x rows of a query block. */
  rows: number;
  /** Tiles of a round, for each list. */
  tiles: number;
  /** Each u32 [lists, tiles, 3]: key block, first entry of its visitors, number of them (0: an idle tile). */
  words: Uint32Array[];
}

/**
 * Cuts the visitors of each key block into tiles, and those into rounds.
 * @param visited u32 [lists, keyBlocks, 2]: first entry and number of visitors of each key block
 * @param largestBuffer bytes that one buffer may have
 */
export function cutRounds(
  request: AttendRequest,
  visited: Uint32Array,
  { mostBytes, largestBuffer }: { mostBytes: number; largestBuffer: number },
): Rounds {
  const { batch, heads, headDim, valueDim } = request;
  const { lists, queryBlock, keyBlocks } = sizesOf(request);
  let total = 0;
  for (let cell = 1; cell < visited.length; cell += 2) total += visited[cell];
  // a quarter of what a key block has on average, so that few rows of its last tile are idle
  const wanted = (total * queryBlock) / Math.max(visited.length / 2, 1) / 4;
  const bounded = Math.min(Math.max(wanted, TILE_ROWS.least), TILE_ROWS.most);
  const visits = Math.max(1, Math.floor(bounded / queryBlock));
  const ofLists: number[][] = Array.from({ length: lists }, () => []);
  for (let cell = 0; cell < lists * keyBlocks; cell++) {
    const [first, count] = [visited[2 * cell], visited[2 * cell + 1]];
    for (let done = 0; done < count; done += visits)
      ofLists[Math.floor(cell / keyBlocks)].push(
        cell % keyBlocks,
        first + done,
        Math.min(visits, count - done),
      );
  }
  const rows = visits * queryBlock;
  const gathered = batch * heads * rows * headDim * bytesPerElement(request.query.dtype);
  const partial = batch * heads * rows * valueDim * 4;
  const members = lists * rows * 8;
  const most = Math.min(
    mostBytes / (gathered + partial + members + batch * heads * rows * 4),
    largestBuffer / Math.max(gathered, partial, members),
  );
  const needed = Math.max(...ofLists.map(({ length }) => length / 3), 1);
  const tiles = Math.max(1, Math.min(needed, Math.floor(most)));
  const words = Array.from({ length: Math.ceil(needed / tiles) }, (_, round) => {
    const all = new Uint32Array(3 * lists * tiles);
    ofLists.forEach((list, i) => {
      all.set(list.slice(3 * round * tiles, 3 * (round + 1) * tiles), 3 * i * tiles);
    });
    return all;
  });
  return { visits, rows, tiles, words };
}

/** The lists of a round's plan: each tile one key block, or none. */
export function tileLists(words: Uint32Array): { rows: Uint32Array; blocks: Uint32Array } {
  const tiles = words.length / 3;
  const rows = new Uint32Array(2 * tiles);
  const blocks = new Uint32Array(tiles);
  for (let tile = 0; tile < tiles; tile++) {
    rows.set([tile, Math.min(words[3 * tile + 2], 1)], 2 * tile);
    blocks[tile] = words[3 * tile];
  }
  return { rows, blocks };
}

/**
 * The call of a round: gathered rows as queries, under a plan of one key block a tile. Expressions see the positions
 * of the call that it is a part of.
 * @param part.query [batch, heads, tiles x rows, headDim]
 * @param part.members u32 [listBatches, listHeads, tiles x rows, 2]: token of each row, or NO_TOKEN; entry of its list
 *   that names the tile's key block, with that entry's FULL_BLOCK mark
 */
export function partRequest(
  request: AttendRequest,
  { visits, rows, tiles }: Rounds,
  part: { query: Tensor; members: Tensor; rows: Indices; blocks: Indices },
): AttendRequest {
  const plan = request.plan as BlockPlan;
  const { listBatches, listHeads } = plan;
  const keyBlock = plan.keys.layout.block;
  const slots = tiles * rows;
  const members = table(part.members, [listBatches, listHeads, slots, 2]);
  const member = (at: Positions, word: 0 | 1) =>
    at.readInt(
      members,
      listBatches === 1 ? 0 : at.batch,
      at.head.div(request.heads / listHeads),
      at.query,
      word,
    );
  const move = (at: Positions): Moved => ({
    query: member(at, 0),
    querySlot: at.querySlot.mod(rows / visits),
    keySlot: member(at, 1).bitAnd(0x7fffffff).mul(keyBlock).add(at.keySlot),
  });
  // a tile holds marked and unmarked visits: the mark becomes a part of the mask
  const unlessFull = (at: Positions, keep: Node) => member(at, 1).lt(0).or(new BoolExpression(keep)).node;
  return {
    ...request,
    query: part.query,
    queryTokens: slots,
    plan: {
      name: `${plan.name}, from the keys' side`,
      queryTokens: slots,
      keyTokens: plan.keyTokens,
      queries: { slots, block: rows },
      keys: { kind: 'blocks', layout: plan.keys.layout, rows: part.rows, blocks: part.blocks },
      listBatches,
      listHeads,
    },
    causalOffset: undefined,
    maskIsCausal: false,
    honourFullBlocks: false,
    mask: request.mask && rewrite(request.mask, move, request.honourFullBlocks ? unlessFull : undefined),
    score: request.score && rewrite(request.score, move),
    epilogue: undefined,
    outputDType: 'f32',
    order: 'query-major',
  };
}

/** Sizes of a plan of key blocks. */
export function sizesOf({ plan }: AttendRequest) {
  const { queries, keys, listBatches, listHeads } = plan as BlockPlan;
  return {
    lists: listBatches * listHeads,
    queryBlocks: queryBlocks(plan),
    // a block that is longer than the slots has as many rows as there are slots
    queryBlock: Math.min(queries.block, Math.max(queries.slots, 1)),
    keyBlocks: Math.ceil(keys.layout.slots / keys.layout.block),
  };
}
