import { copyHalves, halfAt } from './numbers';
import * as P from './params';
import { place, word } from './params';
import * as Walk from './walk';

/** Tokens (-1: no query) and places in their block of up to 64 query slots, whole groups of 8. */
export function resolveRows(
  first: i32,
  inBlock: i32,
  rows: i32,
  groups: i32,
  tokens: usize,
  slots: usize,
): void {
  const order = place(P.QUERY_ORDER);
  const queryTokens = word(P.QUERY_TOKENS);
  for (let i = 0; i < groups << 3; i++) {
    const at = (<usize>i) << 2;
    let token = -1;
    if (i < rows) token = order ? load<i32>(order + ((<usize>(first + i)) << 2)) : first + i;
    if (<u32>token >= <u32>queryTokens) token = -1;
    store<i32>(tokens + at, token);
    store<i32>(slots + at, inBlock + i);
  }
}

/** The resolved rows of a matrix [batch, heads, queryTokens, channels], scaled, 8 side by side: to[group][channels][8]. */
export function packRows(
  source: usize,
  half: i32,
  scale: f32,
  batchHead: i32,
  channels: i32,
  groups: i32,
  tokens: usize,
  packed: usize,
): void {
  const firstRow = batchHead * word(P.QUERY_TOKENS);
  for (let i = 0; i < groups << 3; i++) {
    const token = load<i32>(tokens + ((<usize>i) << 2));
    const to = packed + ((<usize>((i >> 3) * channels)) << 5) + ((<usize>(i & 7)) << 2);
    if (token < 0) {
      for (let d = 0; d < channels; d++) store<f32>(to + ((<usize>d) << 5), 0);
      continue;
    }
    const element = <usize>(firstRow + token) * <usize>channels;
    if (half) {
      const from = source + (element << 1);
      for (let d = 0; d < channels; d++)
        store<f32>(to + ((<usize>d) << 5), scale * halfAt(from + ((<usize>d) << 1)));
    } else {
      const from = source + (element << 2);
      for (let d = 0; d < channels; d++)
        store<f32>(to + ((<usize>d) << 5), scale * load<f32>(from + ((<usize>d) << 2)));
    }
  }
}

/** The rows of the tile side by side: where they already are, or gathered (and widened) into `tile`. */
export function gather(source: usize, tile: usize, keyHead: i32, count: i32, channels: i32): usize {
  const half = word(P.HALF_INPUTS);
  const shift: usize = half ? 1 : 2;
  const base = source + ((<usize>keyHead * <usize>word(P.KEY_STRIDE) * <usize>channels) << shift);
  if (Walk.contiguous) {
    const from = base + ((<usize>load<i32>(Walk.tokens) * <usize>channels) << shift);
    if (!half) return from;
    copyHalves(from, tile, count * channels);
    return tile;
  }
  const stride = (<usize>channels) << 2;
  for (let i = 0; i < count; i++) {
    const token = load<i32>(Walk.tokens + ((<usize>i) << 2));
    const to = tile + <usize>i * stride;
    const from = base + ((<usize>token * <usize>channels) << shift);
    if (token < 0) memory.fill(to, 0, stride);
    else if (half) copyHalves(from, to, channels);
    else copyRow(from, to, channels);
  }
  return tile;
}

function copyRow(from: usize, to: usize, channels: i32): void {
  let d = 0;
  for (; d + 4 <= channels; d += 4) v128.store(to + ((<usize>d) << 2), v128.load(from + ((<usize>d) << 2)));
  for (; d < channels; d++) store<f32>(to + ((<usize>d) << 2), load<f32>(from + ((<usize>d) << 2)));
}

/** Scores of keys after query + offset become -Infinity. */
export function hideLater(scores: usize, count: i32, tokens: usize): void {
  const offset = i32x4.splat(word(P.CAUSAL_OFFSET));
  const last0 = i32x4.add(v128.load(tokens), offset);
  const last1 = i32x4.add(v128.load(tokens, 16), offset);
  const hidden = f32x4.splat(-Infinity);
  for (let i = 0; i < count; i++) {
    const key = v128.load_splat<i32>(Walk.tokens + ((<usize>i) << 2));
    const at = scores + ((<usize>i) << 5);
    v128.store(at, v128.bitselect(hidden, v128.load(at), i32x4.gt_s(key, last0)));
    v128.store(at, v128.bitselect(hidden, v128.load(at, 16), i32x4.gt_s(key, last1)), 16);
  }
}
