import { ArgumentError, DeviceError } from '../errors.ts';
import { fromHalves, toHalves } from '../interop/half.ts';
import {
  bytesPerElement,
  checkShape,
  type DType,
  type NumberArray,
  type Shape,
  sizeOf,
  type Tensor,
} from '../tensor.ts';
import type { Kernel } from '../wgsl/assemble.ts';
import { type Arguments, type Bindings, packUniform } from '../wgsl/bindings.ts';
import { BindGroups } from './bind-groups.ts';
import { BufferPool } from './buffer-pool.ts';
import type { Device, GpuTier } from './device.ts';
import { InFlight } from './in-flight.ts';
import { Uniforms } from './uniforms.ts';

// GPUBufferUsage and GPUMapMode by their numbers: Node has no such globals.
const MAP_READ = 0x0001;
const COPY_SRC = 0x0004;
const COPY_DST = 0x0008;
const STORAGE = 0x0080;
const COMPUTE_STAGE = 0x4;

/** Buffers are whole vec4s, so that kernels may read them as vectors. */
const ALIGNMENT = 16;

const MOST_POOLED_BYTES = 256 * 2 ** 20;

/** A tensor in a GPUBuffer. f16 is packed, two to a u32. */
export class GpuTensor implements Tensor {
  readonly gpu: Gpu;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly storage: GPUBuffer;
  disposed = false;
  private readonly giveBack: (() => void) | undefined;

  /** @param giveBack tells the owner of a buffer that is not ours that no work here needs it any more */
  constructor(gpu: Gpu, storage: GPUBuffer, shape: Shape, dtype: DType, giveBack?: () => void) {
    this.gpu = gpu;
    this.storage = storage;
    this.shape = shape;
    this.dtype = dtype;
    this.giveBack = giveBack;
  }

  get device(): Device {
    return this.gpu.owner;
  }

  async read(): Promise<NumberArray> {
    if (this.disposed)
      throw new DeviceError('the tensor is disposed', { needs: 'a live tensor', has: 'a disposed one' });
    const size = sizeOf(this.shape);
    const bytes = await this.gpu.read(this.storage, Math.ceil((size * bytesPerElement(this.dtype)) / 4) * 4);
    if (this.dtype === 'u32') return new Uint32Array(bytes);
    if (this.dtype === 'f32') return new Float32Array(bytes);
    return fromHalves(new Uint16Array(bytes, 0, size));
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    if (this.giveBack) this.gpu.inFlight.afterThese(this.giveBack);
    else this.gpu.releaseLater(this.storage);
  }

  /** dispose() of a tensor that no operation but the caller's has seen, once its work is queued: free at once. */
  discard(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.gpu.release(this.storage);
  }
}

/** One kernel of a submission. */
export interface Launch {
  kernel: Kernel;
  values: Readonly<Record<string, unknown>>;
  groups: number;
  first?: number;
}

/** A GPUDevice with the bookkeeping that all kernels share: buffers, pipelines, launches, errors. Knows no attention. */
export class Gpu {
  readonly device: GPUDevice;
  /** The adapter computes on the CPU. */
  readonly software: boolean;
  /** The device is another library's, which destroys it and reports its errors. */
  readonly borrowed: boolean;
  /** The best tier of its kernels. */
  readonly tier: GpuTier;
  /** Features of the device that kernels can use. */
  readonly features: ReadonlySet<string>;
  /** Lanes of a subgroup, the fewest and the most; undefined where kernels may not use subgroups. */
  readonly subgroups: { readonly min: number; readonly max: number } | undefined;
  readonly memory = { currentBytes: 0, peakBytes: 0 };
  /** The Device that callers hold; tensors name it as theirs. */
  owner!: Device;
  /** Operations that were given tensors and may not have queued their work yet. */
  readonly inFlight = new InFlight();
  lostReason: string | undefined;
  readonly lost: Promise<string>;
  private failure: DeviceError | undefined;
  /** Work is done in the order it is queued, so the next owner of a buffer cannot disturb the last. Not counted in `memory`. */
  private readonly pool = new BufferPool<GPUBuffer>(MOST_POOLED_BYTES);
  private readonly groups: BindGroups;
  private readonly uniforms: Uniforms;
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();
  /** Buffers that live as long as the host data they were made from. */
  private readonly cached = new WeakMap<object, GPUBuffer>();
  private readonly collected = new FinalizationRegistry<GPUBuffer>((buffer) => this.release(buffer));

