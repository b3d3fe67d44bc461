import { ArgumentError } from '../errors.ts';
import { fromHalves, toHalves } from './half.ts';

/** Element types read from and written to a file. bf16 is read only through its own name in the error. */
export type SafetensorsDType = 'F64' | 'F32' | 'F16';

/** One named tensor of a file; `data` is float32 whatever the file stores, except that F64 keeps its precision. */
export interface NamedTensor {
  dtype: SafetensorsDType;
  shape: readonly number[];
  data: Float32Array | Float64Array;
}

const bytesOf: Record<SafetensorsDType, number> = { F64: 8, F32: 4, F16: 2 };
const names = Object.keys(bytesOf).join(', ');

/** The format's own limit for the JSON header. */
const MAX_HEADER_BYTES = 100_000_000;

interface Entry {
  dtype: SafetensorsDType;
  shape: number[];
  begin: number;
  end: number;
}

/**
 * Reads a safetensors file: eight bytes of header length, a JSON header, then the tensors' bytes, little-endian.
 *
 * @param bytes the whole file
 * @returns its tensors by name, in the header's order; data is copied out of `bytes`
 * @throws ArgumentError if the file is cut off, its header is no header, a tensor has an unsupported type,
 *   or the offsets do not tile the data without gaps and overlaps
 * @see https://github.com/huggingface/safetensors for the format
 */
export function readSafetensors(bytes: Uint8Array): Map<string, NamedTensor> {
  const { entries, data } = readHeader(bytes);
  const tensors = new Map<string, NamedTensor>();
  for (const [name, { dtype, shape, begin, end }] of entries) {
    // A copy: the bytes may start at an odd offset, which typed arrays refuse.
    const raw = bytes.slice(data + begin, data + end);
    tensors.set(name, { dtype, shape, data: decode(dtype, raw) });
  }
  return tensors;
}

function decode(dtype: SafetensorsDType, raw: Uint8Array): Float32Array | Float64Array {
  const count = raw.byteLength / bytesOf[dtype];
  if (dtype === 'F64') return new Float64Array(raw.buffer, raw.byteOffset, count);
  if (dtype === 'F32') return new Float32Array(raw.buffer, raw.byteOffset, count);
  return fromHalves(new Uint16Array(raw.buffer, raw.byteOffset, count));
}

function readHeader(bytes: Uint8Array): { entries: Map<string, Entry>; data: number } {
  const fail = (argument: string, given: string, allowed: string) =>
    new ArgumentError('readSafetensors', argument, given, allowed);
  if (bytes.length < 8)
    throw fail('file', `${bytes.length} bytes long`, 'a safetensors file of at least 8 bytes');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    throw fail(
      'header length',
      `${length} bytes`,
      `at most ${MAX_HEADER_BYTES}; this is probably not a safetensors file`,
    );
  const headerBytes = Number(length);
  if (8 + headerBytes > bytes.length)
    throw fail(
      'file',
      `${bytes.length} bytes long`,
      `at least the ${8 + headerBytes} bytes that its header needs; is it cut off?`,
    );
  const header = parseHeader(bytes.subarray(8, 8 + headerBytes), fail);
  const data = 8 + headerBytes;
  const available = bytes.length - data;
  const entries = new Map<string, Entry>();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== '__metadata__') entries.set(name, checkEntry(name, entry, available, fail));
  }
  checkTiling(entries, available, fail);
  return { entries, data };
}

type Fail = (argument: string, given: string, allowed: string) => ArgumentError;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw fail('header', 'not JSON', 'a JSON object of tensors; this is probably not a safetensors file');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw fail('header', Array.isArray(header) ? 'a JSON array' : String(header), 'a JSON object of tensors');
  return header as Record<string, unknown>;
}

