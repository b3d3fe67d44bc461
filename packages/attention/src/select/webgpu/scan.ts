import type { Gpu } from '../../device/gpu.ts';
import { wgsl } from '../../wgsl/assemble.ts';
import { THREADS } from './stages.ts';

/** How sums run over the lanes of a workgroup: through workgroup memory, or within subgroups first. */
export type Scan = 'portable' | 'subgroup';

export function scanOf(gpu: Gpu): Scan {
  return gpu.tier !== 'portable' && gpu.subgroups ? 'subgroup' : 'portable';
}

/** WGSL extensions that a scan uses. */
export const scanEnables = { portable: [], subgroup: ['subgroups'] } as const satisfies Record<
  Scan,
  readonly string[]
>;

export const scanMemory = {
  scanX: { type: 'u32', length: THREADS }, // 1 KiB
  scanY: { type: 'u32', length: THREADS }, // 1 KiB
} as const;

/** `scanLanes(lane, mine)`: sums over the lanes before a lane, part by part. Holds barriers. */
const scans: Record<Scan, string> = {
  portable: wgsl`
fn scanLanes(lane: u32, mine: vec2<u32>) -> vec2<u32> {
  scanX[lane] = mine.x;
  scanY[lane] = mine.y;
  workgroupBarrier();
  for (var step = 1u; step < THREADS; step *= 2u) {
    let other = lane - min(step, lane);
    let before = select(vec2<u32>(), vec2<u32>(scanX[other], scanY[other]), lane >= step);
    workgroupBarrier();
    scanX[lane] += before.x;
    scanY[lane] += before.y;
    workgroupBarrier();
  }
  return vec2<u32>(scanX[lane], scanY[lane]) - mine;
}`,
  /** Three barriers instead of seventeen. The last element holds the total; sums of subgroups stand from the first on. */
  subgroup: wgsl`
fn scanLanes(lane: u32, mine: vec2<u32>) -> vec2<u32> {
  let size = subgroupAdd(1u);
  let within = subgroupInclusiveAdd(mine);
  if (lane % size == size - 1u) {
    scanX[lane / size] = within.x;
    scanY[lane / size] = within.y;
  }
  workgroupBarrier();
  var before = within - mine;
  for (var i = 0u; i < lane / size; i++) { before += vec2<u32>(scanX[i], scanY[i]); }
  workgroupBarrier();
  if (lane == THREADS - 1u) {
    scanX[lane] = before.x + mine.x;
    scanY[lane] = before.y + mine.y;
  }
  workgroupBarrier();
  return before;
}`,
};

/** scanLanes(), and `scanTotal()`: the sums over all lanes, until the next scan; a barrier must stand between. */
export const scanStage = (scan: Scan) => `${scans[scan].trim()}

fn scanTotal() -> vec2<u32> { return vec2<u32>(scanX[THREADS - 1u], scanY[THREADS - 1u]); }`;
