import { madd } from './numbers';

/**
 * Scores of `count` keys and 8 query rows: to[key][8] = Σ_d keys[key][d] * queries[d][8].
 * Four keys by eight rows at a time: eight sums, two loads of queries and four splats a step fit 16 registers.
 */
export function scoreTile(keys: usize, count: i32, depth: i32, queries: usize, to: usize): void {
  const stride = (<usize>depth) << 2;
  let key = 0;
  for (; key + 4 <= count; key += 4) {
    let a0 = keys + <usize>key * stride;
    let a1 = a0 + stride;
    let a2 = a1 + stride;
    let a3 = a2 + stride;
    const end = a1;
    let b = queries;
    let c00 = f32x4.splat(0);
    let c01 = c00;
    let c10 = c00;
    let c11 = c00;
    let c20 = c00;
    let c21 = c00;
    let c30 = c00;
    let c31 = c00;
    for (; a0 < end; b += 32) {
      const b0 = v128.load(b);
      const b1 = v128.load(b, 16);
      let a = v128.load_splat<f32>(a0);
      c00 = madd(a, b0, c00);
      c01 = madd(a, b1, c01);
      a = v128.load_splat<f32>(a1);
      c10 = madd(a, b0, c10);
      c11 = madd(a, b1, c11);
      a = v128.load_splat<f32>(a2);
      c20 = madd(a, b0, c20);
      c21 = madd(a, b1, c21);
      a = v128.load_splat<f32>(a3);
      c30 = madd(a, b0, c30);
      c31 = madd(a, b1, c31);
      a0 += 4;
      a1 += 4;
      a2 += 4;
      a3 += 4;
    }
    const c = to + ((<usize>key) << 5);
    v128.store(c, c00);
    v128.store(c, c01, 16);
    v128.store(c, c10, 32);
    v128.store(c, c11, 48);
    v128.store(c, c20, 64);
    v128.store(c, c21, 80);
    v128.store(c, c30, 96);
    v128.store(c, c31, 112);
  }
  for (; key < count; key++) {
    let a0 = keys + <usize>key * stride;
    const end = a0 + stride;
    let b = queries;
    let c0 = f32x4.splat(0);
    let c1 = c0;
    for (; a0 < end; a0 += 4, b += 32) {
      const a = v128.load_splat<f32>(a0);
      c0 = madd(a, v128.load(b), c0);
      c1 = madd(a, v128.load(b, 16), c1);
    }
    const c = to + ((<usize>key) << 5);
    v128.store(c, c0);
    v128.store(c, c1, 16);
  }
}

/** output[channel][8] += Σ_key values[key][channel] * weights[key][8]; four channels at a time. */
export function addValues(values: usize, count: i32, channels: i32, weights: usize, output: usize): void {
  const stride = (<usize>channels) << 2;
  const end = weights + ((<usize>count) << 5);
  let channel = 0;
  for (; channel + 4 <= channels; channel += 4) {
    const c = output + ((<usize>channel) << 5);
    let c00 = v128.load(c);
    let c01 = v128.load(c, 16);
    let c10 = v128.load(c, 32);
    let c11 = v128.load(c, 48);
    let c20 = v128.load(c, 64);
    let c21 = v128.load(c, 80);
    let c30 = v128.load(c, 96);
    let c31 = v128.load(c, 112);
    let a0 = values + ((<usize>channel) << 2);
    for (let b = weights; b < end; b += 32) {
      const b0 = v128.load(b);
      const b1 = v128.load(b, 16);
      let a = v128.load_splat<f32>(a0);
      c00 = madd(a, b0, c00);
      c01 = madd(a, b1, c01);
      a = v128.load_splat<f32>(a0, 4);
      c10 = madd(a, b0, c10);
      c11 = madd(a, b1, c11);
      a = v128.load_splat<f32>(a0, 8);
      c20 = madd(a, b0, c20);
      c21 = madd(a, b1, c21);
      a = v128.load_splat<f32>(a0, 12);
      c30 = madd(a, b0, c30);
      c31 = madd(a, b1, c31);
      a0 += stride;
    }
    v128.store(c, c00);
    v128.store(c, c01, 16);
    v128.store(c, c10, 32);
    v128.store(c, c11, 48);
    v128.store(c, c20, 64);
    v128.store(c, c21, 80);
    v128.store(c, c30, 96);
    v128.store(c, c31, 112);
  }
  for (; channel < channels; channel++) {
    const c = output + ((<usize>channel) << 5);
    let c0 = v128.load(c);
    let c1 = v128.load(c, 16);
    let a0 = values + ((<usize>channel) << 2);
    for (let b = weights; b < end; b += 32) {
      const a = v128.load_splat<f32>(a0);
      c0 = madd(a, v128.load(b), c0);
      c1 = madd(a, v128.load(b, 16), c1);
      a0 += stride;
    }
    v128.store(c, c0);
    v128.store(c, c1, 16);
  }
}