function checkEntry(name: string, entry: unknown, available: number, fail: Fail): Entry {
  if (typeof entry !== 'object' || entry === null)
    throw fail(`tensor ${name}`, JSON.stringify(entry), 'an object with dtype, shape and data_offsets');
  const { dtype, shape, data_offsets: offsets } = entry as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(bytesOf, dtype))
    throw fail(`dtype of ${name}`, JSON.stringify(dtype) ?? 'missing', names);
  if (!isCounts(shape))
    throw fail(`shape of ${name}`, JSON.stringify(shape) ?? 'missing', 'an array of whole numbers');
  if (!isCounts(offsets) || offsets.length !== 2)
    throw fail(
      `data_offsets of ${name}`,
      JSON.stringify(offsets) ?? 'missing',
      'two whole numbers, begin and end',
    );
  const [begin, end] = offsets;
  if (begin > end || end > available)
    throw fail(
      `data_offsets of ${name}`,
      `[${begin}, ${end}]`,
      `within the ${available} bytes after the header; is the file cut off?`,
    );
  const type = dtype as SafetensorsDType;
  const bytes = shape.reduce((product, size) => product * size, bytesOf[type]);
  if (end - begin !== bytes)
    throw fail(
      `tensor ${name}`,
      `${end - begin} bytes long`,
      `${bytes}, as shape [${shape.join(', ')}] of ${type} needs`,
    );
  return { dtype: type, shape, begin, end };
}

/** The format wants the tensors to cover the data exactly: a gap or an overlap means a damaged or forged file. */
function checkTiling(entries: Map<string, Entry>, available: number, fail: Fail): void {
  const sorted = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let cursor = 0;
  for (const [name, { begin, end }] of sorted) {
    if (begin !== cursor) {
      const what = begin < cursor ? 'inside another tensor' : 'after a gap';
      throw fail(
        `data_offsets of ${name}`,
        `[${begin}, ${end}], ${what}`,
        `a begin of ${cursor}, where the tensor before it ends`,
      );
    }
    cursor = end;
  }
  if (cursor !== available)
    throw fail('file', `${available} bytes after the header`, `${cursor}, where the last tensor ends`);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/**
 * Writes tensors as a safetensors file.
 *
 * @param tensors by name; the number of elements must be the product of the shape; F32 where dtype is not given
 * @param metadata strings for the header's `__metadata__`
 * @returns the bytes of the file; the data starts at a multiple of 8
 * @throws ArgumentError if a shape and its data disagree or a name is reserved
 */
export function writeSafetensors(
  tensors: ReadonlyMap<
    string,
    { dtype?: SafetensorsDType; shape: readonly number[]; data: ArrayLike<number> }
  >,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  const parts: Uint8Array[] = [];
  let cursor = 0;
  for (const [name, { dtype = 'F32', shape, data }] of tensors) {
    if (name === '__metadata__')
      throw new ArgumentError('writeSafetensors', 'name', name, 'any other name; this one is reserved');
    const elements = shape.reduce((product, size) => product * size, 1);
    if (!isCounts([...shape]) || elements !== data.length)
      throw new ArgumentError(
        'writeSafetensors',
        `shape of ${name}`,
        `[${shape.join(', ')}]`,
        `a product of ${data.length}, the number of its elements`,
      );
    const part = encode(dtype, data);
    header[name] = { dtype, shape: [...shape], data_offsets: [cursor, cursor + part.byteLength] };
    cursor += part.byteLength;
    parts.push(part);
  }
  let text = new TextEncoder().encode(JSON.stringify(header));
  // Spaces at the end of the header align the data, as other writers do.
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  text = padded;
  const file = new Uint8Array(8 + text.length + cursor);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  let offset = 8 + text.length;
  for (const part of parts) {
    file.set(part, offset);
    offset += part.byteLength;
  }
  return file;
}

function encode(dtype: SafetensorsDType, data: ArrayLike<number>): Uint8Array {
  const values =
    dtype === 'F64' ? Float64Array.from(data) : dtype === 'F32' ? Float32Array.from(data) : toHalves(data);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Position and value of the first number of `data` that is NaN or infinite; undefined when all are finite. */
export function firstNonFinite(data: ArrayLike<number>): { index: number; value: number } | undefined {
  for (let index = 0; index < data.length; index++) {
    if (!Number.isFinite(data[index])) return { index, value: data[index] };
  }
  return undefined;
}