  /** @param options.usable features that kernels may use where the device has them */
  constructor(
    device: GPUDevice,
    options: { software: boolean; tier: GpuTier; usable: ReadonlySet<string>; borrowed: boolean },
  ) {
    this.device = device;
    this.groups = new BindGroups(device);
    this.uniforms = new Uniforms(device);
    this.software = options.software;
    this.borrowed = options.borrowed;
    this.tier = options.tier;
    this.features = new Set([...options.usable].filter((feature) => device.features.has(feature)));
    const { subgroupMinSize: min, subgroupMaxSize: max } = device.adapterInfo;
    this.subgroups = device.features.has('subgroups') ? { min, max } : undefined;
    this.lost = device.lost.then((info) => {
      this.lostReason = `${info.reason}${info.message ? `: ${info.message}` : ''}`;
      return this.lostReason;
    });
    device.addEventListener('uncapturederror', this.noteFailure);
  }

  private readonly noteFailure = (event: Event) => {
    const { error } = event as GPUUncapturedErrorEvent;
    if (!this.borrowed) event.preventDefault();
    this.failure ??= failureOf(error, this.borrowed);
  };

  /** Destroys the device; of a borrowed one, only the buffers that wait for reuse. */
  async close(): Promise<void> {
    if (!this.borrowed) {
      this.device.destroy();
      await this.lost;
      return;
    }
    this.device.removeEventListener('uncapturederror', this.noteFailure);
    this.pool.clear();
    this.uniforms.clear();
  }

  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /** Throws if the device is lost, or if work queued before went wrong. */
  check(): void {
    if (this.lostReason !== undefined) throw lostError(this.lostReason);
    const failure = this.failure;
    this.failure = undefined;
    if (failure) throw failure;
  }

  /** @throws DeviceError if no buffer can be that large */
  allocate(bytes: number, usage = STORAGE | COPY_SRC | COPY_DST, mapped = false): GPUBuffer {
    if (this.lostReason !== undefined) throw lostError(this.lostReason);
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const limit = Math.min(this.limits.maxBufferSize, this.limits.maxStorageBufferBindingSize);
    if (size > limit) {
      throw new DeviceError('a buffer would be too large', {
        needs: `${size} bytes in one buffer`,
        has: `${limit} (the smaller of maxBufferSize and maxStorageBufferBindingSize)`,
      });
    }
    let buffer = mapped ? undefined : this.pool.take(size, usage);
    try {
      buffer ??= this.device.createBuffer({ size, usage, mappedAtCreation: mapped });
    } catch (error) {
      throw new DeviceError(
        'a buffer could not be made',
        { needs: `${size} bytes`, has: String(error) },
        { cause: error },
      );
    }
    this.groups.own(buffer);
    this.memory.currentBytes += size;
    this.memory.peakBytes = Math.max(this.memory.peakBytes, this.memory.currentBytes);
    return buffer;
  }

  /** For a buffer whose work is queued: that keeps the memory until it is done; only the name is gone at once. */
  release(buffer: GPUBuffer): void {
    this.memory.currentBytes -= buffer.size;
    this.recycle(buffer);
  }

  /** For a buffer that an operation under way may still queue work on: nobody else gets it before that is over. */
  releaseLater(buffer: GPUBuffer): void {
    this.memory.currentBytes -= buffer.size;
    this.inFlight.afterThese(() => this.recycle(buffer));
  }

  private recycle(buffer: GPUBuffer): void {
    if ((buffer.usage & MAP_READ) !== 0) buffer.destroy();
    else this.pool.put(buffer);
  }