/**
 * to[key][channel] += Σ_row weights[key][row] * rows[row][channel] over 8 rows; strides are whole vectors.
 * Four keys by eight channels at a time.
 */
export function addRows(weights: usize, count: i32, rows: usize, stride: usize, to: usize): void {
  let key = 0;
  for (; key + 4 <= count; key += 4) {
    const w = weights + ((<usize>key) << 5);
    const c0 = to + <usize>key * stride;
    const c1 = c0 + stride;
    const c2 = c1 + stride;
    const c3 = c2 + stride;
    let d: usize = 0;
    for (; d + 32 <= stride; d += 32) {
      let c00 = v128.load(c0 + d);
      let c01 = v128.load(c0 + d, 16);
      let c10 = v128.load(c1 + d);
      let c11 = v128.load(c1 + d, 16);
      let c20 = v128.load(c2 + d);
      let c21 = v128.load(c2 + d, 16);
      let c30 = v128.load(c3 + d);
      let c31 = v128.load(c3 + d, 16);
      let b = rows + d;
      for (let r: usize = 0; r < 32; r += 4) {
        const b0 = v128.load(b);
        const b1 = v128.load(b, 16);
        let a = v128.load_splat<f32>(w + r);
        c00 = madd(a, b0, c00);
        c01 = madd(a, b1, c01);
        a = v128.load_splat<f32>(w + r, 32);
        c10 = madd(a, b0, c10);
        c11 = madd(a, b1, c11);
        a = v128.load_splat<f32>(w + r, 64);
        c20 = madd(a, b0, c20);
        c21 = madd(a, b1, c21);
        a = v128.load_splat<f32>(w + r, 96);
        c30 = madd(a, b0, c30);
        c31 = madd(a, b1, c31);
        b += stride;
      }
      v128.store(c0 + d, c00);
      v128.store(c0 + d, c01, 16);
      v128.store(c1 + d, c10);
      v128.store(c1 + d, c11, 16);
      v128.store(c2 + d, c20);
      v128.store(c2 + d, c21, 16);
      v128.store(c3 + d, c30);
      v128.store(c3 + d, c31, 16);
    }
    if (d < stride) {
      addVector(w, rows + d, stride, c0 + d);
      addVector(w + 32, rows + d, stride, c1 + d);
      addVector(w + 64, rows + d, stride, c2 + d);
      addVector(w + 96, rows + d, stride, c3 + d);
    }
  }
  for (; key < count; key++) {
    for (let d: usize = 0; d < stride; d += 16)
      addVector(weights + ((<usize>key) << 5), rows + d, stride, to + <usize>key * stride + d);
  }
}

function addVector(weights: usize, rows: usize, stride: usize, to: usize): void {
  let c = v128.load(to);
  for (let r: usize = 0; r < 32; r += 4, rows += stride)
    c = madd(v128.load_splat<f32>(weights + r), v128.load(rows), c);
  v128.store(to, c);
}

/** addValues for tiles that hold NaN or infinities: a weight of 0 adds nothing, so rows that do not see a key stay clean. */
export function addSeenValues(values: usize, count: i32, channels: i32, weights: usize, output: usize): void {
  const zero = f32x4.splat(0);
  for (let key = 0; key < count; key++) {
    const b = weights + ((<usize>key) << 5);
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const seen0 = f32x4.ne(b0, zero);
    const seen1 = f32x4.ne(b1, zero);
    for (let channel = 0; channel < channels; channel++) {
      const a = v128.load_splat<f32>(values + ((<usize>(key * channels + channel)) << 2));
      const c = output + ((<usize>channel) << 5);
      const c0 = v128.load(c);
      const c1 = v128.load(c, 16);
      v128.store(c, v128.bitselect(madd(a, b0, c0), c0, seen0));
      v128.store(c, v128.bitselect(madd(a, b1, c1), c1, seen1), 16);
    }
  }
}

/** Whether any of `count` numbers is NaN or infinite. */
export function anyNonFinite(from: usize, count: i32): bool {
  let sum = f32x4.splat(0);
  let i = 0;
  const zero = f32x4.splat(0);
  for (; i + 4 <= count; i += 4) sum = f32x4.add(sum, f32x4.mul(v128.load(from + ((<usize>i) << 2)), zero));
  for (; i < count; i++)
    sum = f32x4.add(sum, f32x4.mul(f32x4.splat(load<f32>(from + ((<usize>i) << 2))), zero));
  return v128.any_true(f32x4.ne(sum, sum));
}
