import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import { elementOf, readVector, type Storage, storeVector } from './access.ts';
import { epilogueBindings, epilogueStages } from './epilogue.ts';
import { type ForwardOptions, forwardConstants } from './forward-options.ts';
import { keyConstants } from './keys.ts';
import { queryInOrder } from './rows.ts';

/** What key-major execution does before and after the attention of its tiles (softmax/key-major.ts). */
const THREADS = 64;

const fields = {
  heads: 'u32',
  listBatches: 'u32',
  listHeads: 'u32',
  querySlots: 'u32',
  queryBlock: 'u32', // rows of a query block, at most all slots
  queryBlocks: 'u32',
  queryTokens: 'u32',
  tiles: 'u32', // of a list
  visits: 'u32', // of a tile
  elements: 'u32', // words to gather, or vec4s to merge
  first: 'u32', // 1 in the first round: nothing is there to merge with
  epilogueScale: 'f32',
} as const;

/** Which list a head among batch x heads uses. */
const listOf = wgsl`
fn listOf(head: u32) -> u32 {
  return select(head / shape.heads, 0u, shape.listBatches == 1u) * shape.listHeads
    + head % shape.heads / (shape.heads / shape.listHeads);
}`;

/** The entry of query block `block`'s own list that names a key block. */
const entryOf = wgsl`
fn entryOf(row: u32, keyBlock: u32) -> u32 {
  for (var entry = 0u; entry < rows[2u * row + 1u]; entry++) {
    if ((blocks[rows[2u * row] + entry] & BLOCK_BITS) == keyBlock) { return entry; }
  }
  return 0u;
}`;

/**
 * Who stands in the rows of each tile, and where a query block finds its partial results. A workgroup a tile.
 * places[e] is the first row of list entry e among its list's rows of this round, plus 1; cleared before.
 */
export const fillTiles = kept(({ queryOrder }: { queryOrder: boolean }) =>
  assemble({
    name: 'key-major-fill',
    bindings: {
      words: read('u32'), // [lists, tiles, 3]: key block, first visitor, number of visitors
      visitors: read('u32'), // query blocks, with their marks
      rows: read('u32'), // [lists, queryBlocks, 2]
      blocks: read('u32'),
      plan: read('u32'), // query order
      members: write('u32'), // [lists, tiles, rows, 2]
      places: write('u32'), // like blocks
      shape: uniform(fields),
    },
    constants: { THREADS, BLOCK_BITS: 0x7fffffff, ...forwardConstants },
    stages: [keyConstants, queryInOrder({ queryOrder }), entryOf],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let list = workgroup / shape.tiles;
  let keyBlock = words[3u * workgroup];
  let count = words[3u * workgroup + 2u];
  let tileRows = shape.visits * shape.queryBlock;
  // lanes of a visit lie side by side and search the same list in step
  for (var i = lane; i < tileRows; i += THREADS) {
    let visit = i / shape.queryBlock;
    let place = i % shape.queryBlock;
    var token = ABSENT;
    var entry = 0u;
    if (visit < count) {
      let visitor = visitors[words[3u * workgroup + 1u] + visit];
      let slot = (visitor & BLOCK_BITS) * shape.queryBlock + place;
      let row = list * shape.queryBlocks + (visitor & BLOCK_BITS);
      entry = entryOf(row, keyBlock);
      if (place == 0u) { places[rows[2u * row] + entry] = workgroup % shape.tiles * tileRows + i + 1u; }
      entry |= visitor & ~BLOCK_BITS;
      if (slot < shape.querySlots) { token = queryInOrder(slot); }
    }
    members[2u * (workgroup * tileRows + i)] = select(u32(token), NO_TOKEN, token < 0);
    members[2u * (workgroup * tileRows + i) + 1u] = entry;
  }`,
  }),
);

/** Words of a row as they are stored; two halves a word where rows of f16 do not end with a word. */
const wordOf = {
  words: (length: number) => wgsl`
fn wordOf(at: u32) -> u32 { return numberAt(at / ${length}u, at % ${length}u); }
fn numberAt(row: u32, place: u32) -> u32 {
  let token = tokenOf(row);
  if (token >= shape.queryTokens) { return 0u; }
  return query[(row / slotsOfHead() * shape.queryTokens + token) * ${length}u + place];
}`,
  halves: (length: number) => wgsl`
fn wordOf(at: u32) -> u32 { return halfAt(2u * at) | (halfAt(2u * at + 1u) << 16u); }
fn halfAt(at: u32) -> u32 {
  let row = at / ${length}u;
  let token = tokenOf(row);
  if (token >= shape.queryTokens) { return 0u; }
  let place = (row / slotsOfHead() * shape.queryTokens + token) * ${length}u + at % ${length}u;
  return (query[place / 2u] >> (16u * (place % 2u))) & 0xffffu;
}`,
};

/** The queries of all tiles, a row for each of their rows; zeros where nobody stands. A lane a word. */
export const gatherQueries = kept(({ headDim, storage }: { headDim: number; storage: Storage }) =>
  assemble({
    name: 'key-major-gather',
    bindings: {
      query: read('u32'), // [batch, heads, queryTokens, headDim]
      members: read('u32'), // [lists, tiles, rows, 2]
      gathered: write('u32'), // [batch, heads, tiles x rows, headDim]
      shape: uniform(fields),
    },
    constants: { THREADS },
    stages: [
      listOf,
      wgsl`
fn slotsOfHead() -> u32 { return shape.tiles * shape.visits * shape.queryBlock; }
fn tokenOf(row: u32) -> u32 {
  let list = min(listOf(row / slotsOfHead()), shape.listBatches * shape.listHeads - 1u);
  return members[2u * (list * slotsOfHead() + row % slotsOfHead())];
}`,
      storage === 'f16' && headDim % 2 === 1
        ? wordOf.halves(headDim)
        : wordOf.words(storage === 'f16' ? headDim / 2 : headDim),
    ],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at < shape.elements) { gathered[at] = wordOf(at); }`,
  }),
);

