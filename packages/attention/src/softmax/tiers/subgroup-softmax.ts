import { wgsl } from '../../wgsl/assemble.ts';
import type { ForwardOptions } from './forward-options.ts';
import { hasExpressions } from './forward-options.ts';
import { laneOfTile } from './rows.ts';
import { unpacked } from './subgroup-scores.ts';
import type { SubgroupShape } from './subgroup-tile.ts';
import { each } from './text.ts';
import { plainWeights, weights } from './weights.ts';

/** Per lane: scores s, running base m, own part of the sum l, and output o of each of its rows. */
export const registers = ({ rowsPerThread, keysPerThread, columns, together }: SubgroupShape) =>
  each(
    rowsPerThread,
    (r) => `${each(keysPerThread / 4, (g) => `var<private> s${r}_${g}: vec4<f32>;`)}
var<private> m${r} = -1e29;
var<private> l${r} = 0.0;
${each(columns * together, (c) => `var<private> o${r}_${c}: vec4<f32>;`)}`,
  );

const largestOf = (r: number, groups: number): string => {
  const four = (g: number) => `max(max(s${r}_${g}.x, s${r}_${g}.y), max(s${r}_${g}.z, s${r}_${g}.w))`;
  return groups === 1 ? four(0) : `max(${four(0)}, ${four(1)})`;
};

/** Distances between the lanes of a row, halving the lanes that are left: xor reaches each of them. */
function distances({ keyLanes, abreast }: SubgroupShape): number[] {
  const found: number[] = [];
  for (let distance = abreast; distance < keyLanes * abreast; distance *= 2) found.push(distance);
  return found;
}

const reductions = {
  /** From lane to lane: a row's lanes are in one subgroup. */
  lanes: (shape: SubgroupShape) => wgsl`
fn tellMaxima(lane: u32) {}

fn rowMaximum(row: u32, own: f32) -> f32 {
  var largest = own;
${distances(shape)
  .map((distance) => `  largest = max(largest, subgroupShuffleXor(largest, ${distance}u));`)
  .join('\n')}
  return largest;
}

fn tellSums(lane: u32) {}

fn rowSum(row: u32, own: f32) -> f32 {
  var sum = own;
${distances(shape)
  .map((distance) => `  sum += subgroupShuffleXor(sum, ${distance}u);`)
  .join('\n')}
  return sum;
}`,
  /** Through workgroup memory; each \`tell\` wants a barrier after it. */
  memory: ({ rowsPerThread, keysPerThread }: SubgroupShape) => wgsl`
fn tellMaxima(lane: u32) {${laneOfTile}
${each(rowsPerThread, (r) => `  maxima[keyLane * QUERY_TILE + rowLane + ${r}u * ROW_LANES] = ${largestOf(r, keysPerThread / 4)};`)}
}

fn rowMaximum(row: u32, own: f32) -> f32 {
  var largest = maxima[row];
  for (var i = 1u; i < KEY_LANES; i++) { largest = max(largest, maxima[i * QUERY_TILE + row]); }
  return largest;
}

fn tellSums(lane: u32) {${laneOfTile}
${each(rowsPerThread, (r) => `  maxima[keyLane * QUERY_TILE + rowLane + ${r}u * ROW_LANES] = l${r};`)}
}

fn rowSum(row: u32, own: f32) -> f32 {
  var sum = maxima[row];
  for (var i = 1u; i < KEY_LANES; i++) { sum += maxima[i * QUERY_TILE + row]; }
  return sum;
}`,
};

/** A row's weights go where P V reads them. */
const storeWeights = {
  f32: (groups: number, r: number) =>
    each(groups, (g) => `    weights[row * WEIGHT_STRIDE + ${groups}u * keyLane + ${g}u] = p${r}_${g};`),
  f16: (groups: number, r: number) =>
    groups === 1
      ? `    let at = row * WEIGHT_STRIDE + keyLane / 2u;
    weights[at][2u * (keyLane % 2u)] = pack2x16float(p${r}_0.xy);
    weights[at][2u * (keyLane % 2u) + 1u] = pack2x16float(p${r}_0.zw);`
      : `    weights[row * WEIGHT_STRIDE + keyLane] = vec4<u32>(pack2x16float(p${r}_0.xy), pack2x16float(p${r}_0.zw), pack2x16float(p${r}_1.xy), pack2x16float(p${r}_1.zw));`,
};

/** m′ = max(m, max S), α = 2^(m − m′), P = 2^(S − m′), l = α l + Σ P, O = α O. */
const rescale = (
  { rowsPerThread, keysPerThread, columns, together, weightsAs }: SubgroupShape,
  negative: boolean,
) => {
  const groups = keysPerThread / 4;
  return wgsl`
fn rescale(lane: u32) {${laneOfTile}
${each(
  rowsPerThread,
  (r) => `  {
    let row = rowLane + ${r}u * ROW_LANES;
    let base = max(m${r}, rowMaximum(row, ${largestOf(r, groups)}));
    let shrink = exp2(m${r} - base);
${each(groups, (g) => `    let p${r}_${g} = weightsOf(s${r}_${g}, base);`)}
    m${r} = base;
    l${r} = l${r} * shrink${Array.from({ length: groups }, (_, g) => ` + dot(p${r}_${g}, vec4<f32>(${negative ? '-1.0' : '1.0'}))`).join('')};
${storeWeights[weightsAs](groups, r)}
${each(columns * together, (c) => `    o${r}_${c} *= shrink;`)}
${each(groups, (g) => `    s${r}_${g} = vec4<f32>();`)}
  }`,
)}
}`;
};

