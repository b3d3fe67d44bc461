import type { Gpu, GpuTensor } from '../device/gpu.ts';
import type { Table, Traced } from '../mods/expression.ts';
import { compileToWgsl } from '../mods/to-wgsl.ts';
import { sizeOf } from '../tensor.ts';
import { read, type StorageBinding } from '../wgsl/bindings.ts';
import { readNumber, type Storage } from './tiers/access.ts';

/** Mask and score as WGSL, with the stages and buffers that they read tables through. */
export interface GpuExpressions {
  keep: string | undefined;
  change: string | undefined;
  stages: string[];
  bindings: Record<string, StorageBinding>;
  buffers: Record<string, GPUBuffer>;
  /** Another expression over the same tables, as the WGSL function `name`. */
  compile(name: string, traced: Traced): string;
}

type HostArray = Float32Array | Int32Array;

/**
 * Compiles the expressions of a call. Host tables are uploaded once and kept as long as the arrays live, all tables of
 * a call in one buffer (a kernel may bind few); tensors are bound where they are.
 */
export function bindExpressions(
  gpu: Gpu,
  mask: Traced | undefined,
  score: Traced | undefined,
): GpuExpressions {
  const tables = [...new Set([...(mask?.tables ?? []), ...(score?.tables ?? [])])];
  const host = tables.filter((table) => isHost(table.data));
  const starts = new Map<Table, number>();
  let words = 0;
  for (const table of host) {
    starts.set(table, words);
    words += (table.data as HostArray).length;
  }
  const result: GpuExpressions = {
    keep: undefined,
    change: undefined,
    stages: [],
    bindings: {},
    buffers: {},
    compile: (name, traced) => compileToWgsl(name, traced, readTable),
  };
  if (host.length > 0) {
    result.bindings.tables = read('u32');
    result.buffers.tables = uploadTables(
      gpu,
      host.map(({ data }) => data as HostArray),
    );
  }
  const names = new Map<Table, string>();
  for (const table of tables) {
    if (isHost(table.data)) continue;
    const name = `table${names.size}`;
    const { storage, dtype } = table.data as GpuTensor;
    names.set(table, name);
    result.bindings[name] = read(dtype === 'f32' ? 'f32' : 'u32');
    result.buffers[name] = storage;
    if (dtype !== 'u32') result.stages.push(readNumber(name, dtype as Storage));
  }
  const readTable = (table: Table, index: string) => {
    const place = `u32(clamp(${index}, 0, ${Math.max(sizeOf(table.shape) - 1, 0)}))`;
    const name = names.get(table);
    if (name !== undefined)
      return table.type === 'i32' ? `bitcast<i32>(${name}[${place}])` : `${name}Number(${place})`;
    return `bitcast<${table.type}>(tables[${starts.get(table)}u + ${place}])`;
  };
  result.keep = mask && result.compile('keep', mask);
  result.change = score && result.compile('change', score);
  return result;
}

function isHost(data: Table['data']): data is HostArray {
  return data instanceof Float32Array || data instanceof Int32Array;
}

/** Buffers of several tables together, found by their first table and compared by the others. */
const together = new WeakMap<HostArray, { rest: WeakRef<HostArray>[]; key: object }[]>();

function uploadTables(gpu: Gpu, arrays: readonly HostArray[]): GPUBuffer {
  const [first, ...rest] = arrays;
  if (rest.length === 0) return gpu.uploadOnce(first, () => first);
  const known = together.get(first) ?? [];
  together.set(first, known);
  let entry = known.find(
    (each) => each.rest.length === rest.length && each.rest.every((array, i) => array.deref() === rest[i]),
  );
  if (!entry) {
    entry = { rest: rest.map((array) => new WeakRef(array)), key: {} };
    known.push(entry);
  }
  return gpu.uploadOnce(entry.key, () => {
    const words = new Uint32Array(arrays.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const array of arrays) {
      words.set(new Uint32Array(array.buffer, array.byteOffset, array.length), at);
      at += array.length;
    }
    return words;
  });
}
