import { wgsl } from '../../wgsl/assemble.ts';

/** Where the plan's lists are: packed with the orders in `plan`, or in tensors of their own that a selection wrote. */
export type ListPlace = 'packed' | 'tensors';

/** `gathered`: blocks of one key. */
export type KeyKind = 'all' | 'ranges' | 'blocks' | 'gathered' | 'intervals' | 'band' | 'boxes';

/**
 * Which token stands in a key slot. Tokens carry FULL where the plan says that no pair of the block is masked;
 * ZERO is a zero key outside the grid that takes part, ABSENT is nothing.
 */
export const keyConstants = wgsl`
const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;`;

/** Words of the plan's lists. */
export const listWords = {
  packed: wgsl`
fn rowAt(at: u32) -> u32 { return plan[shape.rowsAt + at]; }
fn blockAt(at: u32) -> u32 { return plan[shape.blocksAt + at]; }`,
  tensors: wgsl`
fn rowAt(at: u32) -> u32 { return rows[at]; }
fn blockAt(at: u32) -> u32 { return blocks[at]; }`,
};

const orders = {
  none: wgsl`
fn keyInOrder(slot: u32) -> i32 { return i32(slot); }`,
  given: wgsl`
fn keyInOrder(slot: u32) -> i32 {
  let token = plan[shape.keyOrderAt + slot];
  return select(i32(token), ABSENT, token == NO_TOKEN);
}`,
};

/** Number of key slots that a query block visits; the same for all threads of a workgroup. */
const counts = {
  all: wgsl`
fn keyCount(tile: Located) -> u32 { return shape.keyTokens; }`,
  /** The last query of the tile sees the last key that any of them sees. */
  allCausal: wgsl`
fn keyCount(tile: Located) -> u32 {
  let end = i32(min(tile.firstSlot + QUERY_TILE, tile.endSlot)) + shape.causalOffset;
  return u32(clamp(end, 0, i32(shape.keyTokens)));
}`,
  ranges: wgsl`
fn keyCount(tile: Located) -> u32 { return rowAt(2u * tile.row + 1u); }`,
  blocks: wgsl`
fn keyCount(tile: Located) -> u32 { return rowAt(2u * tile.row + 1u) * shape.keyBlock; }`,
  gathered: wgsl`
fn keyCount(tile: Located) -> u32 { return rowAt(2u * tile.row + 1u); }`,
  /** Runs hold the keys up to their end. */
  intervals: wgsl`
fn keyCount(tile: Located) -> u32 {
  let runs = rowAt(2u * tile.row + 1u);
  if (runs == 0u) { return 0u; }
  return blockAt(2u * (rowAt(2u * tile.row) + runs - 1u) + 1u);
}`,
  band: wgsl`
// The numbers of the plan stand where others have lists: sink, keys before and after, offset of the diagonal.
struct Band { first: i32, last: i32, sink: u32, start: u32, end: u32 }

fn bandOf(tile: Located) -> Band {
  var band: Band;
  let offset = i32(rowAt(3u));
  let keys = i32(shape.keyTokens);
  band.first = i32(tile.block * shape.queryBlock) + offset;
  band.last = i32(tile.endSlot) - 1 + offset;
  let end = clamp(band.last + i32(rowAt(2u)) + 1, 0, keys);
  band.end = u32(end);
  band.start = u32(clamp(band.first - i32(rowAt(1u)), 0, end));
  band.sink = min(rowAt(0u), band.start);
  return band;
}

fn keyCount(tile: Located) -> u32 {
  let band = bandOf(tile);
  return band.sink + band.end - band.start;
}`,
  boxes: wgsl`
fn keyCount(tile: Located) -> u32 {
  let at = 6u * tile.block;
  return rowAt(at + 3u) * rowAt(at + 4u) * rowAt(at + 5u);
}`,
};