  upload(data: ArrayBufferView, usage = STORAGE | COPY_SRC | COPY_DST): GPUBuffer {
    const buffer = this.allocate(data.byteLength, usage, true);
    new Uint8Array(buffer.getMappedRange()).set(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
    buffer.unmap();
    return buffer;
  }

  /** The buffer made from `source` before, or a new one of `make()`. Freed when `source` is garbage. */
  uploadOnce(source: object, make: () => ArrayBufferView): GPUBuffer {
    let buffer = this.cached.get(source);
    if (!buffer) {
      buffer = this.upload(make());
      this.cached.set(source, buffer);
      this.collected.register(source, buffer);
    }
    return buffer;
  }

  /** @throws ArgumentError if the shape does not fit the data or the dtype is not stored here */
  tensor(
    data: ArrayLike<number>,
    shape: Shape,
    dtype: DType = data instanceof Uint32Array ? 'u32' : 'f32',
  ): GpuTensor {
    checkShape('tensor', shape, data.length);
    return new GpuTensor(this, this.upload(encode(data, dtype)), shape, dtype);
  }

  /** Fills a buffer with zeros, in the order of the queued work. */
  clear(buffer: GPUBuffer): void {
    const encoder = this.device.createCommandEncoder();
    encoder.clearBuffer(buffer);
    this.device.queue.submit([encoder.finish()]);
  }

  /** A tensor whose content a kernel will write. */
  empty(shape: Shape, dtype: DType): GpuTensor {
    return new GpuTensor(this, this.allocate(sizeOf(shape) * bytesPerElement(dtype)), shape, dtype);
  }

  /** Queues a copy of `bytes` bytes, a multiple of 4, to the start of another buffer. */
  copy(from: GPUBuffer, offset: number, to: GPUBuffer, bytes: number): void {
    if (bytes === 0) return;
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, offset, to, 0, bytes);
    this.device.queue.submit([encoder.finish()]);
  }

  /** What WebGPU says against reading a buffer; null if nothing. */
  async tryCopy(buffer: GPUBuffer): Promise<GPUError | null> {
    const target = this.allocate(4, COPY_DST);
    this.device.pushErrorScope('validation');
    try {
      this.copy(buffer, 0, target, 4);
    } finally {
      this.release(target);
    }
    return this.device.popErrorScope();
  }

  async read(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    this.check();
    if (bytes === 0) return new ArrayBuffer(0);
    const staging = this.allocate(bytes, MAP_READ | COPY_DST);
    try {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
      this.device.pushErrorScope('validation');
      this.device.queue.submit([encoder.finish()]);
      const scope = this.device.popErrorScope();
      await staging.mapAsync(1, 0, bytes);
      const error = await scope;
      this.check();
      if (error) throw failureOf(error);
      return staging.getMappedRange(0, bytes).slice(0);
    } catch (error) {
      throw await this.explain(error);
    } finally {
      this.release(staging);
    }
  }

  async finish(): Promise<void> {
    this.check();
    try {
      await this.device.queue.onSubmittedWorkDone();
    } catch (error) {
      throw await this.explain(error);
    }
    this.check();
  }

  /** Compiles a kernel, once per text. */
  pipeline(kernel: Kernel): Promise<GPUComputePipeline> {
    let pipeline = this.pipelines.get(kernel.code);
    if (!pipeline) {
      pipeline = this.compile(kernel);
      this.pipelines.set(kernel.code, pipeline);
      pipeline.catch(() => this.pipelines.delete(kernel.code));
    }
    return pipeline;
  }

  /**
   * Runs `groups` workgroups of a kernel. Returns when the work is queued; none is queued for 0 groups.
   * @param first index of the first workgroup, for long work that is queued in pieces
   */
  launch<B extends Bindings>(
    kernel: Kernel<B>,
    values: Arguments<B>,
    groups: number,
    first = 0,
  ): Promise<void> {
    if (groups === 0) return Promise.resolve();
    return this.launchTogether([{ kernel, values, groups, first }]);
  }

  /** Runs kernels one after the other in one submission: each sees what those before it wrote. */
  launchTogether(launches: readonly Launch[]): Promise<void> {
    return this.inFlight.during(() => this.queueLaunches(launches));
  }