/** What changes the text of the merge. The last round has the call's epilogue. */
export type KeyMajorMergeOptions = Pick<
  ForwardOptions,
  'valueDim' | 'queryOrder' | 'epilogueScale' | 'epilogueAdd'
>;

/**
 * L = log Σ exp L_e, O = Σ exp(L_e − L) O_e over the entries e of a query's list that had a tile in this round, in their
 * order, and what the rounds before left in the output. A lane a row and four channels.
 */
export const mergeTiles = kept((options: KeyMajorMergeOptions): Kernel => {
  const { valueDim } = options;
  return assemble({
    name: 'key-major-merge',
    bindings: {
      parts: read(elementOf('f32', valueDim)), // [batch, heads, tiles x rows, valueDim]
      partSums: read('u32'), // bits of f32 [batch, heads, tiles x rows]
      rows: read('u32'), // [lists, queryBlocks, 2]
      places: read('u32'), // like the entries of the lists
      plan: read('u32'), // query order
      output: write(elementOf('f32', valueDim)), // [batch, heads, queryTokens, valueDim]
      sumsBefore: read('u32'), // bits of f32 [batch, heads, queryTokens]
      logSumExp: write('u32'), // like sumsBefore
      shape: uniform(fields),
      ...epilogueBindings(options),
    },
    constants: { THREADS, VECTORS: Math.ceil(valueDim / 4), ...forwardConstants },
    registers: 'const HIDDEN = -1e30;',
    stages: [
      keyConstants,
      queryInOrder(options),
      listOf,
      readVector('parts', 'f32', valueDim),
      readVector('output', 'f32', valueDim),
      storeVector('output', 'f32', valueDim),
      ...epilogueStages(options),
      wgsl`
// A NaN has a weight that is NaN on every GPU: by its bits, since they may compute as if there were none.
fn weightOf(bits: u32, base: f32) -> f32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return bitcast<f32>(bits); }
  return exp(bitcast<f32>(bits) - base);
}`,
    ],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at >= shape.elements) { return; }
  let d = at % VECTORS;
  let head = at / VECTORS / shape.querySlots;
  let slot = at / VECTORS % shape.querySlots;
  let token = queryInOrder(slot);
  if (token < 0) { return; }
  let row = head * shape.queryTokens + u32(token);
  let list = 2u * (listOf(head) * shape.queryBlocks + slot / shape.queryBlock);
  let end = rows[list] + rows[list + 1u];
  let firstRow = head * shape.tiles * shape.visits * shape.queryBlock + slot % shape.queryBlock;
  var before = MINUS_INFINITY;
  if (shape.first == 0u) { before = sumsBefore[row]; }
  var base = HIDDEN;
  if (before != MINUS_INFINITY) { base = max(base, bitcast<f32>(before)); }
  for (var entry = rows[list]; entry < end; entry++) {
    if (places[entry] == 0u) { continue; }
    let bits = partSums[firstRow + places[entry] - 1u];
    if (bits != MINUS_INFINITY) { base = max(base, bitcast<f32>(bits)); }
  }
  var spoiled = false;
  var total = 0.0;
  var numbers = vec4<f32>();
  if (before != MINUS_INFINITY) {
    let weight = weightOf(before, base);
    spoiled = (before & 0x7fffffffu) > 0x7f800000u;
    total = weight;
    numbers = weight * outputVector(row, d);
  }
  for (var entry = rows[list]; entry < end; entry++) {
    if (places[entry] == 0u) { continue; }
    let part = firstRow + places[entry] - 1u;
    let bits = partSums[part];
    if (bits == MINUS_INFINITY) { continue; }
    spoiled = spoiled || (bits & 0x7fffffffu) > 0x7f800000u;
    let weight = weightOf(bits, base);
    total += weight;
    numbers += weight * partsVector(part, d);
  }
  let isEmpty = !spoiled && total == 0.0;
  if (!isEmpty) { numbers /= total; }
  outputStore(row, d, added(row, d, scaled(row, numbers)));
  if (d == 0u) {
    var sum = bitcast<u32>(base + log(total));
    if (spoiled) { sum = NOT_A_NUMBER; }
    logSumExp[row] = select(sum, MINUS_INFINITY, isEmpty);
  }`,
  });
});
