import { wgsl } from '../../wgsl/assemble.ts';
import type { ForwardOptions } from './forward-options.ts';

const defaultKeep =
  'fn keep(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> bool { return true; }';
const defaultChange =
  'fn change(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> f32 { return score; }';
const fullBlocks = {
  honoured: 'fn isFull(token: i32) -> bool { return token >= FULL; }',
  ignored: 'fn isFull(token: i32) -> bool { return false; }',
};

/** `finishPair`: scale log₂e q·k, changed by the score expression; HIDDEN where there is no key or the mask forbids. */
const finishPair = wgsl`
fn finishPair(tile: Located, query: i32, querySlot: i32, token: i32, keySlot: u32, product: f32) -> f32 {
  if (token == ABSENT) { return HIDDEN; }
  let key = select(token & TOKEN_BITS, ZERO, token == ZERO);
  let batch = i32(tile.batch);
  let head = i32(tile.head);
  let score = product * shape.scale;
  if (!isFull(token) && !keep(batch, head, query, key, querySlot, i32(keySlot), score)) { return HIDDEN; }
  return change(batch, head, query, key, querySlot, i32(keySlot), score) * LOG2_E;
}`;

/** `finishPair(tile, query, querySlot, token, keySlot, product)` with the expressions that it calls. */
export function pairStages(options: ForwardOptions): string[] {
  return [
    fullBlocks[options.honourFullBlocks ? 'honoured' : 'ignored'],
    options.keep ?? defaultKeep,
    options.change ?? defaultChange,
    finishPair,
  ];
}
