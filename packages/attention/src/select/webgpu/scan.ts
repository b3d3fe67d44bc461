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

/**
 * `scanLanes(lane, mine)`: sums over the lanes before a lane, part by part; then `scanTotal()`: over all lanes. Both hold
 * barriers or read what others wrote, so one must stand between the last use of a scan and the next scan.
 */
const scans: Record<Scan, string> = {
  /** Sixteen lanes add up sixteen numbers each; then every lane adds the runs before its own. */
  portable: wgsl`
const RUN = 16u;

fn scanLanes(lane: u32, mine: vec2<u32>) -> vec2<u32> {
  scanX[lane] = mine.x;
  scanY[lane] = mine.y;
  workgroupBarrier();
  if (lane < THREADS / RUN) {
    var sum = vec2<u32>();
    for (var i = lane * RUN; i < lane * RUN + RUN; i++) {
      sum += vec2<u32>(scanX[i], scanY[i]);
      scanX[i] = sum.x;
      scanY[i] = sum.y;
    }
  }
  workgroupBarrier();
  return runsBefore(lane / RUN) + vec2<u32>(scanX[lane], scanY[lane]) - mine;
}

fn runsBefore(end: u32) -> vec2<u32> {
  var sum = vec2<u32>();
  for (var run = 0u; run < end; run++) { sum += vec2<u32>(scanX[run * RUN + RUN - 1u], scanY[run * RUN + RUN - 1u]); }
  return sum;
}

fn scanTotal() -> vec2<u32> { return runsBefore(THREADS / RUN); }`,
  /** Subgroups add up their lanes by themselves; then every lane adds the subgroups before its own. */
  subgroup: wgsl`
fn scanLanes(lane: u32, mine: vec2<u32>) -> vec2<u32> {
  let size = subgroupAdd(1u);
  let within = subgroupInclusiveAdd(mine);
  if (lane % size == size - 1u) {
    scanX[lane / size] = within.x;
    scanY[lane / size] = within.y;
  }
  workgroupBarrier();
  return subgroupsBefore(lane / size) + within - mine;
}

fn subgroupsBefore(end: u32) -> vec2<u32> {
  var sum = vec2<u32>();
  for (var i = 0u; i < end; i++) { sum += vec2<u32>(scanX[i], scanY[i]); }
  return sum;
}

fn scanTotal() -> vec2<u32> { return subgroupsBefore(THREADS / subgroupAdd(1u)); }`,
};

export const scanStage = (scan: Scan) => scans[scan];
