import type { GpuTier } from '../device/device.ts';
import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { requireTier } from '../device/tiers.ts';
import { DeviceError, throwIfAborted } from '../errors.ts';
import { lazily } from '../lazy.ts';
import { differsFromOne } from '../mods/derivative.ts';
import { type Shape, sizeOf } from '../tensor.ts';
import type { Kernel } from '../wgsl/assemble.ts';
import { type DerivedRequest, withDerivatives } from './derived-request.ts';
import { heldBy, type KeyUnits, keyUnits, tokenSlots } from './inverse-plan.ts';
import { type AttendGradients, type BackwardRequest, blockSumsShape } from './request.ts';
import type { Storage } from './tiers/access.ts';
import type { BackwardOptionsOfSide } from './tiers/backward-options.ts';
import type { MatrixBackwardTile } from './tiers/matrix-backward-tile.ts';
import { portableBackward } from './tiers/portable-backward.ts';
import {
  type BackwardTile,
  backwardShape,
  chooseBackwardTile,
  type Side,
} from './tiers/portable-backward-tile.ts';
import { rowStatistics, sumSlots } from './tiers/portable-row-sums.ts';
import { finishTable, type Gathered, gatherFields } from './tiers/portable-table-gradients.ts';
import { machineOf } from './webgpu.ts';
import { inverseOnGpu } from './webgpu-inverse.ts';
import { launchInPieces } from './webgpu-launch.ts';
import { type GpuPlan, meanKeyCount, uploadPlan } from './webgpu-plan.ts';
import { bindExpressions, type GpuExpressions } from './webgpu-tables.ts';

const matrixGradients = lazily(() => import('./webgpu-matrix-backward.ts'));

/** Tiles that a measurement forces on sides; 'tables' has portable ones alone. */
export type ForcedBackward = Partial<Record<Side, BackwardTile | MatrixBackwardTile>>;

/**
 * attendBackward() on WebGPU: dQ, and dK with dV, each on the matrix units where they have a kernel for the call, else, like
 * the gradients of tables, on the portable kernels. `forced`, for measuring: a side's tile.
 */
export async function attendBackwardOnGpu(
  gpu: Gpu,
  request: BackwardRequest,
  forced: ForcedBackward = {},
): Promise<AttendGradients> {
  gpu.check();
  const only = request.tier as GpuTier | undefined;
  if (only === 'subgroup')
    throw new DeviceError(`attendBackward() has no kernels of the tier '${only}' in this version`, {
      needs: `kernels of the tier '${only}'`,
      has: 'those of portable and matrix',
    });
  if (only !== undefined) requireTier(only, gpu.features);
  const matrix = (only ?? gpu.tier) === 'matrix' ? await matrixGradients() : undefined;
  const pass = new BackwardPass(gpu, withDerivatives(request), matrix, forced);
  try {
    return await pass.run();
  } catch (error) {
    for (const tensor of pass.results) tensor.dispose();
    throw error;
  } finally {
    pass.releaseScratch();
  }
}

type MatrixKernels = typeof import('./webgpu-matrix-backward.ts');

/** A kernel of a side, and the rows that a workgroup of it takes. */
interface SideKernel {
  tier: 'portable' | 'matrix';
  kernel: Kernel;
  rowTile: number;
  options: BackwardOptionsOfSide;
}

/** One call: what its kernels share. Scratch is released when all of them are queued. */
class BackwardPass {
  readonly results: GpuTensor[] = [];
  private readonly scratch: GPUBuffer[] = [];
  private readonly gpu: Gpu;
  private readonly request: DerivedRequest;
  /** The kernels of the matrix units, where the device has these. */
  private readonly matrix: MatrixKernels | undefined;
  private readonly forced: ForcedBackward;
  private halves: Record<string, GPUBuffer> | undefined;
  private readonly plan: GpuPlan;
  private readonly units: KeyUnits;
  private readonly expressions: GpuExpressions;

  constructor(gpu: Gpu, request: DerivedRequest, matrix: MatrixKernels | undefined, forced: ForcedBackward) {
    this.gpu = gpu;
    this.request = request;
    this.matrix = matrix;
    this.forced = forced;
    this.plan = uploadPlan(gpu, request.plan);
    this.units = keyUnits(request.plan);
    this.expressions = bindExpressions(gpu, request.mask, request.score);
  }

