import { candidateCount, isForced } from './candidates.ts';
import type { Candidates, HeadThresholdRequest, TopKRequest, TopPRequest } from './request.ts';
import { massOfShare, weightOf } from './weights.ts';

/** Lists as arrays: first entry and count of each row, then the entries. */
export interface HostLists {
  rows: Uint32Array; // [lists, queryBlocks, 2]
  blocks: Uint32Array;
}

/** A row's candidates, best first: forced ones, then by score as f32, then by column. */
function ranked(scores: ArrayLike<number>, candidates: Candidates, row: number): number[] {
  const count = candidateCount(candidates, row, scores.length);
  const rank = (column: number) => {
    if (isForced(candidates, row, column)) return Number.POSITIVE_INFINITY;
    const score = Math.fround(scores[column]);
    // below the forced ones, also where it is +Infinity
    return Number.isNaN(score) ? -Infinity : Math.min(score, Number.MAX_VALUE);
  };
  return Array.from({ length: count }, (_, column) => column).sort((a, b) => {
    const [ra, rb] = [rank(a), rank(b)];
    return ra === rb ? a - b : rb > ra ? 1 : -1;
  });
}

/** Lists that begin `stride` entries apart. */
function apart(stride: number, lists: readonly (readonly number[])[]): HostLists {
  const rows = new Uint32Array(lists.length * 2);
  const blocks = new Uint32Array(Math.max(lists.length * stride, 1));
  lists.forEach((list, row) => {
    rows.set([row * stride, list.length], row * 2);
    blocks.set(
      [...list].sort((a, b) => a - b),
      row * stride,
    );
  });
  return { rows, blocks };
}

/** Top-k by sorting each row. */
export async function topKReference({ scores, k, candidates }: TopKRequest): Promise<HostLists> {
  const data = await scores.read();
  const [batch, heads, rows, columns] = scores.shape;
  const lists = Array.from({ length: batch * heads * rows }, (_, at) =>
    ranked(data.subarray(at * columns, (at + 1) * columns), candidates, at % rows).slice(0, k),
  );
  return apart(k, lists);
}

/** Top-p by sorting each row and adding weights from the best down. */
export async function topPReference(request: TopPRequest): Promise<HostLists> {
  const { scores, share, atLeast, atMost, candidates } = request;
  const data = await scores.read();
  const [batch, heads, rows, columns] = scores.shape;
  const lists = Array.from({ length: batch * heads * rows }, (_, at) => {
    const line = Float32Array.from(data.subarray(at * columns, (at + 1) * columns));
    const order = ranked(line, candidates, at % rows);
    const maximum = order
      .map((column) => line[column])
      .filter((score) => !Number.isNaN(score))
      .reduce((most, score) => Math.max(most, score), -Infinity);
    const weights = order.map((column) => weightOf(line[column], maximum));
    const target = massOfShare(
      weights.reduce((sum, weight) => sum + weight, 0),
      share,
    );
    const forced = order.filter((column) => isForced(candidates, at % rows, column)).length;
    let taken = 0;
    for (let mass = 0; mass < target; taken++) mass += weights[taken];
    return order.slice(0, Math.min(Math.max(taken, atLeast, forced), atMost));
  });
  return apart(atMost, lists);
}

/** The best pairs of each head by sorting them all. */
export async function headThresholdReference({ scores, keep, candidates }: HeadThresholdRequest) {
  const data = await scores.read();
  const [batch, heads, rowCount, columns] = scores.shape;
  const rows = new Uint32Array(batch * heads * rowCount * 2);
  const blocks = new Uint32Array(Math.max(batch * heads * keep, 1));
  let cursor = 0;
  for (let list = 0; list < batch * heads; list++) {
    const pairs: { row: number; column: number; forced: boolean; score: number }[] = [];
    for (let row = 0; row < rowCount; row++) {
      for (let column = 0; column < candidateCount(candidates, row, columns); column++) {
        const score = Math.fround(data[(list * rowCount + row) * columns + column]);
        const forced = isForced(candidates, row, column);
        pairs.push({ row, column, forced, score: Number.isNaN(score) ? -Infinity : score });
      }
    }
    // the sort is stable: equals stay by row and column
    pairs.sort((a, b) =>
      a.forced !== b.forced
        ? Number(b.forced) - Number(a.forced)
        : a.score === b.score
          ? 0
          : b.score > a.score
            ? 1
            : -1,
    );
    const chosen = pairs.slice(0, keep);
    for (let row = 0; row < rowCount; row++) {
      const of = chosen.filter((pair) => pair.row === row).map(({ column }) => column);
      rows.set([cursor, of.length], 2 * (list * rowCount + row));
      blocks.set(
        of.sort((a, b) => a - b),
        cursor,
      );
      cursor += of.length;
    }
  }
  return { rows, blocks };
}
