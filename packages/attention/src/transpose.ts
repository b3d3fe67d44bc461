import { FULL_BLOCK } from './plan.ts';

/** Lists on the host, as plans hold them. */
export interface HostLists {
  rows: Uint32Array; // [lists, rows, 2]: first entry, number of entries
  blocks: Uint32Array; // entries: a column, or'ed with FULL_BLOCK
}

/**
 * The rows that name each column, ascending, marks kept: a counting sort. Entries out of range are left out.
 * @returns rows [lists, columns, 2] and entries, packed
 */
export function transposeLists(
  { rows, blocks }: HostLists,
  { lists, columns }: { lists: number; columns: number },
): HostLists {
  const rowCount = rows.length / 2 / Math.max(lists, 1);
  const transposed = new Uint32Array(2 * lists * columns);
  const eachEntry = (visit: (cell: number, entry: number) => void) => {
    for (let row = 0; row < lists * rowCount; row++) {
      const list = Math.floor(row / rowCount);
      const end = Math.min(rows[2 * row] + rows[2 * row + 1], blocks.length);
      for (let at = rows[2 * row]; at < end; at++) {
        const column = (blocks[at] & ~FULL_BLOCK) >>> 0;
        if (column < columns)
          visit(list * columns + column, ((row % rowCount) | (blocks[at] & FULL_BLOCK)) >>> 0);
      }
    }
  };
  eachEntry((cell) => transposed[2 * cell + 1]++);
  let first = 0;
  for (let cell = 0; cell < lists * columns; cell++) {
    transposed[2 * cell] = first;
    first += transposed[2 * cell + 1];
    transposed[2 * cell + 1] = 0;
  }
  const entries = new Uint32Array(first);
  eachEntry((cell, entry) => {
    entries[transposed[2 * cell] + transposed[2 * cell + 1]++] = entry;
  });
  return { rows: transposed, blocks: entries };
}

/** The same lists with an entry of its own for each row, where rows share some. */
export function unshareLists({ rows, blocks }: HostLists): HostLists {
  let packed = 0;
  let shared = false;
  for (let row = 0; row < rows.length; row += 2) {
    shared ||= rows[row + 1] > 0 && rows[row] < packed;
    packed = Math.max(packed, rows[row]) + rows[row + 1];
  }
  if (!shared) return { rows, blocks };
  const own = new Uint32Array(rows.length);
  let first = 0;
  for (let row = 0; row < rows.length; row += 2) {
    own.set([first, rows[row + 1]], row);
    first += rows[row + 1];
  }
  const entries = new Uint32Array(first);
  for (let row = 0; row < rows.length; row += 2)
    entries.set(blocks.subarray(rows[row], rows[row] + rows[row + 1]), own[row]);
  return { rows: own, blocks: entries };
}