const tokens = {
  all: wgsl`
fn keyToken(tile: Located, slot: u32) -> i32 { return i32(slot); }`,
  ranges: wgsl`
fn keyToken(tile: Located, slot: u32) -> i32 {
  let place = rowAt(2u * tile.row) + slot;
  if (place >= shape.keySlots) { return ABSENT; }
  return keyInOrder(place);
}`,
  blocks: wgsl`
fn keyToken(tile: Located, slot: u32) -> i32 {
  let entry = blockAt(rowAt(2u * tile.row) + slot / shape.keyBlock);
  let place = (entry & 0x7fffffffu) * shape.keyBlock + slot % shape.keyBlock;
  if (place >= shape.keySlots) { return ABSENT; }
  let token = keyInOrder(place);
  return select(token, token | FULL, token >= 0 && (entry >> 31u) == 1u);
}`,
  gathered: wgsl`
fn keyToken(tile: Located, slot: u32) -> i32 {
  let entry = blockAt(rowAt(2u * tile.row) + slot);
  let place = entry & 0x7fffffffu;
  if (place >= shape.keySlots) { return ABSENT; }
  let token = keyInOrder(place);
  return select(token, token | FULL, token >= 0 && (entry >> 31u) == 1u);
}`,
  /** The run whose end is the first beyond the slot. */
  intervals: wgsl`
fn keyToken(tile: Located, slot: u32) -> i32 {
  var low = rowAt(2u * tile.row);
  let first = low;
  var high = low + rowAt(2u * tile.row + 1u) - 1u;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (blockAt(2u * middle + 1u) > slot) { high = middle; } else { low = middle + 1u; }
  }
  var before = 0u;
  if (low > first) { before = blockAt(2u * low - 1u); }
  let start = blockAt(2u * low);
  let place = (start & 0x7fffffffu) + slot - before;
  if (place >= shape.keySlots) { return ABSENT; }
  let token = keyInOrder(place);
  return select(token, token | FULL, token >= 0 && (start >> 31u) == 1u);
}`,
  band: wgsl`
fn keyToken(tile: Located, slot: u32) -> i32 {
  let band = bandOf(tile);
  let token = i32(select(band.start + slot - band.sink, slot, slot < band.sink));
  let isInBand = token < i32(rowAt(0u)) || token >= band.last - i32(rowAt(1u));
  return select(token, token | FULL, isInBand && token <= band.first + i32(rowAt(2u)));
}`,
  boxes: wgsl`
fn keyToken(tile: Located, slot: u32) -> i32 {
  let at = 6u * tile.block;
  let extent = vec3<i32>(i32(rowAt(at + 3u)), i32(rowAt(at + 4u)), i32(rowAt(at + 5u)));
  let origin = vec3<i32>(i32(rowAt(at)), i32(rowAt(at + 1u)), i32(rowAt(at + 2u)));
  let grid = vec3<i32>(shape.grid0, shape.grid1, shape.grid2);
  let inner = i32(slot) / extent.z;
  let offset = vec3<i32>(inner / extent.y, inner % extent.y, i32(slot) % extent.z);
  let place = origin + offset * vec3<i32>(shape.step0, shape.step1, shape.step2);
  if (any(place < vec3<i32>(0)) || any(place >= grid)) { return OUTSIDE; }
  return (place.x * grid.y + place.y) * grid.z + place.z;
}`,
};

/** `keyCount(tile)` and `keyToken(tile, slot)` of a key rule, with what they call. */
export function keyStages(options: {
  keys: KeyKind;
  lists: ListPlace;
  keyOrder: boolean;
  stopEarly: boolean;
  outside: 'skip' | 'zero';
}): string[] {
  const { keys: kind, lists: place, keyOrder: ordered, stopEarly, outside } = options;
  const own = [counts[kind === 'all' && stopEarly ? 'allCausal' : kind], tokens[kind]];
  switch (kind) {
    case 'all':
      return own;
    case 'band':
      return [listWords.packed, ...own];
    case 'boxes':
      return [listWords.packed, `const OUTSIDE = ${outside === 'zero' ? 'ZERO' : 'ABSENT'};`, ...own];
    default:
      return [listWords[place], orders[ordered ? 'given' : 'none'], ...own];
  }
}
