import { type BlockLayout, NO_TOKEN } from '@saccade/attention';

/**
 * An axis of a grid of tokens. Tokens fall into `dilation` groups (x mod dilation) and have in their group the inner
 * position floor(x / dilation).
 */
export interface GridAxis {
  length: number;
  dilation: number;
}

/** Tokens of group g on an axis. */
export function groupLength({ length, dilation }: GridAxis, group: number): number {
  return Math.ceil((length - group) / dilation);
}

/** A box of neighbouring tokens of one dilation group, cut at the end of the group. */
export interface Box {
  group: readonly number[];
  /** First inner position on each axis, and one past the last. */
  first: readonly number[];
  end: readonly number[];
}

/** All boxes of `tile` tokens (inner positions): dilation groups first, row-major, then boxes inside the group, row-major. */
export function boxesOf(axes: readonly GridAxis[], tile: readonly number[]): Box[] {
  const boxes: Box[] = [];
  for (const group of product(axes.map(({ dilation }) => dilation))) {
    const lengths = axes.map((axis, a) => groupLength(axis, group[a]));
    for (const index of product(lengths.map((length, a) => Math.ceil(length / tile[a])))) {
      const first = index.map((i, a) => i * tile[a]);
      boxes.push({ group, first, end: first.map((x, a) => Math.min(x + tile[a], lengths[a])) });
    }
  }
  return boxes;
}

/** Token order by boxes: block b of the layout holds the tokens of boxes[b], row-major in the tile, padded where it is cut. */
export function boxLayout(
  axes: readonly GridAxis[],
  tile: readonly number[],
  boxes = boxesOf(axes, tile),
): BlockLayout & { order: Uint32Array } {
  const block = tile.reduce((size, length) => size * length, 1);
  const order = new Uint32Array(boxes.length * block).fill(NO_TOKEN);
  const cells = product(tile);
  boxes.forEach(({ group, first, end }, b) => {
    cells.forEach((cell, slot) => {
      let token = 0;
      for (let a = 0; a < axes.length; a++) {
        const inner = first[a] + cell[a];
        if (inner >= end[a]) return;
        token = token * axes[a].length + inner * axes[a].dilation + group[a];
      }
      order[b * block + slot] = token;
    });
  });
  return { slots: order.length, block, order };
}

/** The same layout without an order that is the tokens' own: kernels then need not look tokens up. */
export function dropOwnOrder({ slots, block, order }: BlockLayout): BlockLayout {
  const own = order?.every((token, slot) => token === slot);
  return { slots, block, ...(!own && { order }) };
}

/** All index tuples below the lengths, last axis fastest. */
export function product(lengths: readonly number[]): number[][] {
  let tuples: number[][] = [[]];
  for (const length of lengths)
    tuples = tuples.flatMap((tuple) => Array.from({ length }, (_, i) => [...tuple, i]));
  return tuples;
}
