import { wgsl } from '../../wgsl/assemble.ts';
import { namesParts } from './backward-options.ts';
import { type KeyKind, type ListPlace, listWords } from './keys.ts';

/** How the kernel of the keys' side finds its rows and the queries that see them. */
export interface VisitOptions {
  keys: KeyKind;
  lists: ListPlace;
  /** Key units have an order, at shape.unitOrderAt of the plan. */
  unitOrder: boolean;
  /** Key 'all' in query order: start at the first query that a causal mask lets see the tile. */
  startLate: boolean;
}

/**
 * Which key unit a workgroup owns a tile of, and for which head it is walking. Early keys come first: under a causal
 * mask the most queries see them. The queries that see a unit are a list of slots: those of each query block that visits it.
 */
const locate = wgsl`
struct Located {
  batch: u32,
  keyHead: u32,
  head: u32,
  list: u32,       // of the plan's lists
  unit: u32,
  firstSlot: u32,
  endSlot: u32,
  queryRow: u32,   // row 0 of this head in query
  keyRow: u32,     // row 0 of this head in key and value
}

fn locate(workgroup: u32) -> Located {
  let tilesOfHead = shape.units * shape.unitTiles;
  let headIndex = workgroup / tilesOfHead;
  let tileIndex = workgroup % tilesOfHead;
  var tile: Located;
  tile.batch = headIndex / shape.keyHeads;
  tile.keyHead = headIndex % shape.keyHeads;
  tile.unit = tileIndex / shape.unitTiles;
  tile.firstSlot = tile.unit * shape.unitSize + (tileIndex % shape.unitTiles) * KEY_TILE;
  tile.endSlot = min((tile.unit + 1u) * shape.unitSize, shape.unitSlots);
  tile.keyRow = headIndex * shape.keyStride;
  return tile;
}

fn withHead(tile: Located, member: u32) -> Located {
  var next = tile;
  next.head = tile.keyHead * (shape.heads / shape.keyHeads) + member;
  next.list = select(tile.batch, 0u, shape.listBatches == 1u) * shape.listHeads
    + next.head / (shape.heads / shape.listHeads);
  next.queryRow = (tile.batch * shape.heads + next.head) * shape.queryTokens;
  return next;
}

fn resolveKeys(tile: Located, lane: u32) {
  for (var i = lane; i < KEY_TILE; i += THREADS) {
    keyTokens[i] = ABSENT;
    if (tile.firstSlot + i < tile.endSlot) { keyTokens[i] = keyInUnit(tile.firstSlot + i); }
  }
}`;

/** The queries of a tile, with what the gradients of their rows need, in workgroup arrays. */
export const resolveVisits = wgsl`
fn resolveQueries(tile: Located, start: u32, count: u32, lane: u32) {
  for (var i = lane; i < QUERY_TILE; i += THREADS) {
    queryTokens[i] = ABSENT;
    sums[i] = UNSEEN;
    means[i] = 0.0;
    if (start + i < count) {
      let visit = visitAt(tile, (start + i) / shape.queryBlock);
      let slot = visit.x * shape.queryBlock + (start + i) % shape.queryBlock;
      visits[i] = visit.y;
      if (slot < shape.querySlots) {
        let token = queryInOrder(slot);
        queryTokens[i] = token;
        if (token >= 0) {
          let row = rowStats[tile.queryRow + u32(token)];
          sums[i] = row.x;
          means[i] = row.y;
        }
      }
    }
  }
}`;

const unitOrders = {
  none: 'fn keyInUnit(slot: u32) -> i32 { return i32(slot); }',
  given: wgsl`
fn keyInUnit(slot: u32) -> i32 {
  let token = plan[shape.unitOrderAt + slot];
  return select(i32(token), ABSENT, token == NO_TOKEN);
}`,
};

/** Number of query slots that see a unit; the same for all threads of a workgroup. */
const counts = {
  all: 'fn queryCount(tile: Located) -> u32 { return shape.querySlots; }',
  listed: wgsl`
fn inverseRow(tile: Located) -> u32 {
  return 2u * (select(tile.list, 0u, shape.inverseLists == 1u) * shape.units + tile.unit);
}
fn queryCount(tile: Located) -> u32 { return inverse[inverseRow(tile) + 1u] * shape.queryBlock; }`,
};

const starts = {
  atFirst: 'fn firstQuery(tile: Located) -> u32 { return 0u; }',
  causal: wgsl`
fn firstQuery(tile: Located) -> u32 { return u32(max(0, i32(tile.firstSlot) - shape.causalOffset)); }`,
};

