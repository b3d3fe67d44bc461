/** What a pool needs of a buffer. */
interface Pooled {
  readonly size: number;
  readonly usage: number;
  destroy(): void;
}

/**
 * Released buffers that wait for the next allocation of their size: a driver takes up to a millisecond for a large one.
 * Holds at most `mostBytes`; those that have waited longest make room, so that sizes of the past do not stay.
 */
export class BufferPool<B extends Pooled> {
  private readonly waiting = new Map<string, B[]>();
  /** All of them, in the order in which they came. */
  private readonly order = new Set<B>();
  private bytes = 0;
  private readonly mostBytes: number;

  constructor(mostBytes: number) {
    this.mostBytes = mostBytes;
  }

  /** Keeps a buffer, or destroys it if it is too large. */
  put(buffer: B): void {
    if (buffer.size > this.mostBytes) {
      buffer.destroy();
      return;
    }
    for (const oldest of this.order) {
      if (this.bytes + buffer.size <= this.mostBytes) break;
      // the longest waiting of all is also that of its size
      this.waiting.get(nameOf(oldest))?.shift();
      this.forget(oldest);
      oldest.destroy();
    }
    const same = this.waiting.get(nameOf(buffer));
    if (same) same.push(buffer);
    else this.waiting.set(nameOf(buffer), [buffer]);
    this.order.add(buffer);
    this.bytes += buffer.size;
  }

  /** A buffer of exactly this size and usage, if one waits. */
  take(size: number, usage: number): B | undefined {
    const buffer = this.waiting.get(nameOf({ size, usage }))?.pop();
    if (buffer) this.forget(buffer);
    return buffer;
  }

  clear(): void {
    for (const buffer of this.order) buffer.destroy();
    this.waiting.clear();
    this.order.clear();
    this.bytes = 0;
  }

  private forget(buffer: B): void {
    this.order.delete(buffer);
    this.bytes -= buffer.size;
  }
}

const nameOf = ({ size, usage }: Pick<Pooled, 'size' | 'usage'>) => `${usage} ${size}`;
