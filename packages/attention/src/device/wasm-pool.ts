import { DeviceError } from '../errors.ts';
import type { Job, Start } from './wasm-run.ts';

/** A thread that answers each message with one. */
interface Thread {
  ask(message: Start | Job): Promise<void>;
  stop(): Promise<void>;
}

/** Threads over one shared memory. They keep the process alive only while they work. */
export class WasmPool {
  private readonly threads: readonly Thread[];

  private constructor(threads: readonly Thread[]) {
    this.threads = threads;
  }

  static async open(count: number, start: Start): Promise<WasmPool> {
    const threads = Array.from({ length: count }, openThread);
    const pool = new WasmPool(threads);
    try {
      await Promise.all(threads.map((thread) => thread.ask(start)));
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  /** Resolves when every thread has run out of tasks; with a failure only after all have stopped. */
  async run(jobs: readonly Job[]): Promise<void> {
    const ends = await Promise.allSettled(this.threads.map((thread, i) => thread.ask(jobs[i])));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.stop()));
  }
}

type Answer = string | { error: string };

function openThread(): Thread {
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const failed = (has: string) => new DeviceError('a WASM thread failed', { needs: 'a running thread', has });
  const answer = (message: Answer) => {
    if (typeof message === 'string') settle?.resolve();
    else settle?.reject(failed(message.error));
  };
  const asked = (send: () => void) =>
    new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
      send();
    });
  const threads = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  if (threads) {
    // Not written as one literal: a bundler for pages would copy the source file.
    const file = './wasm-worker.ts';
    // the parent's flags (--eval, --input-type) are not the thread's
    const worker = new threads.Worker(new URL(file, import.meta.url), { execArgv: [] });
    worker.on('message', answer);
    worker.on('error', (error) => settle?.reject(failed(String(error))));
    worker.on('exit', (status) => settle?.reject(failed(`the thread ended with ${status}`)));
    worker.unref();
    return {
      ask: async (message) => {
        worker.ref();
        try {
          await asked(() => worker.postMessage(message));
        } finally {
          worker.unref();
        }
      },
      stop: async () => {
        await worker.terminate();
      },
    };
  }
  const worker = new Worker(new URL('./wasm-worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = (event) => answer(event.data);
  worker.onerror = (event) => settle?.reject(failed(event.message || 'the worker script did not load'));
  return {
    ask: (message) => asked(() => worker.postMessage(message)),
    stop: async () => worker.terminate(),
  };
}
