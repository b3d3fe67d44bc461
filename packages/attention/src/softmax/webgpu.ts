import type { GpuTier } from '../device/device.ts';
import type { Gpu } from '../device/gpu.ts';
import { requireTier } from '../device/tiers.ts';
import type { AttendRequest, AttendResult } from './request.ts';
import { retiled } from './retile.ts';
import {
  chooseForward,
  type ForcedTile,
  forcedForward,
  loadMatrixTier,
  type Machine,
} from './tiers/forward.ts';
import { decodeOnGpu, decodes } from './webgpu-decode.ts';
import { launchInPieces } from './webgpu-launch.ts';
import { withOutputs } from './webgpu-output.ts';
import { meanKeyCount } from './webgpu-plan.ts';
import { prepareRequest, tilesOfBlock } from './webgpu-request.ts';

/**
 * attend() on WebGPU. Few rows against many keys are decoded, others run on the tile that a search found, or on the tier's
 * own choice. `forced`, for measuring: that tile, or the own choice whatever a search found.
 */
export async function attendOnGpu(
  gpu: Gpu,
  request: AttendRequest,
  forced?: ForcedTile | 'own',
): Promise<AttendResult> {
  gpu.check();
  const only = request.tier as GpuTier | undefined;
  if (only !== undefined) requireTier(only, gpu.features);
  if (request.order === 'key-major') {
    const { attendKeyMajorOnGpu } = await import('./webgpu-key-major.ts');
    return attendKeyMajorOnGpu(gpu, request, (part) => attendOnGpu(gpu, part));
  }
  if (!forced && decodes(gpu, request)) return decodeOnGpu(gpu, request);
  if ((only ?? gpu.tier) === 'matrix') await loadMatrixTier();
  const { batch, heads, headDim, valueDim, plan, signal } = request;
  const { prepared, blocks, machine } = tiledCall(gpu, request);
  const own = () => chooseForward(prepared.options, blocks, machine, gpu.tier, only);
  const { kernel, queryTile, tier } =
    forced === undefined
      ? retiled(gpu, { request, options: prepared.options, blocks, machine, own: own() })
      : forced === 'own'
        ? own()
        : forcedForward(prepared.options, blocks, machine, forced);
  const shape = { ...prepared.shape, blockTiles: tilesOfBlock(request, queryTile) };
  return withOutputs(gpu, request, prepared.options, tier, async (output, logSumExp) => {
    const all = batch * heads * shape.queryBlocks * shape.blockTiles;
    const groups = output.shape.includes(0) ? 0 : all;
    const flops = 2 * (headDim + valueDim) * meanKeyCount(plan) * queryTile * Math.max(all, 1);
    const buffers = {
      ...prepared.inputs,
      ...prepared.epilogue,
      plan: prepared.plan,
      output: output.storage,
      logSumExp: logSumExp.storage,
    };
    const values = { ...buffers, shape } as never;
    await launchInPieces(gpu, { kernel, values, groups, flops, signal });
  });
}

/** A request with all that the choice of its tile depends on. */
export function tiledCall(gpu: Gpu, request: AttendRequest) {
  const { queries } = request.plan;
  const prepared = prepareRequest(gpu, request);
  const { keySlots: slots, keyBlock: block } = prepared.shape;
  const blocks = { queryBlock: Math.min(queries.block, queries.slots), keys: { slots, block } };
  return { prepared, blocks, machine: machineOf(gpu) };
}

/** What the choice of a tile depends on. */
export function machineOf(gpu: Gpu): Machine {
  return {
    software: gpu.software,
    memoryBytes: gpu.limits.maxComputeWorkgroupStorageSize,
    threads: Math.min(gpu.limits.maxComputeInvocationsPerWorkgroup, gpu.limits.maxComputeWorkgroupSizeX),
    subgroupMin: gpu.subgroups?.min ?? 0,
  };
}
