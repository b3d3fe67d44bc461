import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { blockListPlan, type Plan } from '../plan.ts';
import { bandPlan, gatheredKeysPlan, intervalPlan, prefixPlan } from '../plans.ts';
import { type AttendOptions, checkAttend } from '../softmax/attend.ts';
import type { AttendRequest } from '../softmax/request.ts';
import type { Storage } from '../softmax/tiers/access.ts';
import { type Shape, sizeOf } from '../tensor.ts';
import { blockOf, type TunedMask } from './masks.ts';

export interface ProblemSize {
  mask: TunedMask;
  dtype: Storage;
  headDim: number;
  batchHeads: number;
  queryTokens: number;
  keyTokens: number;
}

/** A call to time or to check, on random numbers. */
export interface Problem {
  request: AttendRequest;
  dispose(): void;
}

const QUERY_BLOCK = 64;

export function makeProblem(gpu: Gpu, size: ProblemSize): Problem {
  const { mask, batchHeads, queryTokens, keyTokens, headDim, dtype } = size;
  const keys = [1, batchHeads, keyTokens, headDim];
  const tensors = [
    randomTensor(gpu, 1, [1, batchHeads, queryTokens, headDim], dtype),
    randomTensor(gpu, 2, keys, dtype),
    randomTensor(gpu, 3, keys, dtype),
  ] as const;
  const request = checkAttend(...tensors, optionsOf(mask, queryTokens, keyTokens));
  return {
    request,
    dispose: () => {
      for (const tensor of tensors) tensor.dispose();
    },
  };
}

/** An odd size whose kernel has the same text as that of larger ones: whole key blocks, a tail of queries. */
export function oddSize(size: Omit<ProblemSize, 'batchHeads' | 'queryTokens' | 'keyTokens'>): ProblemSize {
  const block = blockOf(size.mask);
  return {
    ...size,
    batchHeads: 3,
    queryTokens: block > 1 ? 2 * block + Math.ceil(block / 3) : 131,
    keyTokens: block > 1 ? 3 * block : 149,
  };
}

/** The options of attend() for a mask. */
export function optionsOf(mask: TunedMask, queryTokens: number, keyTokens: number): AttendOptions {
  const [name, masked] = mask.split('+');
  if (name === 'causal') return { causal: true };
  // hides a pair of five in all blocks that are not marked full
  const keep = masked === undefined ? undefined : HIDE_SOME;
  if (name === 'dense') return { mask: keep };
  return { plan: { ...planOf(name, queryTokens, keyTokens), ...(keep && { keep }) } };
}

const HIDE_SOME: NonNullable<AttendOptions['mask']> = ({ query, key }) => query.add(key).mod(5).lt(4);

function planOf(name: string, queryTokens: number, keyTokens: number): Plan {
  const block = blockOf(name);
  const spec = {
    name,
    queryTokens,
    keyTokens,
    queries: { slots: queryTokens, block: block > 1 ? block : QUERY_BLOCK },
  };
  const rows = Math.ceil(queryTokens / spec.queries.block);
  /** An eighth of `count` things, at least one, spread evenly, others in each row. */
  const some = (row: number, count: number) => {
    const each = Math.max(1, Math.floor(count / 8));
    const step = Math.floor(count / each);
    return Array.from({ length: each }, (_, i) => (row + i * step) % count);
  };
  const list = <T>(make: (row: number) => T) => Array.from({ length: rows }, (_, row) => make(row));
  switch (name) {
    case 'gathered': {
      const lists = list((row) => some(row * 7, keyTokens));
      const starts = list((row) => [row * lists[0].length, lists[row].length]);
      const positions = { rows: Uint32Array.from(starts.flat()), blocks: Uint32Array.from(lists.flat()) };
      return gatheredKeysPlan({ ...spec, positions });
    }
    case 'band':
      return bandPlan({ ...spec, before: Math.ceil(keyTokens / 8), block: QUERY_BLOCK });
    case 'ranges': {
      const order = Uint32Array.from({ length: keyTokens }, (_, i) => keyTokens - 1 - i);
      return prefixPlan({ ...spec, order, counts: list((row) => Math.ceil(keyTokens / (2 + (row % 3)))) });
    }
    case 'intervals': {
      const run = Math.max(1, Math.floor(keyTokens / 16));
      const intervals = list((row) =>
        [0, 8 * run].map((start) => ({ start: start + (row % 7) * run, count: run, full: true })),
      );
      return intervalPlan({ ...spec, keys: { slots: keyTokens, block: 1 }, intervals });
    }
    case 'boxes': {
      const extent = Math.min(keyTokens, 2 * QUERY_BLOCK);
      const boxes = list((row) => [0, 0, row * QUERY_BLOCK - Math.floor(extent / 4), 1, 1, extent]);
      return {
        ...spec,
        keys: {
          kind: 'boxes',
          grid: [1, 1, keyTokens],
          step: [1, 1, 1],
          boxes: Int32Array.from(boxes.flat()),
          outside: 'skip',
        },
        listBatches: 1,
        listHeads: 1,
      };
    }
    default: {
      const lists = list((row) =>
        some(row, Math.ceil(keyTokens / block)).map((at, i) => ({ block: at, full: i % 8 !== 0 })),
      );
      return blockListPlan({ ...spec, keys: { slots: keyTokens, block }, lists });
    }
  }
}

/** Random numbers are made once for so many bytes and repeated on the device. */
const PIECE_NUMBERS = 2 ** 16;

function randomTensor(gpu: Gpu, seed: number, shape: Shape, dtype: Storage): GpuTensor {
  const size = sizeOf(shape);
  let state = seed * 0x9e3779b9;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
  const numbers = Float32Array.from({ length: Math.min(size, PIECE_NUMBERS) }, next);
  if (size <= PIECE_NUMBERS) return gpu.tensor(numbers, shape, dtype);
  const piece = gpu.tensor(numbers, [numbers.length], dtype);
  const tensor = gpu.empty(shape, dtype);
  const encoder = gpu.device.createCommandEncoder();
  const { size: bytes } = piece.storage;
  for (let at = 0; at < tensor.storage.size; at += bytes)
    encoder.copyBufferToBuffer(
      piece.storage,
      0,
      tensor.storage,
      at,
      Math.min(bytes, tensor.storage.size - at),
    );
  gpu.device.queue.submit([encoder.finish()]);
  piece.dispose();
  return tensor;
}
