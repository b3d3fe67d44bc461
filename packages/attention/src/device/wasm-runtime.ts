import { throwIfAborted } from '../errors.ts';
import type { Device } from './device.ts';
import type { WasmHeap } from './wasm-heap.ts';
import type { WasmPool } from './wasm-pool.ts';
import { type Entry, type Job, type KernelExports, runner, type Start } from './wasm-run.ts';

/** Longest stretch that the calling thread computes without letting other work in. */
const STRETCH_MS = 12;

export interface WasmCall {
  entry: Entry;
  /** Address of the call's description; its first word counts tasks, its second is their number. */
  params: number;
  headDim: number;
  valueDim: number;
  expression: Job['expression'];
  signal: AbortSignal | undefined;
}

/** What the kernels of the WASM device stand on: its memory, and a way to run described calls on its threads. */
export class WasmRuntime {
  readonly device: Device;
  readonly heap: WasmHeap;
  readonly shared: boolean;
  readonly relaxed: boolean;
  private readonly pool: WasmPool | undefined;
  readonly threads: number;
  private readonly kernel: KernelExports;
  private readonly here: ReturnType<typeof runner>;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(parts: {
    device: Device;
    heap: WasmHeap;
    start: Start;
    kernel: KernelExports;
    pool: WasmPool | undefined;
    threads: number;
    relaxed: boolean;
  }) {
    this.device = parts.device;
    this.heap = parts.heap;
    this.shared = parts.heap.shared;
    this.relaxed = parts.relaxed;
    this.pool = parts.pool;
    this.threads = parts.threads;
    this.kernel = parts.kernel;
    this.here = runner(parts.start);
  }

  /** Runs after all earlier calls; frees what it allocates. @throws the signal's reason soon after it is aborted */
  run(call: WasmCall): Promise<void> {
    const ended = this.queue.then(() => this.runNow(call));
    this.queue = ended.catch(() => {});
    return ended;
  }

  async finish(): Promise<void> {
    await this.queue;
  }

  private async runNow(call: WasmCall): Promise<void> {
    const { entry, params, headDim, valueDim, expression, signal } = call;
    throwIfAborted(signal);
    const { scratchBytes, backwardScratchBytes } = this.kernel;
    const bytes = (entry === 'attend' ? scratchBytes : backwardScratchBytes)(headDim, valueDim);
    const scratch: number[] = [];
    try {
      for (let i = 0; i < this.threads; i++) scratch.push(this.heap.allocate(bytes));
      const jobs = scratch.map((at): Job => ({ entry, params, scratch: at, expression }));
      if (this.pool) await this.runOnPool(this.pool, jobs, call);
      else await this.runHere(jobs[0], signal);
    } finally {
      for (const at of scratch) this.heap.release(at);
    }
  }

  private async runOnPool(pool: WasmPool, jobs: Job[], { params, signal }: WasmCall): Promise<void> {
    // An exhausted counter stops every thread after the task at hand.
    const stop = () => Atomics.store(this.heap.i32(params, 1), 0, this.heap.i32(params, 2)[1]);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await pool.run(jobs);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
    throwIfAborted(signal);
  }

  private async runHere(job: Job, signal: AbortSignal | undefined): Promise<void> {
    const run = await this.here(job);
    let tasks = 1;
    for (;;) {
      const begin = performance.now();
      if (!run(job.params, job.scratch, tasks)) return;
      const spent = Math.max(performance.now() - begin, 0.01);
      tasks = Math.max(1, Math.min(tasks * 2, Math.floor((tasks * STRETCH_MS) / spent)));
      await pause();
      throwIfAborted(signal);
    }
  }
}

/** Lets events in. Not setTimeout: browsers make it wait four milliseconds. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}
