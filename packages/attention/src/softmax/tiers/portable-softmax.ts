import { wgsl } from '../../wgsl/assemble.ts';
import type { TileShape } from './portable-tile.ts';
import { laneOfTile } from './rows.ts';
import { each } from './text.ts';

/** A row's maximum, from the threads that share it, through workgroup memory. */
export const rowMaxima = wgsl`
fn tellMaximum(row: u32, keyLane: u32, s: vec4<f32>) {
  maxima[row * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = max(max(s.x, s.y), max(s.z, s.w));
}

fn rowMaximum(row: u32) -> f32 {
  var largest = maxima[row * (KEY_LANES / 4u)];
  for (var i = 1u; i < KEY_LANES / 4u; i++) { largest = max(largest, maxima[row * (KEY_LANES / 4u) + i]); }
  return max(max(largest.x, largest.y), max(largest.z, largest.w));
}`;

/** m′ = max(m, max S), α = 2^(m − m′), P = 2^(S − m′), l = α l + Σ P, O = α O. */
export const rescale = ({ rowsPerThread, columns }: TileShape) => wgsl`
fn rescale(lane: u32) {${laneOfTile}
${each(
  rowsPerThread,
  (r) => `  {
    let row = rowLane + ${r}u * ROW_LANES;
    let base = max(m${r}, rowMaximum(row));
    let shrink = exp2(m${r} - base);
    let p = weightsOf(s${r}, base);
    m${r} = base;
    l${r} = l${r} * shrink + (p.x + p.y + p.z + p.w);
    weights[row * (KEY_LANES + 1u) + keyLane] = p;
${each(columns, (c) => `    o${r}_${c} *= shrink;`)}
    s${r} = vec4<f32>();
  }`,
)}
}`;

/** O = O + P V over one chunk of keys. */
export const accumulate = ({ rowsPerThread, columns }: TileShape) => wgsl`
fn accumulate(chunk: u32, lane: u32) {${laneOfTile}
  for (var k = 0u; k < VALUE_CHUNK / 4u; k++) {
    let at = chunk * (VALUE_CHUNK / 4u) + k;
${each(rowsPerThread, (r) => `    let p${r} = weights[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES + 1u) + at];`)}
${each(4, (j) =>
  each(
    columns,
    (c) => `    let v${j}_${c} = keyValues[(4u * k + ${j}u) * VALUE_STRIDE + ${c}u * KEY_LANES + keyLane];
${each(rowsPerThread, (r) => `    o${r}_${c} += p${r}[${j}] * v${j}_${c};`)}`,
  ),
)}
  }
}`;

/** The same where a value of the chunk is NaN or infinite: 0 times it is NaN, so hidden pairs are left out one by one. */
export const accumulateSpoiled = ({ rowsPerThread, columns }: TileShape) => wgsl`
fn accumulateSpoiled(chunk: u32, lane: u32) {${laneOfTile}
  for (var i = 0u; i < VALUE_CHUNK; i++) {
    let at = chunk * (VALUE_CHUNK / 4u) + i / 4u;
${each(columns, (c) => `    let v${c} = keyValues[i * VALUE_STRIDE + ${c}u * KEY_LANES + keyLane];`)}
${each(
  rowsPerThread,
  (r) => `    let p${r} = weights[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES + 1u) + at][i % 4u];
    if (p${r} != 0.0) {
${each(columns, (c) => `      o${r}_${c} += p${r} * v${c};`)}
    }`,
)}
  }
}`;

/** A row's sum, from the threads that share it, through workgroup memory. */
export const rowSums = ({ rowsPerThread }: TileShape) => wgsl`
fn tellSums(lane: u32) {${laneOfTile}
${each(rowsPerThread, (r) => `  maxima[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = l${r};`)}
}

fn rowSum(row: u32) -> f32 {
  var sums = maxima[row * (KEY_LANES / 4u)];
  for (var i = 1u; i < KEY_LANES / 4u; i++) { sums += maxima[row * (KEY_LANES / 4u) + i]; }
  return sums.x + sums.y + sums.z + sums.w;
}`;

/** O / l and ln2 m + ln l. The sum of a row that saw no key is exactly +0: told apart by its bits, as NaN is not less than anything. */
export const store = ({ rowsPerThread, columns }: TileShape) => wgsl`
fn store(tile: Located, lane: u32) {${laneOfTile}
${each(
  rowsPerThread,
  (r) => `  {
    let token = queryTokens[rowLane + ${r}u * ROW_LANES];
    let sum = rowSum(rowLane + ${r}u * ROW_LANES);
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
${each(columns, (c) => `      storeColumn(row, keyLane + ${c}u * KEY_LANES, o${r}_${c} * inverse);`)}
      if (keyLane == 0u) {
        logSumExp[row] = sumBits(m${r}, sum, empty);
      }
    }
  }`,
)}
}`;
