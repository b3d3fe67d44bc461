import { wgsl } from '../../wgsl/assemble.ts';
import { carryStage } from './carry.ts';
import type { TileShape } from './portable-tile.ts';
import { each } from './text.ts';

/** Registers of the rows that are under way: queries and keys, or values. */
export const fetchRegisters = ({ fetched: { queries, keys, values } }: TileShape) =>
  each(Math.max(queries + keys, values), (n) => `var<private> fetched${n}: vec4<f32>;`);

/** Rows into workgroup memory: channels of one chunk of the queries and keys, all channels of one chunk of the values. */
export const loadStages = ({
  queryTile,
  keyTile,
  chunk,
  valueChunk,
  columns,
  keyLanes,
  threads,
  fetched,
}: TileShape): string[] => [
  wgsl`
fn readQueries(tile: Located, half: u32, chunk: u32, i: u32) -> vec4<f32> {
  let token = queryTokens[min(i / CHUNK, QUERY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < HEAD_VECTORS) { return queryVector(tile.queryRow + u32(token), d); }
  return vec4<f32>();
}

fn readKeys(tile: Located, half: u32, chunk: u32, i: u32) -> vec4<f32> {
  let token = keyTokens[half + min(i / CHUNK, KEY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < HEAD_VECTORS) { return keyVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

// The keys of a thread are KEY_LANES apart; values lie in the order in which the weights name them.
fn readValues(tile: Located, half: u32, chunk: u32, i: u32) -> vec4<f32> {
  let k = min(i / VALUE_STRIDE, VALUE_CHUNK - 1u);
  let token = keyTokens[half + chunk * (VALUE_CHUNK / 4u) + k / 4u + (k % 4u) * KEY_LANES];
  let d = i % VALUE_STRIDE;
  if (token >= 0 && d < VALUE_VECTORS) { return valueVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn placeQueries(i: u32, numbers: vec4<f32>, generation: u32) {
  queries[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn placeKeys(i: u32, numbers: vec4<f32>, generation: u32) {
  keyValues[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn placeValues(i: u32, numbers: vec4<f32>, generation: u32) {
  noteSpoiled(numbers, generation);
  keyValues[i] = numbers;
}`,
  carryStage({ name: 'Queries', total: queryTile * chunk, threads, registers: fetched.queries }),
  carryStage({
    name: 'Keys',
    total: keyTile * chunk,
    threads,
    registers: fetched.keys,
    first: fetched.queries,
  }),
  carryStage({ name: 'Values', total: valueChunk * columns * keyLanes, threads, registers: fetched.values }),
];
