import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { type Plan, queryBlocks } from '../plan.ts';
import { sizeOf } from '../tensor.ts';
import { invertPlan, type KeyUnits } from './inverse-plan.ts';
import { countVisits, fillVisits, type InvertibleKind, markVisits } from './tiers/portable-inverse.ts';
import type { GpuPlan } from './webgpu-plan.ts';

/**
 * The query blocks that visit each key unit, as invertPlan() writes them: made on the host once a plan object, or on
 * the device from lists that are there.
 * @param scratch gives a buffer of so many words that the caller releases
 */
export async function inverseOnGpu(
  gpu: Gpu,
  plan: Plan,
  uploaded: GpuPlan,
  units: KeyUnits,
  scratch: (words: number, cleared?: boolean) => GPUBuffer,
): Promise<GPUBuffer> {
  if (uploaded.lists === 'packed') {
    const words = inverseOf(plan, units);
    return gpu.uploadOnce(words, () => words);
  }
  const kind = plan.keys.kind as InvertibleKind; // no other has lists on the device
  const blockCount = queryBlocks(plan);
  const listRows = units.lists * blockCount;
  const cells = units.lists * units.count;
  const bitWords = Math.ceil(blockCount / 32);
  const most = blockCount * mostUnits(plan, units);
  const bits = scratch(cells * bitWords, true);
  const inverse = scratch(2 * cells + 2 * units.lists * most);
  const shape = {
    listRows,
    queryBlocks: blockCount,
    units: units.count,
    bitWords,
    most,
  };
  const { rows, blocks } = uploaded;
  const lists = { rows, ...(kind !== 'ranges' && { blocks }) };
  await gpu.launch(markVisits(kind), { ...lists, shape, bits } as never, listRows);
  await gpu.launch(countVisits, { bits, inverse, shape }, units.lists);
  await gpu.launch(fillVisits(kind), { ...lists, shape, bits, inverse } as never, listRows);
  return inverse;
}

/** Units that one row of lists on the device may name at most. */
function mostUnits({ keys }: Plan, { count }: KeyUnits): number {
  return keys.kind === 'blocks' ? Math.min(count, sizeOf((keys.blocks as GpuTensor).shape)) : count;
}

/** Inverted host lists, as long as their plan lives. */
const inverses = new WeakMap<Plan, Uint32Array>();

function inverseOf(plan: Plan, units: KeyUnits): Uint32Array {
  let words = inverses.get(plan);
  if (!words) {
    words = invertPlan(plan, units);
    inverses.set(plan, words);
  }
  return words;
}