  async run(): Promise<AttendGradients> {
    const { request, units } = this;
    const { query, key, value, plan } = request;
    const unreached = units.holds === 'some' || request.keyStride > request.keyTokens;
    const gradients = {
      query: this.result(query.shape, heldBy(plan.queries, request.queryTokens) !== 'each'),
      key: this.result(key.shape, unreached),
      value: this.result(value.shape, unreached),
    };
    const kernels = { queries: this.kernelOf('queries'), keys: this.kernelOf('keys') };
    const rowStats = await this.statistics();
    const onMatrix = [kernels.queries, kernels.keys].some(({ tier }) => tier === 'matrix');
    if (onMatrix)
      this.halves = await this.matrix?.halvesForMatrix(this.gpu, request, rowStats, (count, cleared) =>
        this.words(count, cleared),
      );
    await this.launch(kernels.queries, { rowStats, queryGradient: gradients.query.storage }, {});
    await this.fromKeys(kernels.keys, rowStats, gradients);
    const gathered = await this.fromTables(rowStats);
    const blockSums = request.blockSums ? gathered.pop() : undefined;
    return { ...gradients, tables: gathered, blockSums, tier: onMatrix ? 'matrix' : 'portable' };
  }

  releaseScratch(): void {
    for (const buffer of this.scratch) this.gpu.release(buffer);
  }

  private result(shape: Shape, cleared: boolean): GpuTensor {
    const tensor = this.gpu.empty(shape, 'f32');
    this.results.push(tensor);
    if (cleared) this.gpu.clear(tensor.storage);
    return tensor;
  }

  private words(count: number, cleared = false): GPUBuffer {
    const buffer = this.gpu.allocate(4 * count);
    this.scratch.push(buffer);
    if (cleared) this.gpu.clear(buffer);
    return buffer;
  }

  /** log₂ of each row's sum and rowsum(dO ∘ O) − dL, two words a row. */
  private async statistics(): Promise<GPUBuffer> {
    const { output, outputGradient, logSumExp, logSumExpGradient, valueDim } = this.request;
    const rows = sizeOf(logSumExp.shape);
    const stats = this.words(2 * rows);
    const kernel = rowStatistics({
      valueDim,
      output: output.dtype as Storage,
      outputGradient: outputGradient.dtype as Storage,
      logSumExp: logSumExp.dtype as Storage,
      logSumExpGradient: (logSumExpGradient?.dtype as Storage | undefined) ?? 'none',
    });
    await this.gpu.launch(
      kernel,
      {
        output: bufferOf(output),
        outputGradient: bufferOf(outputGradient),
        logSumExp: bufferOf(logSumExp),
        ...(logSumExpGradient && { logSumExpGradient: bufferOf(logSumExpGradient) }),
        rowStats: stats,
        shape: { rows },
      } as never,
      Math.ceil(rows / 4),
    );
    return stats;
  }

  private async fromKeys(
    kernel: SideKernel,
    rowStats: GPUBuffer,
    gradients: { key: GpuTensor; value: GpuTensor },
  ): Promise<void> {
    const { request, units } = this;
    const { batch, keyHeads, headDim, valueDim, plan } = request;
    const inverse =
      plan.keys.kind === 'all'
        ? undefined
        : await inverseOnGpu(this.gpu, plan, this.plan, units, (count, cleared) =>
            this.words(count, cleared),
          );
    const { bySlot } = kernel.options;
    const rows = batch * keyHeads * units.slots;
    const targets = bySlot
      ? [this.words(rows * headDim), this.words(rows * valueDim)]
      : [gradients.key.storage, gradients.value.storage];
    await this.launch(
      kernel,
      { rowStats, keyGradient: targets[0], valueGradient: targets[1], ...(inverse && { inverse }) },
      {},
    );
    if (!bySlot) return;
    const slots = tokenSlots(units, request.keyTokens);
    const slotsOf = this.gpu.uploadOnce(slots, () => slots);
    for (const [from, to, channels] of [
      [targets[0], gradients.key, headDim],
      [targets[1], gradients.value, valueDim],
    ] as const) {
      const size = sizeOf(to.shape);
      await this.gpu.launch(
        sumSlots,
        {
          bySlot: from,
          slotsOf,
          gradient: to.storage,
          shape: {
            size,
            channels,
            tokens: request.keyTokens,
            stride: request.keyStride,
            slots: units.slots,
          },
        },
        Math.ceil(size / 64),
      );
    }
  }