/** Query block of a visit, and what the key slot of a pair follows from: an entry of the block's list, or the block itself. */
const visitsOf = {
  all: 'fn visitAt(tile: Located, index: u32) -> vec2<u32> { return vec2<u32>(index, 0u); }',
  blocks: wgsl`
fn visitAt(tile: Located, index: u32) -> vec2<u32> {
  let at = shape.inverseEntriesAt + 2u * (inverse[inverseRow(tile)] + index);
  return vec2<u32>(inverse[at], inverse[at + 1u]);
}`,
  others: wgsl`
fn visitAt(tile: Located, index: u32) -> vec2<u32> {
  let block = inverse[shape.inverseEntriesAt + 2u * (inverse[inverseRow(tile)] + index)];
  return vec2<u32>(block, block);
}`,
};

/** Place of a key in the query block's list; -1 where the block does not see it. */
const keySlots = {
  all: 'fn keySlotOf(tile: Located, row: u32, visit: u32) -> i32 { return keyTokens[row]; }',
  blocks: wgsl`
fn keySlotOf(tile: Located, row: u32, visit: u32) -> i32 {
  return i32((visit & 0x7fffffffu) * shape.unitSize + tile.firstSlot + row - tile.unit * shape.unitSize);
}`,
  ranges: wgsl`
fn keySlotOf(tile: Located, row: u32, visit: u32) -> i32 {
  let at = 2u * (tile.list * shape.queryBlocks + visit);
  let place = tile.firstSlot + row - rowAt(at);
  return select(-1, i32(place), tile.firstSlot + row >= rowAt(at) && place < rowAt(at + 1u));
}`,
  intervals: wgsl`
var<private> runIsFull: bool;

fn keySlotOf(tile: Located, row: u32, visit: u32) -> i32 {
  let at = 2u * (tile.list * shape.queryBlocks + visit);
  let slot = tile.firstSlot + row;
  var before = 0u;
  for (var run = rowAt(at); run < rowAt(at) + rowAt(at + 1u); run++) {
    let marked = blockAt(2u * run);
    let start = marked & 0x7fffffffu;
    let end = blockAt(2u * run + 1u);
    if (slot >= start && slot - start < end - before) {
      runIsFull = (marked >> 31u) == 1u;
      return i32(before + slot - start);
    }
    before = end;
  }
  return -1;
}`,
  band: wgsl`
fn keySlotOf(tile: Located, row: u32, visit: u32) -> i32 {
  let offset = i32(rowAt(3u));
  let first = i32(visit * shape.queryBlock) + offset;
  let last = i32(min((visit + 1u) * shape.queryBlock, shape.querySlots)) - 1 + offset;
  let end = clamp(last + i32(rowAt(2u)) + 1, 0, i32(shape.keyTokens));
  let start = clamp(first - i32(rowAt(1u)), 0, end);
  let sink = min(i32(rowAt(0u)), start);
  let token = keyTokens[row];
  if (token < sink) { return token; }
  return select(-1, sink + token - start, token >= start && token < end);
}`,
  boxes: wgsl`
fn keySlotOf(tile: Located, row: u32, visit: u32) -> i32 {
  let at = 6u * visit;
  let extent = vec3<i32>(i32(rowAt(at + 3u)), i32(rowAt(at + 4u)), i32(rowAt(at + 5u)));
  let origin = vec3<i32>(i32(rowAt(at)), i32(rowAt(at + 1u)), i32(rowAt(at + 2u)));
  let token = max(keyTokens[row], 0);
  let inner = token / shape.grid2;
  let offset = vec3<i32>(inner / shape.grid1, inner % shape.grid1, token % shape.grid2) - origin;
  let step = vec3<i32>(shape.step0, shape.step1, shape.step2);
  let place = offset / step;
  if (any(offset < vec3<i32>(0)) || any(place * step != offset) || any(place >= extent)) { return -1; }
  return (place.x * extent.y + place.y) * extent.z + place.z;
}`,
};

/** Whether the list marks what keySlotOf() has just found as full. A band's own mask says as much as its marks. */
const marks = {
  none: 'fn isMarked(visit: u32) -> bool { return false; }',
  blocks: 'fn isMarked(visit: u32) -> bool { return (visit >> 31u) == 1u; }',
  intervals: 'fn isMarked(visit: u32) -> bool { return runIsFull; }',
};

/** Stages of the keys' side: `locate`, `withHead`, `resolveKeys`, `visitAt`, `queryCount`, `firstQuery`, `keySlotOf`, `isMarked`. */
export function visitStages({ keys, lists, unitOrder, startLate }: VisitOptions): string[] {
  const kind = keys === 'gathered' ? 'blocks' : keys;
  const parts = namesParts(kind);
  return [
    unitOrders[unitOrder ? 'given' : 'none'],
    counts[kind === 'all' ? 'all' : 'listed'],
    starts[startLate ? 'causal' : 'atFirst'],
    visitsOf[kind === 'all' || kind === 'blocks' ? kind : 'others'],
    ...(parts ? [listWords[lists]] : []),
    keySlots[kind],
    marks[kind === 'blocks' || kind === 'intervals' ? kind : 'none'],
    locate,
  ];
}
