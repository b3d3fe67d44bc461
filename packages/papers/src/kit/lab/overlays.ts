import { type Layout, outline } from './draw.ts';
import type { Overlay } from './panes.tsx';

/** A box of tokens on one frame. */
export interface TokenBox {
  frame: number;
  top: number;
  left: number;
  height: number;
  width: number;
}

/** The smallest box around some tokens on each frame they lie on. */
export function boxesAround(tokens: Iterable<number>, grid: readonly number[]): TokenBox[] {
  const [height, width] = grid.slice(-2);
  const frames = new Map<number, { top: number; left: number; bottom: number; right: number }>();
  for (const token of tokens) {
    const frame = Math.floor(token / (height * width));
    const [y, x] = [Math.floor(token / width) % height, token % width];
    const box = frames.get(frame) ?? { top: y, left: x, bottom: y, right: x };
    frames.set(frame, {
      top: Math.min(box.top, y),
      left: Math.min(box.left, x),
      bottom: Math.max(box.bottom, y),
      right: Math.max(box.right, x),
    });
  }
  return [...frames].map(([frame, { top, left, bottom, right }]) => ({
    frame,
    top,
    left,
    height: bottom - top + 1,
    width: right - left + 1,
  }));
}

/** A rectangle with exclusive ends as a box on one frame. */
export const boxOf = (rectangle: { top: number; left: number; bottom: number; right: number }): TokenBox => ({
  frame: 0,
  top: rectangle.top,
  left: rectangle.left,
  height: rectangle.bottom - rectangle.top,
  width: rectangle.right - rectangle.left,
});

/** Outlines the query's tile, and dashed what is visited for it. Nothing on a text. */
export function outlineTile(
  grid: readonly number[],
  tile: readonly number[],
  levels: Uint8Array | undefined,
): Overlay {
  return (context, layout: Layout, inks) => {
    if (grid.length < 2) return;
    for (const box of boxesAround(tile, grid)) outline(context, layout, box, inks.accent);
    const visited: number[] = [];
    levels?.forEach((level, token) => {
      if (level > 0) visited.push(token);
    });
    for (const box of boxesAround(visited, grid)) outline(context, layout, box, inks.accent, true);
  };
}