  /** Gradients of the tables, then the sums of dS if they are wanted: measured first, then added in fixed point. */
  private async fromTables(rowStats: GPUBuffer): Promise<GpuTensor[]> {
    const { gpu, request, expressions } = this;
    const { tables, tableReads, score } = request;
    const shapes = [
      ...tables.map(({ shape }) => shape),
      ...(request.blockSums ? [blockSumsShape(request)] : []),
    ];
    if (shapes.length === 0) return [];
    const sizes = shapes.map(sizeOf);
    const starts = [0];
    for (const size of sizes) starts.push(starts[starts.length - 1] + size);
    const maxima = this.words(shapes.length, true);
    const totals = this.words(2 * starts[shapes.length], true);
    const gathered = (step: Gathered['step']): Gathered => ({
      step,
      reads: tableReads.map(({ table, index, partial }, k) => ({
        table: tables.indexOf(table),
        size: sizeOf(table.shape),
        index: expressions.compile(`index${k}`, { node: index, tables: score?.tables ?? [] }),
        partial: differsFromOne(partial)
          ? expressions.compile(`partial${k}`, { node: partial, tables: score?.tables ?? [] })
          : undefined,
      })),
      blockSums: request.blockSums ? tables.length : undefined,
      fields: gatherFields(shapes.length),
    });
    const pairs =
      request.batch * request.heads * request.queryTokens * Math.max(meanKeyCount(request.plan), 1);
    // sums of 2^adds parts stay below 2^62
    const partBits = Math.max(20, Math.min(40, 62 - Math.ceil(Math.log2(Math.max(pairs, 1)))));
    const uniforms = {
      ...Object.fromEntries(sizes.map((_, i) => [`tableAt${i}`, starts[i]])),
      keyBlocks: blockSumsShape(request)[3],
      partBits,
    };
    for (const step of ['measure', 'add'] as const)
      await this.launch(this.kernelOf('tables', gathered(step)), { rowStats, maxima, totals }, uniforms);
    const results: GpuTensor[] = [];
    for (const [table, shape] of shapes.entries()) {
      const gradient = this.result(shape, false);
      results.push(gradient);
      await gpu.launch(
        finishTable,
        {
          maxima,
          totals,
          gradient: gradient.storage,
          shape: { size: sizes[table], first: starts[table], table, partBits },
        },
        Math.ceil(sizes[table] / 64),
      );
    }
    return results;
  }

  /** The kernel of a side: on the matrix units where these have one. */
  private kernelOf(side: Side, gathered?: Gathered): SideKernel {
    const { request, units, matrix, plan } = this;
    const { headDim, valueDim } = request;
    const options = this.options(side, gathered);
    const limits = machineOf(this.gpu);
    const forced = this.forced[side];
    const rows =
      side === 'keys'
        ? Math.min(units.size, units.slots)
        : Math.min(request.plan.queries.block, request.plan.queries.slots);
    const slots = {
      keys: { slots: plan.shape.keySlots, block: plan.shape.keyBlock },
      queryBlock: request.plan.queries.block,
    };
    const onUnits =
      forced && !('fragments' in forced)
        ? undefined
        : matrix?.matrixBackwardOf(options, rows, slots, limits, forced);
    if (onUnits) return { ...onUnits, tier: 'matrix', options };
    if (request.tier === 'matrix' && side !== 'tables')
      throw new DeviceError(`the tier 'matrix' has no kernel for the gradients of this call's ${side}`, {
        needs: `a tile for ${options.storage} with headDim ${headDim} and valueDim ${valueDim}, ${rows} rows, and scores that only a number is added to`,
        has: `${limits.memoryBytes} bytes of workgroup memory and ${limits.threads} threads a workgroup`,
      });
    const tile =
      forced && !('fragments' in forced)
        ? backwardShape(forced, side, headDim, valueDim)
        : chooseBackwardTile(side, rows, headDim, valueDim, limits);
    return {
      kernel: portableBackward({ ...options, tile }),
      rowTile: tile.rowTile,
      tier: 'portable',
      options,
    };
  }

