// key-major-gather: 0 bytes of workgroup memory, 64 threads

@group(0) @binding(0) var<storage, read> query: array<u32>;
@group(0) @binding(1) var<storage, read> members: array<u32>;
@group(0) @binding(2) var<storage, read_write> gathered: array<u32>;
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
@group(0) @binding(3) var<uniform> shape: Shape;

const THREADS = 64u;

fn listOf(head: u32) -> u32 {
  return select(head / shape.heads, 0u, shape.listBatches == 1u) * shape.listHeads
    + head % shape.heads / (shape.heads / shape.listHeads);
}

fn slotsOfHead() -> u32 { return shape.tiles * shape.visits * shape.queryBlock; }
fn tokenOf(row: u32) -> u32 {
  let list = min(listOf(row / slotsOfHead()), shape.listBatches * shape.listHeads - 1u);
  return members[2u * (list * slotsOfHead() + row % slotsOfHead())];
}

fn wordOf(at: u32) -> u32 { return numberAt(at / 32u, at % 32u); }
fn numberAt(row: u32, place: u32) -> u32 {
  let token = tokenOf(row);
  if (token >= shape.queryTokens) { return 0u; }
  return query[(row / slotsOfHead() * shape.queryTokens + token) * 32u + place];
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let workgroup = shape.firstGroup + group.x + group.y * groups.x;
  if (workgroup >= shape.endGroup) { return; }
  let at = workgroup * THREADS + lane;
  if (at < shape.elements) { gathered[at] = wordOf(at); }
}
