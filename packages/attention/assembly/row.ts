import { expFour, madd } from './numbers';

/**
 * The products and the softmax of a task that has a single query row, with nothing to mask: decoding. Eight rows in the
 * lanes would leave seven of them empty; here the lanes are channels, and numbers lie side by side.
 */

/** Sum of the four lanes of each of four vectors. */
function sumsOf(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 2, 4, 6), v128.shuffle<f32>(c, d, 1, 3, 5, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/** to[key] = Σ_d keys[key][d] * query[d]; eight keys at a time, which hide the latency of a multiply-add. */
export function scoreRow(keys: usize, count: i32, depth: i32, query: usize, to: usize): void {
  const stride = (<usize>depth) << 2;
  const whole = (<usize>(depth & ~3)) << 2;
  let key = 0;
  for (; key + 8 <= count; key += 8) {
    let a = keys + <usize>key * stride;
    let c0 = f32x4.splat(0);
    let c1 = c0;
    let c2 = c0;
    let c3 = c0;
    let c4 = c0;
    let c5 = c0;
    let c6 = c0;
    let c7 = c0;
    for (let d: usize = 0; d < whole; d += 16, a += 16) {
      const q = v128.load(query + d);
      let b = a;
      c0 = madd(v128.load(b), q, c0);
      b += stride;
      c1 = madd(v128.load(b), q, c1);
      b += stride;
      c2 = madd(v128.load(b), q, c2);
      b += stride;
      c3 = madd(v128.load(b), q, c3);
      b += stride;
      c4 = madd(v128.load(b), q, c4);
      b += stride;
      c5 = madd(v128.load(b), q, c5);
      b += stride;
      c6 = madd(v128.load(b), q, c6);
      b += stride;
      c7 = madd(v128.load(b), q, c7);
    }
    const place = to + ((<usize>key) << 2);
    v128.store(place, sumsOf(c0, c1, c2, c3));
    v128.store(place, sumsOf(c4, c5, c6, c7), 16);
  }
  for (; key < count; key++) {
    const a = keys + <usize>key * stride;
    let c = f32x4.splat(0);
    for (let d: usize = 0; d < whole; d += 16) c = madd(v128.load(a + d), v128.load(query + d), c);
    store<f32>(to + ((<usize>key) << 2), f32x4.extract_lane(sumsOf(c, c, c, c), 0));
  }
  if (whole === stride) return;
  for (key = 0; key < count; key++) {
    const a = keys + <usize>key * stride;
    const place = to + ((<usize>key) << 2);
    let sum = load<f32>(place);
    for (let d = whole; d < stride; d += 4) sum += load<f32>(a + d) * load<f32>(query + d);
    store<f32>(place, sum);
  }
}

/** output[channel] += Σ_key values[key][channel] * weights[key]; 32 channels at a time. */
export function addRow(values: usize, count: i32, channels: i32, weights: usize, output: usize): void {
  const stride = (<usize>channels) << 2;
  const end = weights + ((<usize>count) << 2);
  let d: usize = 0;
  for (; d + 128 <= stride; d += 128) {
    const c = output + d;
    let c0 = v128.load(c);
    let c1 = v128.load(c, 16);
    let c2 = v128.load(c, 32);
    let c3 = v128.load(c, 48);
    let c4 = v128.load(c, 64);
    let c5 = v128.load(c, 80);
    let c6 = v128.load(c, 96);
    let c7 = v128.load(c, 112);
    let a = values + d;
    for (let w = weights; w < end; w += 4, a += stride) {
      const p = v128.load_splat<f32>(w);
      c0 = madd(v128.load(a), p, c0);
      c1 = madd(v128.load(a, 16), p, c1);
      c2 = madd(v128.load(a, 32), p, c2);
      c3 = madd(v128.load(a, 48), p, c3);
      c4 = madd(v128.load(a, 64), p, c4);
      c5 = madd(v128.load(a, 80), p, c5);
      c6 = madd(v128.load(a, 96), p, c6);
      c7 = madd(v128.load(a, 112), p, c7);
    }
    v128.store(c, c0);
    v128.store(c, c1, 16);
    v128.store(c, c2, 32);
    v128.store(c, c3, 48);
    v128.store(c, c4, 64);
    v128.store(c, c5, 80);
    v128.store(c, c6, 96);
    v128.store(c, c7, 112);
  }
  for (; d + 16 <= stride; d += 16) {
    let c = v128.load(output + d);
    let a = values + d;
    for (let w = weights; w < end; w += 4, a += stride) c = madd(v128.load(a), v128.load_splat<f32>(w), c);
    v128.store(output + d, c);
  }
  for (; d < stride; d += 4) {
    let c = load<f32>(output + d);
    let a = values + d;
    for (let w = weights; w < end; w += 4, a += stride) c += load<f32>(a) * load<f32>(w);
    store<f32>(output + d, c);
  }
}

/**
 * Online softmax of a tile's scores [count], which become weights. `maximum` and `sum` are the row's; `factor` is room
 * for four vectors. Scores have room for 16 more.
 */
export function weighRow(
  scores: usize,
  count: i32,
  maximum: usize,
  sum: usize,
  factor: usize,
  output: usize,
  channels: i32,
): void {
  const lowest = f32x4.splat(-Infinity);
  const end = scores + ((<usize>count) << 2);
  for (let i: usize = 0; i < 64; i += 16) v128.store(end + i, lowest);
  // pmax keeps its first operand when the second is NaN: the maximum stays a number and the weights carry the NaN
  let top = lowest;
  for (let at = scores; at < end; at += 16) top = f32x4.pmax(top, v128.load(at));
  top = f32x4.pmax(top, v128.shuffle<f32>(top, top, 2, 3, 0, 1));
  top = f32x4.pmax(top, v128.shuffle<f32>(top, top, 1, 0, 3, 2));
  const before = v128.load_splat<f32>(maximum);
  const after = f32x4.pmax(before, top);
  const base = v128.andnot(after, f32x4.eq(after, lowest));
  let total = load<f32>(sum);
  if (v128.any_true(f32x4.gt(top, before))) {
    for (let i: usize = 0; i < 64; i += 16) v128.store(factor + i, before);
    expFour(factor, base, base);
    const shrink = v128.load(factor);
    total *= f32x4.extract_lane(shrink, 0);
    store<f32>(maximum, f32x4.extract_lane(after, 0));
    const stride = (<usize>channels) << 2;
    let d: usize = 0;
    for (; d + 16 <= stride; d += 16) v128.store(output + d, f32x4.mul(v128.load(output + d), shrink));
    for (; d < stride; d += 4) store<f32>(output + d, load<f32>(output + d) * f32x4.extract_lane(shrink, 0));
  }
  let added = f32x4.splat(0);
  for (let at = scores; at < end; at += 64) {
    expFour(at, base, base);
    added = f32x4.add(added, f32x4.add(v128.load(at), v128.load(at, 16)));
    added = f32x4.add(added, f32x4.add(v128.load(at, 32), v128.load(at, 48)));
  }
  store<f32>(sum, total + f32x4.extract_lane(sumsOf(added, added, added, added), 0));
}
