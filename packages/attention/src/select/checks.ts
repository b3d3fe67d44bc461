import { ArgumentError } from '../errors.ts';
import type { DType, Shape, Tensor } from '../tensor.ts';
import type { SelectedBlocks } from './request.ts';

export const shapeText = (tensor: Tensor) => `of shape [${tensor.shape.join(', ')}]`;

/** @throws ArgumentError unless the tensor lives, has as many axes as `axes` names, and holds numbers (or u32, if asked for) */
export function checkTensor(where: string, name: string, tensor: Tensor, axes: string, dtype?: DType): void {
  const count = axes.split(',').length;
  if (tensor.disposed) throw new ArgumentError(where, name, 'a disposed tensor', 'a live tensor');
  if (tensor.shape.length !== count) throw new ArgumentError(where, name, shapeText(tensor), axes);
  if (dtype ? tensor.dtype !== dtype : tensor.dtype === 'u32')
    throw new ArgumentError(where, name, `of dtype ${tensor.dtype}`, dtype ?? 'f32 or f16');
}

/** Scores are f32; float64 on the reference, where they are compared as f32. */
export function checkScores(where: string, scores: Tensor): void {
  checkTensor(where, 'scores', scores, '[batch, heads, rows, columns]');
  if (scores.dtype === 'f16') throw new ArgumentError(where, 'scores', 'of dtype f16', 'f32');
}

export function checkSameDevice(where: string, name: string, tensor: Tensor, as: Tensor): void {
  if (tensor.device !== as.device)
    throw new ArgumentError(where, name, 'on another device', 'the device of the other tensors');
}

export function checkShapeIs(where: string, name: string, tensor: Tensor, shape: Shape): void {
  if (tensor.shape.join() !== shape.join())
    throw new ArgumentError(where, name, shapeText(tensor), `[${shape.join(', ')}]`);
}

/** @throws ArgumentError unless the lists live and their sizes agree */
export function checkLists(where: string, name: string, lists: SelectedBlocks): void {
  checkTensor(where, `${name}.rows`, lists.rows, '[batch, heads, queryBlocks, 2]', 'u32');
  checkTensor(where, `${name}.blocks`, lists.blocks, '[entries]', 'u32');
  checkSameDevice(where, `${name}.blocks`, lists.blocks, lists.rows);
  const { listBatches, listHeads, rows } = lists;
  if (rows.shape[0] !== listBatches || rows.shape[1] !== listHeads || rows.shape[3] !== 2) {
    throw new ArgumentError(
      where,
      `${name}.rows`,
      shapeText(rows),
      `[${listBatches}, ${listHeads}, queryBlocks, 2], as listBatches and listHeads`,
    );
  }
}

/** @throws ArgumentError unless `value` is an integer from `least` to `most` */
export function checkInteger(
  where: string,
  name: string,
  value: number,
  least: number,
  most: number,
  unit = '',
): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new ArgumentError(where, name, value, `an integer from ${least} to ${most}${unit && ` ${unit}`}`);
}

/** @throws ArgumentError unless lists [batch, heads, …] serve the batches and heads of a tensor: their own, or shared */
export function checkShared(where: string, name: string, lists: Tensor, tensor: Tensor): void {
  checkSameDevice(where, name, lists, tensor);
  const [batch, heads] = tensor.shape;
  const [listBatches, listHeads] = lists.shape;
  if (listBatches !== 1 && listBatches !== batch)
    throw new ArgumentError(where, `batches of ${name}`, listBatches, `1 or the batch, ${batch}`);
  if (listHeads < 1 || heads % listHeads !== 0)
    throw new ArgumentError(where, `heads of ${name}`, listHeads, `a divisor of the ${heads} heads`);
}
