import type { GpuTier } from '../device/device.ts';
import type { Gpu } from '../device/gpu.ts';
import { requireTier } from '../device/tiers.ts';
import { lazily } from '../lazy.ts';
import { fillsEverySlot } from '../plan.ts';
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
import { type GpuRequest, prepareRequest, tilesOfBlock } from './webgpu-request.ts';

const keyMajor = lazily(() => import('./webgpu-key-major.ts'));

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
    const { attendKeyMajorOnGpu } = await keyMajor();
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
  const shape = cutBlocks(request, prepared.shape, queryTile);
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

/**
 * Keys that a query sees, for each query of a block: with fewer, much of what a tile visits is seen by few of its rows. Tiles
 * of few rows lose less of their speed where rows are short.
 */
const KEYS_PER_QUERY = { short: 16, long: 8 };
const SHORT_ROW = 64;
const MOST_QUERIES = 256;

/** Whether nothing depends on how queries are cut into blocks. */
const cutsFreely = ({ maskIsBand, score }: AttendRequest) => maskIsBand && score === undefined;

/** Slots of the query blocks that tiles are cut from: the plan's, or more where they may be cut freely. */
function queryBlockOf(request: AttendRequest): number {
  const { queries, keys } = request.plan;
  const perQuery =
    KEYS_PER_QUERY[Math.max(request.headDim, request.valueDim) <= SHORT_ROW ? 'short' : 'long'];
  const own = Math.min(queries.block, queries.slots);
  if (!cutsFreely(request) || keys.kind !== 'band') return own;
  const fitting = 2 ** Math.floor(Math.log2((keys.before + keys.after + 1) / perQuery));
  return Math.min(queries.slots, Math.max(own, Math.min(fitting, MOST_QUERIES)));
}

/** Numbers of a launch whose tiles have `queryTile` rows. */
function cutBlocks(request: AttendRequest, shape: GpuRequest['shape'], queryTile: number) {
  if (!cutsFreely(request) || queryTile <= shape.queryBlock)
    return { ...shape, blockTiles: tilesOfBlock(request, queryTile) };
  const queryBlocks = Math.ceil(shape.querySlots / queryTile);
  return { ...shape, queryBlock: queryTile, queryBlocks, blockTiles: 1 };
}

/** A request with all that the choice of its tile depends on. */
export function tiledCall(gpu: Gpu, request: AttendRequest) {
  const prepared = prepareRequest(gpu, request);
  const { keySlots: slots, keyBlock: block } = prepared.shape;
  const { keys } = request.plan;
  const filled = 'layout' in keys && fillsEverySlot(keys.layout);
  const blocks = { queryBlock: queryBlockOf(request), keys: { slots, block, filled } };
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
