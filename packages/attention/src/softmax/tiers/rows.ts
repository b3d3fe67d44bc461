import { wgsl } from '../../wgsl/assemble.ts';

/** `queryInOrder(slot)`: token of a query slot; ABSENT where the order pads. */
export const queryInOrder = ({ queryOrder }: { queryOrder: boolean }) =>
  queryOrder
    ? `fn queryInOrder(slot: u32) -> i32 {
  let token = plan[slot];
  return select(i32(token), ABSENT, token == NO_TOKEN);
}`
    : `fn queryInOrder(slot: u32) -> i32 {
  return i32(slot);
}`;

/** Which head and which tile of it a workgroup has; late queries first. */
const orders = {
  byHead: wgsl`  let headIndex = workgroup / tilesOfHead;
  let tileIndex = tilesOfHead - 1u - workgroup % tilesOfHead;`,
  longestFirst: wgsl`  let headIndex = workgroup % (shape.batch * shape.heads);
  let tileIndex = tilesOfHead - 1u - workgroup / (shape.batch * shape.heads);`,
};

/**
 * Which rows a workgroup owns, and the token of a query slot. Under a causal mask late queries have the most keys: those of
 * all heads come first, so that what the device does last is short.
 */
export const rowStages = ({ queryOrder, stopEarly }: { queryOrder: boolean; stopEarly: boolean }) => wgsl`
struct Located {
  batch: u32,
  head: u32,
  block: u32,
  row: u32,        // of the plan's lists
  firstSlot: u32,
  endSlot: u32,
  queryRow: u32,   // row 0 of this head in query
  keyRow: u32,     // row 0 of this head in key and value
}

fn locate(workgroup: u32) -> Located {
  let tilesOfHead = shape.queryBlocks * shape.blockTiles;
${orders[stopEarly ? 'longestFirst' : 'byHead']}
  var tile: Located;
  tile.batch = headIndex / shape.heads;
  tile.head = headIndex % shape.heads;
  tile.block = tileIndex / shape.blockTiles;
  tile.firstSlot = tile.block * shape.queryBlock + (tileIndex % shape.blockTiles) * QUERY_TILE;
  tile.endSlot = min((tile.block + 1u) * shape.queryBlock, shape.querySlots);
  let list = select(tile.batch, 0u, shape.listBatches == 1u) * shape.listHeads
    + tile.head / (shape.heads / shape.listHeads);
  tile.row = list * shape.queryBlocks + tile.block;
  tile.queryRow = headIndex * shape.queryTokens;
  tile.keyRow = (tile.batch * shape.keyHeads + tile.head / (shape.heads / shape.keyHeads)) * shape.keyStride;
  return tile;
}

${queryInOrder({ queryOrder })}`;

/** The tokens of the tile's query slots, in the workgroup array `queryTokens`. */
export const resolveQueries = wgsl`
fn resolveQueries(tile: Located, lane: u32) {
  for (var i = lane; i < QUERY_TILE; i += THREADS) {
    let slot = tile.firstSlot + i;
    queryTokens[i] = ABSENT;
    if (slot < tile.endSlot) { queryTokens[i] = queryInOrder(slot); }
  }
}`;

/** Which keys and rows of the tile a lane has. Written out in each stage: the compiler then knows the range of both. */
export const laneOfTile = wgsl`
  let keyLane = (lane / ABREAST) % KEY_LANES;
  let rowLane = ((lane % THREADS) / (ABREAST * KEY_LANES)) * ABREAST + lane % ABREAST;`;

/** The keys of a tile, in one half of `keyTokens`: 0 or KEY_TILE. The other half is the tile's before or after it. */
export const resolveKeys = wgsl`
fn resolveKeys(tile: Located, start: u32, count: u32, half: u32, lane: u32) {
  for (var i = lane; i < KEY_TILE; i += THREADS) {
    var token = ABSENT;
    if (start + i < count) { token = keyToken(tile, start + i); }
    keyTokens[half + i] = token;
  }
}`;
