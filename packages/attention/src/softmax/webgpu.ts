import type { GpuTier } from '../device/device.ts';
import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { requireTier } from '../device/tiers.ts';
import { throwIfAborted } from '../errors.ts';
import { sizeOf } from '../tensor.ts';
import { assemble, wgsl } from '../wgsl/assemble.ts';
import { read, uniform, write } from '../wgsl/bindings.ts';
import type { AttendRequest, AttendResult, MergeRequest } from './request.ts';
import { retiled } from './retile.ts';
import { readNumber, type Storage } from './tiers/access.ts';
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
  const blocks = { queryBlock: queryBlockOf(request), keys: { slots, block } };
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

/** One more part joins what was merged before: L = log(exp a + exp b), O = exp(a − L) A + exp(b − L) B. */
const mergeKernel = (first: Storage, second: Storage) =>
  assemble({
    name: 'merge',
    bindings: {
      firstOutput: read(first === 'f16' ? 'u32' : 'f32'), // [rows, valueDim]
      firstSum: read('f32'), // [rows]
      secondOutput: read(second === 'f16' ? 'u32' : 'f32'),
      secondSum: read('f32'),
      output: write('f32'),
      logSumExp: write('u32'),
      shape: uniform({ rows: 'u32', valueDim: 'u32' }),
    },
    constants: { MINUS_INFINITY: 0xff800000 },
    stages: [
      readNumber('firstOutput', first),
      readNumber('secondOutput', second),
      wgsl`
// -Infinity by its bits: a GPU may compute as if there were none.
fn isEmpty(sum: f32) -> bool { return bitcast<u32>(sum) == MINUS_INFINITY; }`,
    ],
    threads: 64,
    memoryLimit: 0,
    main: wgsl`
  let at = workgroup * 64u + lane;
  if (at >= shape.rows * shape.valueDim) { return; }
  let row = at / shape.valueDim;
  let firstEmpty = isEmpty(firstSum[row]);
  let secondEmpty = isEmpty(secondSum[row]);
  let a = select(firstSum[row], -1e30, firstEmpty);
  let b = select(secondSum[row], -1e30, secondEmpty);
  let base = max(a, b);
  let weightA = select(exp(a - base), 0.0, firstEmpty);
  let weightB = select(exp(b - base), 0.0, secondEmpty);
  let total = weightA + weightB;
  let empty = firstEmpty && secondEmpty;
  let inverse = select(1.0 / total, 0.0, empty);
  let numberA = select(firstOutputNumber(at), 0.0, firstEmpty);
  let numberB = select(secondOutputNumber(at), 0.0, secondEmpty);
  output[at] = weightA * inverse * numberA + weightB * inverse * numberB;
  if (at % shape.valueDim == 0u) { logSumExp[row] = select(bitcast<u32>(base + log(total)), MINUS_INFINITY, empty); }`,
  });

/** mergeAttention() on WebGPU: parts join one after another, in the order given. The result is f32. */
export async function mergeOnGpu(gpu: Gpu, { parts, signal }: MergeRequest): Promise<AttendResult> {
  gpu.check();
  const shape = parts[0].output.shape;
  const elements = sizeOf(shape);
  let merged = parts[0] as { output: GpuTensor; logSumExp: GpuTensor };
  // a single part is merged with itself shifted out: copied, so that the caller owns two separate results
  const rest = parts.length > 1 ? parts.slice(1) : [emptyPart(gpu, shape)];
  for (const [index, part] of rest.entries()) {
    const next = { output: gpu.empty(shape, 'f32'), logSumExp: gpu.empty(shape.slice(0, 3), 'f32') };
    const second = part as { output: GpuTensor; logSumExp: GpuTensor };
    const kernel = mergeKernel(merged.output.dtype as Storage, second.output.dtype as Storage);
    await gpu.pipeline(kernel);
    throwIfAborted(signal);
    await gpu.launch(
      kernel,
      {
        firstOutput: merged.output.storage,
        firstSum: merged.logSumExp.storage,
        secondOutput: second.output.storage,
        secondSum: second.logSumExp.storage,
        output: next.output.storage,
        logSumExp: next.logSumExp.storage,
        shape: { rows: sizeOf(shape.slice(0, 3)), valueDim: shape[3] },
      },
      Math.ceil(elements / 64),
    );
    const made = index > 0 ? [merged] : [];
    if (parts.length === 1) made.push(second);
    for (const { output, logSumExp } of made) {
      output.dispose();
      logSumExp.dispose();
    }
    merged = next;
  }
  return merged;
}

function emptyPart(gpu: Gpu, shape: readonly number[]) {
  const rows = shape.slice(0, 3);
  return {
    output: gpu.empty(shape, 'f32'),
    logSumExp: gpu.tensor(new Float32Array(sizeOf(rows)).fill(-Infinity), rows, 'f32'),
  };
}