  private async queueLaunches(launches: readonly Launch[]): Promise<void> {
    const pipelines = await Promise.all(launches.map(({ kernel }) => this.pipeline(kernel)));
    this.check();
    const most = this.limits.maxComputeWorkgroupsPerDimension;
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const [i, { kernel, values, groups, first = 0 }] of launches.entries()) {
      const buffers = Object.entries(kernel.bindings).map(([name, binding]) => {
        if (binding.kind === 'storage') return values[name] as GPUBuffer;
        const fields = {
          ...(values[name] as Record<string, number>),
          firstGroup: first,
          endGroup: first + groups,
        };
        const uniform = this.uniforms.of(packUniform(binding, fields));
        this.groups.own(uniform);
        return uniform;
      });
      pass.setPipeline(pipelines[i]);
      pass.setBindGroup(0, this.groups.of(pipelines[i], buffers));
      pass.dispatchWorkgroups(Math.min(groups, most), Math.ceil(groups / most));
    }
    pass.end();
    this.device.queue.submit([encoder.finish()]);
  }

  private async compile(kernel: Kernel): Promise<GPUComputePipeline> {
    const storage = Object.values(kernel.bindings).filter((binding) => binding.kind === 'storage').length;
    const most = this.limits.maxStorageBuffersPerShaderStage;
    if (storage > most) {
      throw new DeviceError(`the kernel ${kernel.name} reads and writes too many buffers`, {
        needs: `${storage} storage buffers, tables of expressions among them`,
        has: `${most}`,
      });
    }
    const entries = Object.values(kernel.bindings).map((binding, index) => ({
      binding: index,
      visibility: COMPUTE_STAGE,
      buffer: {
        type: (binding.kind === 'uniform'
          ? 'uniform'
          : binding.access === 'read'
            ? 'read-only-storage'
            : 'storage') as GPUBufferBindingType,
      },
    }));
    const module = this.device.createShaderModule({ code: kernel.code, label: kernel.name });
    const layout = this.device.createPipelineLayout({
      bindGroupLayouts: [this.device.createBindGroupLayout({ entries })],
    });
    try {
      return await this.device.createComputePipelineAsync({
        layout,
        compute: { module, entryPoint: 'main' },
        label: kernel.name,
      });
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const detail = messages.map((m) => `${m.lineNum}:${m.linePos} ${m.message}`).join('; ');
      throw await this.explain(
        new Error(`the kernel ${kernel.name} does not compile: ${error} ${detail}`, { cause: error }),
      );
    }
  }

  /** Turns what the browser or Dawn threw into a DeviceError that says whether the device is gone. */
  private async explain(error: unknown): Promise<unknown> {
    if (error instanceof DeviceError) return error;
    // the promise of the loss may settle after the one that the loss rejected
    await Promise.race([this.lost, new Promise((resolve) => setTimeout(resolve, 20))]);
    if (this.lostReason !== undefined) return lostError(this.lostReason, error);
    return new DeviceError(
      'WebGPU failed',
      { needs: 'work that succeeds', has: String(error) },
      { cause: error },
    );
  }
}

function lostError(reason: string, cause?: unknown): DeviceError {
  return new DeviceError(
    'the WebGPU device was lost; openDevice() gives a new one, and its tensors must be made again',
    { needs: 'a live device', has: `a device lost for the reason "${reason}"` },
    { cause },
  );
}

function failureOf(error: GPUError, shared = false): DeviceError {
  const memory = error.constructor.name === 'GPUOutOfMemoryError';
  return new DeviceError(
    memory
      ? 'the GPU is out of memory'
      : `WebGPU refused a command${shared ? ', ours or that of a library that shares the device' : ''}`,
    { needs: memory ? 'free GPU memory' : 'valid commands', has: error.message },
    { cause: error },
  );
}

function encode(data: ArrayLike<number>, dtype: DType): ArrayBufferView {
  switch (dtype) {
    case 'f32':
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case 'u32':
      return data instanceof Uint32Array ? data : Uint32Array.from(data);
    case 'f16':
      return toHalves(data);
    default:
      throw new ArgumentError('tensor', 'dtype', dtype, 'f32, f16 or u32 on WebGPU');
  }
}
