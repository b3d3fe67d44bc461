// key-major-fill: 0 bytes of workgroup memory, 64 threads

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read> visitors: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> blocks: array<u32>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read_write> members: array<u32>;
@group(0) @binding(6) var<storage, read_write> places: array<u32>;
struct Shape {
  heads: u32,
  listBatches: u32,
  listHeads: u32,
  querySlots: u32,
  queryBlock: u32,
  queryBlocks: u32,
  queryTokens: u32,
  tiles: u32,
  visits: u32,
  elements: u32,
  first: u32,
  epilogueScale: f32,
  firstGroup: u32,
  endGroup: u32,
}
@group(0) @binding(7) var<uniform> shape: Shape;

const THREADS = 64u;
const BLOCK_BITS = 2147483647u;
const NO_TOKEN = 4294967295u;
const MINUS_INFINITY = 4286578688u;
const NOT_A_NUMBER = 2143289344u;
const HIDDEN_BITS = 4020342536u;
const LEAST_BITS = 34086122u;

const ZERO = -1;
const ABSENT = -2;
const FULL = 0x40000000;
const TOKEN_BITS = 0x3fffffff;

fn queryInOrder(slot: u32) -> i32 {
  let token = plan[slot];
  return select(i32(token), ABSENT, token == NO_TOKEN);
}

fn entryOf(row: u32, keyBlock: u32) -> u32 {
  for (var entry = 0u; entry < rows[2u * row + 1u]; entry++) {
    if ((blocks[rows[2u * row] + entry] & BLOCK_BITS) == keyBlock) { return entry; }
  }
  return 0u;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let workgroup = shape.firstGroup + group.x + group.y * groups.x;
  if (workgroup >= shape.endGroup) { return; }
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
  }
}
