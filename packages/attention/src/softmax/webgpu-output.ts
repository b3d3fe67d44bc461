import type { GpuTier } from '../device/device.ts';
import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { lazily } from '../lazy.ts';
import { queriesEveryToken } from '../plan.ts';
import { sizeOf } from '../tensor.ts';
import { assemble, wgsl } from '../wgsl/assemble.ts';
import { read, uniform, write } from '../wgsl/bindings.ts';
import type { AttendRequest, AttendResult } from './request.ts';
import type { ForwardOptions } from './tiers/forward-options.ts';

/** Few plans leave queries out. */
const filling = lazily(() => import('./webgpu-unqueried.ts'));

const packHalves = assemble({
  name: 'pack-halves',
  bindings: { numbers: read('f32'), halves: write('u32'), shape: uniform({ words: 'u32' }) },
  constants: {},
  stages: [],
  threads: 64,
  memoryLimit: 0,
  main: wgsl`
  let word = workgroup * 64u + lane;
  if (word < shape.words) { halves[word] = pack2x16float(vec2<f32>(numbers[2u * word], numbers[2u * word + 1u])); }`,
});

/**
 * Makes a call's results, runs `fill` on them and returns them as they were asked for. Where rows of halves would share
 * words, `fill` writes f32 and the halves are packed in a second step. Nothing is left behind when `fill` fails.
 */
export async function withOutputs(
  gpu: Gpu,
  request: AttendRequest,
  { outputStorage }: Pick<ForwardOptions, 'outputStorage'>,
  tier: GpuTier,
  fill: (output: GpuTensor, logSumExp: GpuTensor) => Promise<void>,
): Promise<AttendResult> {
  const { batch, heads, queryTokens, valueDim, outputDType } = request;
  const shape = [batch, heads, queryTokens, valueDim];
  const tensors: GpuTensor[] = [];
  const make = (of: readonly number[], dtype: 'f32' | 'f16') => {
    const tensor = gpu.empty(of, dtype);
    tensors.push(tensor);
    return tensor;
  };
  try {
    const output = make(shape, outputStorage);
    const logSumExp = make(shape.slice(0, 3), 'f32');
    if (!queriesEveryToken(request.plan)) {
      const { fillUnqueried } = await filling();
      await fillUnqueried(gpu, request, output, logSumExp);
    }
    await fill(output, logSumExp);
    if (outputStorage === outputDType || outputDType !== 'f16') return { output, logSumExp, tier };
    const packed = make(shape, 'f16');
    const words = Math.ceil(sizeOf(shape) / 2);
    await gpu.launch(
      packHalves,
      { numbers: output.storage, halves: packed.storage, shape: { words } },
      Math.ceil(words / 64),
    );
    output.dispose();
    return { output: packed, logSumExp, tier };
  } catch (error) {
    for (const tensor of tensors) tensor.dispose();
    throw error;
  }
}

/** Multiply-adds times two that one submission may hold: below what watchdogs of graphics drivers allow. */
const FLOPS_PER_SUBMISSION = { hardware: 1e12, software: 2e10 };

/** Workgroups that one submission may hold, of `groups` that together compute `flops`. */
export function groupsPerSubmission(gpu: Gpu, groups: number, flops: number): number {
  const most = FLOPS_PER_SUBMISSION[gpu.software ? 'software' : 'hardware'];
  return Math.max(1, Math.ceil(groups / Math.ceil(Math.max(flops / most, 1))));
}
