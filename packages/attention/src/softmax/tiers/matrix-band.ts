import { wgsl } from '../../wgsl/assemble.ts';
import { listWords } from './keys.ts';

/**
 * A band whose mask is its own, in whole key tiles: first those of the sink, then those from the first key that a query of
 * the tile sees to the last. A sink that the window reaches is no part of its own: then all keys from the first on are visited.
 */
export const bandStages = [
  listWords.packed,
  wgsl`
struct Band {
  sinkSlots: u32,  // whole key tiles
  start: i32,      // first key of the window
  lead: u32,       // slots from here to the diagonal are seen by all queries of the tile
  diagonal: u32,
  count: u32,
}

fn bandOf(tile: Located) -> Band {
  var band: Band;
  let offset = i32(rowAt(3u));
  let keys = i32(shape.keyTokens);
  let first = i32(tile.firstSlot) + offset;
  let last = i32(min(tile.firstSlot + QUERY_TILE, tile.endSlot)) - 1 + offset;
  let before = i32(rowAt(1u));
  let after = i32(rowAt(2u));
  let end = clamp(last + after + 1, 0, keys);
  band.start = clamp(first - before, 0, end);
  band.sinkSlots = (min(rowAt(0u), shape.keyTokens) + KEY_TILE - 1u) / KEY_TILE * KEY_TILE;
  if (i32(band.sinkSlots) >= band.start) {
    band.start = 0;
    band.sinkSlots = 0u;
  }
  let lead = u32(clamp(last - before, band.start, end) - band.start);
  let diagonal = u32(clamp(first + after + 1, band.start, end) - band.start);
  band.lead = band.sinkSlots + (lead + KEY_TILE - 1u) / KEY_TILE * KEY_TILE;
  band.diagonal = max(band.lead, band.sinkSlots + diagonal / KEY_TILE * KEY_TILE);
  band.count = band.sinkSlots + u32(end - band.start);
  return band;
}

fn bandToken(band: Band, slot: u32) -> i32 {
  return select(band.start + i32(slot - band.sinkSlots), i32(slot), slot < band.sinkSlots);
}`,
];