const valueAt = ({ keysAs, together, arrays }: SubgroupShape, key: string, column: number, name: string) => {
  const at = `(${key}) * VALUE_STRIDE + ${column}u * KEY_LANES + keyLane`;
  if (keysAs === 'f32') return `    let ${name}a = ${arrays.values}[${at}];`;
  if (together === 2) return unpacked.f16(name, arrays.values, at);
  return `    let ${name} = ${arrays.values}[${at}];
    let ${name}a = vec4<f32>(unpack2x16float(${name}.x), unpack2x16float(${name}.y));`;
};

const parts = ['a', 'b'] as const;

/** O = O + P V: eight keys at a time where the weights are halves, else four. */
const accumulate = (shape: SubgroupShape) => {
  const { rowsPerThread, columns, together, weightsAs } = shape;
  const keys = weightsAs === 'f16' ? 8 : 4;
  return wgsl`
fn accumulate(lane: u32) {${laneOfTile}
  for (var k = 0u; k < KEY_TILE / ${keys}u; k++) {
${each(rowsPerThread, (r) => unpacked[weightsAs](`p${r}`, 'weights', `(rowLane + ${r}u * ROW_LANES) * WEIGHT_STRIDE + k`))}
${each(keys, (i) =>
  each(
    columns,
    (c) => `${valueAt(shape, `${keys}u * k + ${i}u`, c, `v${i}_${c}`)}
${each(rowsPerThread, (r) =>
  each(
    together,
    (e) => `    o${r}_${c * together + e} += p${r}${parts[i >> 2]}[${i % 4}] * v${i}_${c}${parts[e]};`,
  ),
)}`,
  ),
)}
  }
}`;
};

const weightBits = {
  f32: wgsl`
fn weightBits(row: u32, i: u32) -> u32 { return bitcast<u32>(weights[row * WEIGHT_STRIDE + i / 4u][i % 4u]); }
fn weightOf(bits: u32) -> f32 { return bitcast<f32>(bits); }`,
  f16: wgsl`
fn weightBits(row: u32, i: u32) -> u32 {
  return (weights[row * WEIGHT_STRIDE + i / 8u][(i / 2u) % 4u] >> (16u * (i % 2u))) & 0xffffu;
}
fn weightOf(bits: u32) -> f32 { return unpack2x16float(bits).x; }`,
};

/** The same where a value of the tile is NaN or infinite: 0 times it is NaN, so hidden pairs are left out one by one. */
const accumulateSpoiled = (shape: SubgroupShape) => {
  const { rowsPerThread, columns, together, weightsAs } = shape;
  return wgsl`
${weightBits[weightsAs]}

fn accumulateSpoiled(lane: u32) {${laneOfTile}
  for (var i = 0u; i < KEY_TILE; i++) {
${each(columns, (c) => valueAt(shape, 'i', c, `v${c}`))}
${each(
  rowsPerThread,
  (r) => `    let bits${r} = weightBits(rowLane + ${r}u * ROW_LANES, i);
    if (bits${r} != 0u) {
      let p = weightOf(bits${r});
${each(columns, (c) => each(together, (e) => `      o${r}_${c * together + e} += p * v${c}${parts[e]};`))}
    }`,
)}
  }
}`;
};

/** O / l and ln2 m + ln l. The sum of a row that saw no key is exactly +0: told apart by its bits, as NaN is not less than anything. */
const store = ({ rowsPerThread, columns, together }: SubgroupShape, negative: boolean) => wgsl`
fn store(tile: Located, lane: u32) {${laneOfTile}
${each(
  rowsPerThread,
  (r) => `  {
    let slot = rowLane + ${r}u * ROW_LANES;
    let sum = rowSum(slot, l${r});
    let token = queryTokens[slot];
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(${negative ? '-1.0' : '1.0'} / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
${each(columns, (c) => each(together, (e) => `      storeColumn(row, (${c}u * KEY_LANES + keyLane) * ${together}u + ${e}u, o${r}_${c * together + e} * inverse);`))}
      if (keyLane == 0u) { logSumExp[row] = sumBits(m${r}, sum, empty); }
    }
  }`,
)}
}`;

/** Everything from finished scores to stored rows. */
export function softmaxStages(options: ForwardOptions, shape: SubgroupShape): string[] {
  // tiny halves are 0: where hidden pairs must be told from them, O and P are negative until the end
  const negative = shape.weightsAs === 'f16' && options.keep !== undefined;
  return [
    reductions[shape.reductions](shape),
    hasExpressions(options) ? weights({ negative }) : plainWeights,
    rescale(shape, negative),
    accumulate(shape),
    ...(options.keep === undefined ? [] : [accumulateSpoiled(shape)]),
    store(shape, negative),
  ];
}
