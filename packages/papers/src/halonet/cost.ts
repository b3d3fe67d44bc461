import type { Options } from './paper.ts';

export interface ImageShape {
  batch: number;
  heads: number;
  rows: number;
  columns: number;
  keyDim: number;
  valueDim: number;
}

type Window = Pick<Options, 'blockSize' | 'halo' | 'stride' | 'averageDown'>;

/** Both products over all pairs: 2 · batch · heads · H · W · K² (dk + dv), a quarter with strided queries. */
export function haloFlops(shape: ImageShape, window: Window): number {
  const side = window.blockSize + 2 * window.halo;
  return 2 * queries(shape, window) * side * side * (shape.keyDim + shape.valueDim);
}

/** The position terms as two small products: 4 · batch · heads · H · W · K · dk, counting the K entries a query uses. */
export function positionFlops(shape: ImageShape, window: Window): number {
  return 4 * queries(shape, window) * (window.blockSize + 2 * window.halo) * shape.keyDim;
}

/** Bytes of keys and values copied window by window: blocks · K² · heads · (dk + dv) numbers. The fused form needs none. */
export function unfoldedBytes(shape: ImageShape, window: Window, bytesPerNumber: number): number {
  const side = window.blockSize + 2 * window.halo;
  const blocks = Math.ceil(shape.rows / window.blockSize) * Math.ceil(shape.columns / window.blockSize);
  return shape.batch * blocks * side * side * shape.heads * (shape.keyDim + shape.valueDim) * bytesPerNumber;
}

function queries({ batch, heads, rows, columns }: ImageShape, { stride, averageDown }: Window): number {
  return (batch * heads * rows * columns) / (stride === 2 && !averageDown ? 4 : 1);
}
