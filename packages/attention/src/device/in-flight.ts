/**
 * Which operations are under way, and what must wait for them. An operation is given tensors at once but queues its
 * work later, when its kernel is compiled: memory that is freed in between must not be handed to someone else.
 */
export class InFlight {
  private started = 0;
  private readonly running = new Set<number>();
  private waiting: { lastStarted: number; act: () => void }[] = [];

  /** Runs an operation; what is freed while it runs waits for its end. */
  async during<T>(operation: () => Promise<T>): Promise<T> {
    this.started++;
    const id = this.started;
    this.running.add(id);
    try {
      return await operation();
    } finally {
      this.running.delete(id);
      this.settle();
    }
  }

  /** Calls `act` once every operation that has begun by now is over; at once if there is none. */
  afterThese(act: () => void): void {
    if (this.running.size === 0) act();
    else this.waiting.push({ lastStarted: this.started, act });
  }

  private settle(): void {
    // insertion order is the order of starting: the first is the oldest
    const [oldest = Number.POSITIVE_INFINITY] = this.running;
    const due = this.waiting.filter(({ lastStarted }) => lastStarted < oldest);
    this.waiting = this.waiting.filter(({ lastStarted }) => lastStarted >= oldest);
    for (const { act } of due) act();
  }
}

/** The same kernels, each an operation that tensors disposed of in the meantime wait for. Records of kernels may nest. */
export function guarded<Kernels extends object>(inFlight: InFlight, kernels: Kernels): Kernels {
  const entries = Object.entries(kernels).map(([name, kernel]) => {
    if (typeof kernel !== 'function') return [name, guarded(inFlight, kernel)];
    const operation = (...inputs: unknown[]) => {
      // until it first waits nobody else runs: what does not wait at all needs no guard
      const result: unknown = kernel(...inputs);
      return result instanceof Promise ? inFlight.during(() => result) : result;
    };
    return [name, operation];
  });
  return Object.fromEntries(entries) as Kernels;
}
