import { DeviceError } from '../errors.ts';
import { InFlight } from './in-flight.ts';

const PAGE = 65536;
/** The first bytes hold nothing, so that 0 can mean "none". */
const FIRST = 1024;
const ALIGNMENT = 64;

interface Free {
  at: number;
  bytes: number;
}

/** First-fit allocation in one WebAssembly memory that grows to its limit. Free neighbours join. */
export class WasmHeap {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly limitBytes: number;
  readonly usage = { currentBytes: 0, peakBytes: 0 };
  /** Operations that were given tensors and are not over. */
  readonly inFlight = new InFlight();
  private end = FIRST;
  private readonly free: Free[] = []; // by address
  private readonly sizes = new Map<number, number>();

  constructor(shared: boolean, maximumPages: number) {
    this.shared = shared;
    this.limitBytes = maximumPages * PAGE;
    this.memory = reserve(shared, maximumPages);
  }

  /** Address of `bytes` bytes, a multiple of 64. @throws DeviceError when the memory cannot grow so far */
  allocate(bytes: number): number {
    const size = Math.max(Math.ceil(bytes / ALIGNMENT) * ALIGNMENT, ALIGNMENT);
    const at = this.take(size);
    this.sizes.set(at, size);
    this.usage.currentBytes += size;
    this.usage.peakBytes = Math.max(this.usage.peakBytes, this.usage.currentBytes);
    return at;
  }

  release(at: number): void {
    const bytes = this.sizes.get(at);
    if (bytes === undefined) return;
    this.sizes.delete(at);
    this.usage.currentBytes -= bytes;
    let index = this.free.findIndex((hole) => hole.at > at);
    if (index < 0) index = this.free.length;
    this.free.splice(index, 0, { at, bytes });
    this.join(index);
    this.join(index - 1);
    const last = this.free.at(-1);
    if (last && last.at + last.bytes === this.end) {
      this.end = last.at;
      this.free.pop();
    }
  }

  f32(at: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, length);
  }

  i32(at: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, at, length);
  }

  u32(at: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, at, length);
  }

  u16(at: number, length: number): Uint16Array {
    return new Uint16Array(this.memory.buffer, at, length);
  }

  private take(size: number): number {
    const index = this.free.findIndex((hole) => hole.bytes >= size);
    if (index >= 0) {
      const hole = this.free[index];
      const { at } = hole;
      hole.at += size;
      hole.bytes -= size;
      if (hole.bytes === 0) this.free.splice(index, 1);
      return at;
    }
    const at = this.end;
    this.growTo(at + size, size);
    this.end = at + size;
    return at;
  }

  private growTo(end: number, asked: number): void {
    const have = this.memory.buffer.byteLength;
    if (end <= have) return;
    const fail = (cause?: unknown) => {
      throw new DeviceError(
        'out of WASM memory',
        {
          needs: `${asked} more bytes beside ${this.usage.currentBytes} in use`,
          has: `a limit of ${this.limitBytes} bytes, of which ${have} could be had`,
        },
        { cause },
      );
    };
    if (end > this.limitBytes) fail();
    // A quarter more than asked for, where that fits: growing is slow in some browsers.
    const exact = Math.ceil((end - have) / PAGE);
    const roomy = Math.min(exact + Math.floor(have / PAGE / 4), Math.floor((this.limitBytes - have) / PAGE));
    try {
      this.memory.grow(Math.max(exact, roomy));
    } catch {
      try {
        this.memory.grow(exact);
      } catch (cause) {
        fail(cause);
      }
    }
  }

  private join(index: number): void {
    const hole = this.free[index];
    const next = this.free[index + 1];
    if (hole && next && hole.at + hole.bytes === next.at) {
      hole.bytes += next.bytes;
      this.free.splice(index + 1, 1);
    }
  }
}

function reserve(shared: boolean, maximum: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory(shared ? { initial: 16, maximum, shared } : { initial: 16, maximum });
  } catch (cause) {
    throw new DeviceError(
      'WASM memory cannot be reserved',
      { needs: `${maximum * PAGE} bytes of address space`, has: 'less' },
      { cause },
    );
  }
}
