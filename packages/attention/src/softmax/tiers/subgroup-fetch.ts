import { wgsl } from '../../wgsl/assemble.ts';
import { readOctet, readVector, type Storage } from './access.ts';
import { carryStage } from './carry.ts';
import type { ForwardOptions } from './forward-options.ts';
import type { SubgroupShape } from './subgroup-tile.ts';
import { each } from './text.ts';

/** Sixteen bytes of a tensor's row, under way from global to workgroup memory. */
const piece = { f16: 'vec4<u32>', f32: 'vec4<f32>' } as const;

/** Registers of the next tile's rows: keys and values take turns in them. */
export const fetchRegisters = ({ fetched }: SubgroupShape, storage: Storage) =>
  each(Math.max(fetched.keys, fetched.values), (n) => `var<private> fetched${n}: ${piece[storage]};`);

const reads = {
  f16: (name: string, rowLength: number) => readOctet(name, rowLength),
  f32: (name: string, rowLength: number) => readVector(name, 'f32', rowLength),
};
const readName = { f16: 'Octet', f32: 'Vector' } as const;

/** `note(numbers, generation)` tells the workgroup of a value that is NaN or infinite. */
const notes = {
  noneOf: (storage: Storage) => `fn note(numbers: ${piece[storage]}, generation: u32) {}`,
  f32: 'fn note(numbers: vec4<f32>, generation: u32) { noteSpoiled(numbers, generation); }',
  f16: wgsl`
fn note(halves: vec4<u32>, generation: u32) {
  let low = (halves & vec4<u32>(0x7c00u)) == vec4<u32>(0x7c00u);
  let high = (halves & vec4<u32>(0x7c000000u)) == vec4<u32>(0x7c000000u);
  if (any(low | high)) { atomicStore(&spoiled[0], generation); }
}`,
};

/** `put(name)`: a piece goes to its place in workgroup memory, as it is or as f32. */
const put = (array: string, storage: Storage, as: Storage, place: string, halfPieces = false): string => {
  if (storage === 'f32') return `  ${array}[${place}] = numbers;`;
  if (as === 'f32')
    return `  ${array}[${place}] = vec4<f32>(unpack2x16float(numbers.x), unpack2x16float(numbers.y));
  ${array}[${place} + 1u] = vec4<f32>(unpack2x16float(numbers.z), unpack2x16float(numbers.w));`;
  if (halfPieces) return `  ${array}[${place}] = numbers.xy;\n  ${array}[${place} + 1u] = numbers.zw;`;
  return `  ${array}[${place}] = numbers;`;
};

/** Rows of a tile on their way into workgroup memory. `half` says which of the two lists in `keyTokens` is meant. */
export function fetchStages(options: ForwardOptions, shape: SubgroupShape): string[] {
  const { storage, headDim, valueDim, keep } = options;
  const { queryTile, keyTile, threads, queriesAs, keysAs, together, arrays, fetched } = shape;
  const wide = storage === 'f16' && keysAs === 'f32' ? 2 : 1;
  const wideQueries = storage === 'f16' && queriesAs === 'f32' ? 2 : 1;
  const halfPieces = storage === 'f16' && keysAs === 'f16' && together === 1;
  const type = piece[storage];
  const read = readName[storage];
  return [
    reads[storage]('query', headDim),
    reads[storage]('key', headDim),
    reads[storage]('value', valueDim),
    keep === undefined ? notes.noneOf(storage) : notes[storage],
    wgsl`
fn loadQueries(tile: Located, lane: u32) {
  for (var i = lane % THREADS; i < ${queryTile * shape.headUnits}u; i += THREADS) {
    let row = min(i / HEAD_UNITS, QUERY_TILE - 1u);
    let token = queryTokens[row];
    var numbers = ${type}();
    if (token >= 0) { numbers = query${read}(tile.queryRow + u32(token), i % HEAD_UNITS); }
    let at = row * QUERY_STRIDE + ${wideQueries}u * (i % HEAD_UNITS);
  ${put('queries', storage, queriesAs, 'at')}
  }
}

fn readKeys(tile: Located, half: u32, chunk: u32, i: u32) -> ${type} {
  let token = keyTokens[half + min(i / HEAD_UNITS, KEY_TILE - 1u)];
  if (token >= 0) { return key${read}(tile.keyRow + u32(token & TOKEN_BITS), i % HEAD_UNITS); }
  return ${type}();
}

fn placeKeys(i: u32, numbers: ${type}, generation: u32) {
  let at = min(i / HEAD_UNITS, KEY_TILE - 1u) * KEY_STRIDE + ${wide}u * (i % HEAD_UNITS);
${put(arrays.keys, storage, keysAs, 'at')}
}

// The keys of a lane are KEY_LANES apart; values lie in the order in which the weights name them.
fn readValues(tile: Located, half: u32, chunk: u32, i: u32) -> ${type} {
  let place = min(i / VALUE_UNITS, KEY_TILE - 1u);
  let token = keyTokens[half + place / KEYS + (place % KEYS) * KEY_LANES];
  if (token >= 0) { return value${read}(tile.keyRow + u32(token & TOKEN_BITS), i % VALUE_UNITS); }
  return ${type}();
}

fn placeValues(i: u32, numbers: ${type}, generation: u32) {
  note(numbers, generation);
  let at = min(i / VALUE_UNITS, KEY_TILE - 1u) * VALUE_STRIDE + ${halfPieces ? 2 : wide}u * (i % VALUE_UNITS);
${put(arrays.values, storage, keysAs, 'at', halfPieces)}
}`,
    carryStage({ name: 'Keys', total: keyTile * shape.headUnits, threads, registers: fetched.keys }),
    carryStage({ name: 'Values', total: keyTile * shape.valueUnits, threads, registers: fetched.values }),
  ];
}
