/** A caller's argument cannot be used. Thrown before anything is launched or written. */
export class ArgumentError extends Error {
  override readonly name = 'ArgumentError';
  readonly argument: string;
  readonly given: string;
  readonly allowed: string;

  /**
   * @param where the public function, as the caller wrote it
   * @param argument the argument's name
   * @param given what came, in words a reader can search for (a shape, a value)
   * @param allowed what would have been accepted
   */
  constructor(where: string, argument: string, given: unknown, allowed: string) {
    const text = typeof given === 'string' ? given : describe(given);
    super(`${where}: ${argument} is ${text}; allowed: ${allowed}`);
    this.argument = argument;
    this.given = text;
    this.allowed = allowed;
  }
}

/** The machine cannot do it: no adapter, no memory, a missing feature, a lost device. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly needs: string;
  readonly has: string;

  constructor(message: string, detail: { needs: string; has: string }, options?: ErrorOptions) {
    super(`${message}; needs: ${detail.needs}; this machine: ${detail.has}`, options);
    this.needs = detail.needs;
    this.has = detail.has;
  }
}

/** Our own mistake, not the caller's. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Saccade has a bug: ${message}`);
}

/** Stops long work between two launches. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason ?? new DOMException('cancelled', 'AbortError');
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `[${value.join(', ')}]`;
  if (typeof value === 'object' && value !== null) return JSON.stringify(value);
  return String(value);
}
