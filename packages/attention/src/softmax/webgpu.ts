import type { GpuTier } from '../device/device.ts';
import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { requireTier } from '../device/tiers.ts';
import { throwIfAborted } from '../errors.ts';
import { sizeOf } from '../tensor.ts';
import { assemble, wgsl } from '../wgsl/assemble.ts';
import { read, uniform, write } from '../wgsl/bindings.ts';
import type { AttendRequest, AttendResult, MergeRequest } from './request.ts';
import { readNumber, type Storage } from './tiers/access.ts';
import { chooseForward, type ForcedTile, forcedForward, type Machine } from './tiers/forward.ts';
import type { ForwardOptions } from './tiers/forward-options.ts';
import { launchInPieces } from './webgpu-launch.ts';
import { meanKeyCount, uploadPlan } from './webgpu-plan.ts';
import { bindExpressions } from './webgpu-tables.ts';

/** attend() on WebGPU. `forced` names a tier's tile, for measuring. */
export async function attendOnGpu(
  gpu: Gpu,
  request: AttendRequest,
  forced?: ForcedTile,
): Promise<AttendResult> {
  gpu.check();
  const { batch, heads, queryTokens, headDim, valueDim, plan, signal } = request;
  const outputShape = [batch, heads, queryTokens, valueDim];
  const tensors: GpuTensor[] = [];
  const make = (shape: readonly number[], dtype: 'f32' | 'f16') => {
    const tensor = gpu.empty(shape, dtype);
    tensors.push(tensor);
    return tensor;
  };
  try {
    const { forward, outputStorage, buffers, shape } = prepare(gpu, request, forced);
    const { kernel, queryTile, tier } = forward;
    // two halves of one word may belong to two rows: such outputs are packed in a second step
    const packLater = request.outputDType === 'f16' && outputStorage === 'f32';
    const output = make(outputShape, outputStorage);
    const logSumExp = make(outputShape.slice(0, 3), 'f32');
    const tilesPerHead = shape.queryBlocks * shape.blockTiles;
    const groups = sizeOf(outputShape) === 0 ? 0 : batch * heads * tilesPerHead;
    const flops =
      2 * (headDim + valueDim) * meanKeyCount(plan) * queryTile * Math.max(batch * heads * tilesPerHead, 1);
    const values = { ...buffers, output: output.storage, logSumExp: logSumExp.storage, shape };
    await launchInPieces(gpu, { kernel, values: values as never, groups, flops, signal });
    if (!packLater) return { output, logSumExp, tier };
    const packed = make(outputShape, 'f16');
    const words = Math.ceil(sizeOf(outputShape) / 2);
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

/** What the choice of a tile depends on. */
export function machineOf(gpu: Gpu): Machine {
  return {
    software: gpu.software,
    memoryBytes: gpu.limits.maxComputeWorkgroupStorageSize,
    threads: Math.min(gpu.limits.maxComputeInvocationsPerWorkgroup, gpu.limits.maxComputeWorkgroupSizeX),
    subgroupMin: gpu.subgroups?.min ?? 0,
  };
}

/** The kernel's options, buffers and numbers for a request, less the outputs. */
function prepare(gpu: Gpu, request: AttendRequest, forced: ForcedTile | undefined) {
  const { headDim, valueDim, plan, epilogue } = request;
  const machine = machineOf(gpu);
  const only = request.tier as GpuTier | undefined;
  if (only !== undefined) requireTier(only, gpu.features);
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
    keep: expressions.keep,
    change: expressions.change,
    tableStages: expressions.stages,
    tableBindings: expressions.bindings,
    epilogueScale: scaleTensor ? (scaleTensor.dtype as Storage) : epilogue ? 'number' : 'none',
    epilogueAdd: add ? (add.dtype as Storage) : 'none',
    memoryLimit: machine.memoryBytes,
  };
  const cut = {
    queryBlock: Math.min(plan.queries.block, plan.queries.slots),
    keys: { slots: shape.keySlots, block: shape.keyBlock },
  };
  const forward = forced
    ? forcedForward(options, cut, machine, forced)
    : chooseForward(options, cut, machine, gpu.tier, only);
  const storageOf = (tensor: unknown) => (tensor as GpuTensor).storage;
  return {
    forward,
    outputStorage: options.outputStorage,
    buffers: {
      query: storageOf(request.query),
      key: storageOf(request.key),
      value: storageOf(request.value),
      plan: packed,
      ...(rows && { rows }),
      ...(blocks && { blocks }),
      ...(scaleTensor && { rowScale: scaleTensor.storage }),
      ...(add && { addend: add.storage }),
      ...expressions.buffers,
    } as Record<string, GPUBuffer>,
    shape: {
      ...shape,
      heads: request.heads,
      keyHeads: request.keyHeads,
      queryTokens: request.queryTokens,
      keyTokens: request.keyTokens,
      scale: request.scale,
      causalOffset: request.causalOffset ?? 0,
      blockTiles: Math.ceil(
        Math.min(plan.queries.block, Math.max(plan.queries.slots, 1)) / forward.queryTile,
      ),
      epilogueScale: typeof epilogue?.scale === 'number' ? epilogue.scale : 1,
    },
  };
}

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
