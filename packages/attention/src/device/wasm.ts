import { cacheKernelsOnHost } from '../cache/host.ts';
import { ArgumentError, DeviceError } from '../errors.ts';
import { selectionOnWasm } from '../select/wasm.ts';
import { WasmAttention } from '../softmax/tiers/wasm.ts';
import { WasmBackward } from '../softmax/tiers/wasm-backward.ts';
import { WasmExpressions } from '../softmax/tiers/wasm-expressions.ts';
import type { DType, Shape, Tensor } from '../tensor.ts';
import type { Device, Kernels } from './device.ts';
import { guarded } from './in-flight.ts';
import type { OpenOptions } from './open.ts';
import { WasmHeap } from './wasm-heap.ts';
import { hasRelaxedSimd, hasSimd, loadKernel } from './wasm-load.ts';
import { WasmPool } from './wasm-pool.ts';
import { instantiate } from './wasm-run.ts';
import { WasmRuntime } from './wasm-runtime.ts';
import { hostMemory, tensorFrom } from './wasm-tensor.ts';

const MOST_THREADS = 64;
/** Address space to reserve, in pages: 4 GiB, or less where a browser refuses. */
const reservations = [65536, 32768, 16384];

/**
 * Opens the WASM device: SIMD kernels on a pool of threads where shared memory is allowed (Node; pages that are
 * cross-origin isolated), else on the calling thread, which then lets other events in every few milliseconds.
 * @throws ArgumentError if options.threads is not an integer from 1 to 64; DeviceError without WebAssembly SIMD,
 *   without memory, or when the kernel file cannot be loaded
 */
export async function openWasm(options: OpenOptions = {}): Promise<Device> {
  const { threads = processors() } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS)
    throw new ArgumentError('openDevice', 'threads', threads, `an integer from 1 to ${MOST_THREADS}`);
  if (!hasSimd()) throw new DeviceError('no WASM device', { needs: 'WebAssembly with SIMD', has: 'none' });
  const shared = threads > 1 && mayShareMemory();
  const relaxed = hasRelaxedSimd();
  const module = await loadKernel(shared, relaxed);
  const heap = openHeap(shared);
  const start = { module, memory: heap.memory };
  const kernel = await instantiate(module, heap.memory);
  const pool = shared ? await WasmPool.open(threads, start) : undefined;
  const parts = { heap, start, kernel, pool, threads: shared ? threads : 1, relaxed };
  return new WasmDevice(parts, options.debug);
}

class WasmDevice implements Device {
  readonly kind = 'wasm';
  readonly tier = 'wasm';
  readonly description: string;
  readonly capabilities: Device['capabilities'];
  readonly lost = new Promise<string>(() => {});
  readonly kernels: Kernels;
  readonly debug: boolean;
  private readonly heap: WasmHeap;
  private readonly pool: WasmPool | undefined;
  private readonly runtime: WasmRuntime;

  constructor(parts: Omit<ConstructorParameters<typeof WasmRuntime>[0], 'device'>, debug = false) {
    this.debug = debug;
    const { heap, pool, threads, relaxed } = parts;
    this.heap = heap;
    this.pool = pool;
    this.description = `WASM ${relaxed ? 'relaxed SIMD' : 'SIMD'}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
    this.capabilities = {
      threads,
      relaxedSimd: relaxed,
      sharedMemory: heap.shared,
      memoryLimitBytes: heap.limitBytes,
    };
    this.runtime = new WasmRuntime({ ...parts, device: this });
    const expressions = new WasmExpressions(this.runtime);
    const attention = new WasmAttention(this.runtime, expressions);
    const backward = new WasmBackward(this.runtime, expressions);
    this.kernels = guarded(heap.inFlight, {
      attend: (request) => attention.attend(request),
      attendBackward: (request) => backward.attendBackward(request),
      merge: (request) => attention.merge(request),
      ...selectionOnWasm(this.runtime),
      cache: cacheKernelsOnHost(hostMemory(this.runtime)),
    });
  }

  get memory() {
    return { ...this.heap.usage };
  }

  tensor(data: ArrayLike<number>, shape: Shape, dtype?: DType): Tensor {
    return tensorFrom(this, this.heap, data, shape, dtype);
  }

  resetPeak(): void {
    this.heap.usage.peakBytes = this.heap.usage.currentBytes;
  }

  finish(): Promise<void> {
    return this.runtime.finish();
  }

  /** Waits for running work, then ends the threads. */
  async close(): Promise<void> {
    await this.runtime.finish();
    await this.pool?.close();
  }
}

function openHeap(shared: boolean): WasmHeap {
  let failure: unknown;
  for (const pages of reservations) {
    try {
      return new WasmHeap(shared, pages);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function processors(): number {
  const count =
    globalThis.process?.getBuiltinModule?.('node:os')?.availableParallelism() ??
    globalThis.navigator?.hardwareConcurrency ??
    1;
  return Math.max(1, Math.min(count, MOST_THREADS));
}

/** Pages may share memory only when they are cross-origin isolated; Node always may. */
function mayShareMemory(): boolean {
  return typeof SharedArrayBuffer === 'function' && globalThis.crossOriginIsolated !== false;
}