  private options(side: Side, gathered: Gathered | undefined): BackwardOptionsOfSide {
    const { gpu, request, plan, units, expressions } = this;
    const { headDim, valueDim } = request;
    const causalTiles = plan.kind === 'all' && !plan.queryOrder && request.causalOffset !== undefined;
    const onlyCausal = causalTiles && request.maskIsCausal && !request.score && side !== 'tables';
    return {
      side,
      headDim,
      valueDim,
      storage: request.query.dtype as Storage,
      gradientStorage: request.outputGradient.dtype as Storage,
      keys: plan.kind,
      lists: plan.lists,
      queryOrder: plan.queryOrder,
      keyOrder: side === 'keys' ? units.order !== undefined : plan.keyOrder,
      outside: plan.outside,
      bySlot: side === 'keys' && units.holds === 'repeated',
      causalTiles,
      onlyCausal,
      honourFullBlocks: request.honourFullBlocks,
      keep: onlyCausal ? undefined : expressions.keep,
      change: expressions.change,
      slope: side === 'tables' ? undefined : request.slope && expressions.compile('slope', request.slope),
      tableStages: expressions.stages,
      tableBindings: expressions.bindings,
      gathered,
      memoryLimit: gpu.limits.maxComputeWorkgroupStorageSize,
    };
  }

  /** Queues one kernel over all tiles of its side. */
  private async launch(
    { kernel, rowTile, tier, options }: SideKernel,
    buffers: Record<string, GPUBuffer>,
    uniforms: Record<string, number>,
  ): Promise<void> {
    const { gpu, request, plan, units, expressions } = this;
    const { batch, heads, keyHeads, headDim, valueDim, signal } = request;
    const { block, slots } = request.plan.queries;
    const blockTiles = Math.ceil(Math.min(block, Math.max(slots, 1)) / rowTile);
    const unitTiles = Math.ceil(Math.min(units.size, Math.max(units.slots, 1)) / rowTile);
    const groups =
      options.side === 'keys'
        ? batch * keyHeads * units.count * unitTiles
        : batch * heads * plan.shape.queryBlocks * blockTiles;
    const values = {
      query: bufferOf(request.query),
      key: bufferOf(request.key),
      value: bufferOf(request.value),
      outputGradient: bufferOf(request.outputGradient),
      plan: plan.packed,
      rows: plan.rows,
      blocks: plan.blocks,
      ...expressions.buffers,
      ...(tier === 'matrix' ? this.halves : undefined),
      ...buffers,
      shape: {
        ...plan.shape,
        batch,
        heads,
        keyHeads,
        queryTokens: request.queryTokens,
        keyTokens: request.keyTokens,
        keyStride: request.keyStride,
        scale: request.scale,
        causalOffset: request.causalOffset ?? 0,
        blockTiles,
        epilogueScale: 1,
        units: units.count,
        unitTiles,
        unitSize: units.size,
        unitSlots: units.slots,
        unitOrderAt: plan.kind === 'boxes' ? 0 : plan.shape.keyOrderAt,
        inverseLists: units.lists,
        inverseEntriesAt: 2 * units.lists * units.count,
        keyRows: options.bySlot ? units.slots : request.keyStride,
        ...uniforms,
      },
    };
    const products = options.side === 'keys' ? 2 * (headDim + valueDim) : 2 * headDim + valueDim;
    const pairs = meanKeyCount(request.plan) * batch * heads * Math.max(slots, 1);
    throwIfAborted(signal);
    await launchInPieces(gpu, {
      kernel,
      values: values as never,
      groups,
      flops: 2 * products * pairs,
      signal,
    });
  }
}

function bufferOf(tensor: unknown): GPUBuffer {
  return (tensor as GpuTensor).storage;
}
