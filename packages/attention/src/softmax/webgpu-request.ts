import type { Gpu, GpuTensor } from '../device/gpu.ts';
import type { AttendRequest } from './request.ts';
import type { Storage } from './tiers/access.ts';
import type { ForwardOptions } from './tiers/forward-options.ts';
import { uploadPlan } from './webgpu-plan.ts';
import { bindExpressions } from './webgpu-tables.ts';

/** A request as the kernels of every tier take it: options, buffers and numbers, less the outputs and the tile. */
export function prepareRequest(gpu: Gpu, request: AttendRequest) {
  const { headDim, valueDim, plan, epilogue } = request;
  const { kind, lists, queryOrder, keyOrder, outside, packed, rows, blocks, shape } = uploadPlan(gpu, plan);
  const expressions = bindExpressions(gpu, request.mask, request.score);
  const scaleTensor = typeof epilogue?.scale === 'object' ? (epilogue.scale as GpuTensor) : undefined;
  const add = epilogue?.add as GpuTensor | undefined;
  const options: ForwardOptions = {
    headDim,
    valueDim,
    storage: request.query.dtype as Storage,
    outputStorage: request.outputDType === 'f16' && valueDim % 4 === 0 ? 'f16' : 'f32',
    keys: kind,
    lists,
    queryOrder,
    keyOrder,
    outside,
    stopEarly: kind === 'all' && !queryOrder && request.causalOffset !== undefined,
    honourFullBlocks: request.honourFullBlocks,
    maskIsCausal: request.maskIsCausal,
    maskIsBand: request.maskIsBand,
    keep: expressions.keep,
    change: expressions.change,
    tableStages: expressions.stages,
    tableBindings: expressions.bindings,
    epilogueScale: scaleTensor ? (scaleTensor.dtype as Storage) : epilogue ? 'number' : 'none',
    epilogueAdd: add ? (add.dtype as Storage) : 'none',
    memoryLimit: gpu.limits.maxComputeWorkgroupStorageSize,
  };
  const storageOf = (tensor: unknown) => (tensor as GpuTensor).storage;
  return {
    options,
    /** What the forward kernels read, in the names of their bindings. */
    inputs: {
      query: storageOf(request.query),
      key: storageOf(request.key),
      value: storageOf(request.value),
      ...(rows && { rows }),
      ...(blocks && { blocks }),
      ...expressions.buffers,
    } as Record<string, GPUBuffer>,
    plan: packed,
    /** What the epilogue reads. */
    epilogue: {
      ...(scaleTensor && { rowScale: scaleTensor.storage }),
      ...(add && { addend: add.storage }),
    } as Record<string, GPUBuffer>,
    /** Numbers of a launch, less those of the tile. */
    shape: {
      ...shape,
      batch: request.batch,
      heads: request.heads,
      keyHeads: request.keyHeads,
      queryTokens: request.queryTokens,
      keyTokens: request.keyTokens,
      keyStride: request.keyStride,
      scale: request.scale,
      causalOffset: request.causalOffset ?? 0,
      epilogueScale: typeof epilogue?.scale === 'number' ? epilogue.scale : 1,
    },
  };
}

export type GpuRequest = ReturnType<typeof prepareRequest>;

/** Tiles of `queries` rows that a query block takes. */
export function tilesOfBlock({ plan }: AttendRequest, queries: number): number {
  return Math.ceil(Math.min(plan.queries.block, Math.max(plan.queries.slots, 1)) / queries);
}
