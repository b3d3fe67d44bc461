import { ArgumentError, type Device, DeviceError } from '@saccade/attention';

/** Where a command writes: results to `out`, everything else to `error`. Tests pass their own. */
export interface Console {
  out(text: string): void;
  error(text: string): void;
  /** Whether `error` is a terminal, where a progress line may overwrite itself. */
  readonly interactive: boolean;
}

export const processConsole: Console = {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  interactive: process.stderr.isTTY === true,
};

/** What every command's action receives beside its own arguments. */
export interface Context {
  console: Console;
  json: boolean;
  signal: AbortSignal;
}

export function printJson(context: Context, value: unknown): void {
  context.console.out(`${JSON.stringify(value, replaceNonFinite, 2)}\n`);
}

/** JSON has no NaN and no infinities; as words they survive. */
function replaceNonFinite(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

/** Lines with columns of equal width; the last column is left as it is. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]))).join('  '),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** One line that overwrites itself on a terminal; elsewhere a line for each new text. Silent under --json. */
export function progressLine(context: Context): (text: string) => void {
  let last = '';
  return (text) => {
    if (context.json || text === last) return;
    const { console } = context;
    if (console.interactive) console.error(`\r${text.padEnd(last.length)}${text === '' ? '\r' : ''}`);
    else if (text !== '') console.error(`${text}\n`);
    last = text;
  };
}

/**
 * Runs work on a device that is closed afterwards. A cancelled run ends at once, with the work still on the device:
 * a kernel that takes minutes has no place to look at the signal, and the process ends with it anyway.
 */
export async function onDevice<T>(device: Device, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  let stop = () => {};
  const cancelled = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop);
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work(), cancelled]);
  } finally {
    signal.removeEventListener('abort', stop);
    if (!signal.aborted) await device.close();
  }
}

/** 2 for what the caller can mend (arguments, files), 1 for what went wrong while running. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof ArgumentError ? 2 : 1;
}

/** Tells an error: in words, or as one JSON object on the error stream. */
export function reportError(context: Pick<Context, 'console' | 'json'>, error: unknown): void {
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
  const cancelled = name === 'AbortError';
  if (!context.json) {
    const said = cancelled ? 'cancelled; nothing was left half-written' : message.replace(/^saccade: /, '');
    context.console.error(`saccade: ${said}\n`);
    return;
  }
  const details =
    error instanceof ArgumentError
      ? { argument: error.argument, given: error.given, allowed: error.allowed }
      : error instanceof DeviceError
        ? { needs: error.needs, has: error.has }
        : {};
  context.console.error(
    `${JSON.stringify({ error: { name, message: cancelled ? 'cancelled' : message, ...details } })}\n`,
  );
}
