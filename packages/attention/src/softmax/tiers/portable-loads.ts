import { wgsl } from '../../wgsl/assemble.ts';
import type { TileShape } from './portable-tile.ts';
import { each } from './text.ts';

/** Reads of a thread that are under way together: one after another, each would wait for the memory. */
const together = (count: number) => [4, 3, 2].find((size) => count % size === 0) ?? 1;

/** `name(tile, chunk, lane)` copies `total` vec4s: `read` says what stands at place i, `write` where it goes. */
const copy = (spec: { name: string; total: number; threads: number; read: string; write: string }) => {
  const { name, total, threads, read, write } = spec;
  const count = Math.ceil(total / threads);
  const size = together(count);
  return wgsl`
fn ${name}(tile: Located, chunk: u32, generation: u32, lane: u32) {
  for (var n = 0u; n < ${count / size}u; n++) {
${each(size, (k) => `    let i${k} = (n * ${size}u + ${k}u) * THREADS + lane;\n    let numbers${k} = ${read}(tile, chunk, i${k});`)}
${each(size, (k) => (total % threads === 0 ? `    ${write}(i${k}, numbers${k}, generation);` : `    if (i${k} < ${total}u) { ${write}(i${k}, numbers${k}, generation); }`))}
  }
}`;
};

/** Rows into workgroup memory: channels of one chunk of the queries and keys, all channels of one chunk of the values. */
export const loadStages = ({
  queryTile,
  keyTile,
  chunk,
  valueChunk,
  columns,
  keyLanes,
  threads,
}: TileShape) => wgsl`
fn queryAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = queryTokens[min(i / CHUNK, QUERY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < HEAD_VECTORS) { return queryVector(tile.queryRow + u32(token), d); }
  return vec4<f32>();
}

fn keyAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = keyTokens[min(i / CHUNK, KEY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < HEAD_VECTORS) { return keyVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

// The keys of a thread are KEY_LANES apart; values lie in the order in which the weights name them.
fn valueAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let k = min(i / VALUE_STRIDE, VALUE_CHUNK - 1u);
  let token = keyTokens[chunk * (VALUE_CHUNK / 4u) + k / 4u + (k % 4u) * KEY_LANES];
  let d = i % VALUE_STRIDE;
  if (token >= 0 && d < VALUE_VECTORS) { return valueVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn putQuery(i: u32, numbers: vec4<f32>, generation: u32) {
  queries[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putKey(i: u32, numbers: vec4<f32>, generation: u32) {
  keyValues[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putValue(i: u32, numbers: vec4<f32>, generation: u32) {
  noteSpoiled(numbers, generation);
  keyValues[i] = numbers;
}
${copy({ name: 'loadQueries', total: queryTile * chunk, threads, read: 'queryAt', write: 'putQuery' })}
${copy({ name: 'loadKeys', total: keyTile * chunk, threads, read: 'keyAt', write: 'putKey' })}
${copy({ name: 'loadValues', total: valueChunk * columns * keyLanes, threads, read: 'valueAt', write: 'putValue' })}`;
