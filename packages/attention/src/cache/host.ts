import { type NumberArray, sizeOf, type Tensor } from '../tensor.ts';
import type { BlockBoundsRequest, CacheKernels, CopyTokensRequest, SummarizeRequest } from './request.ts';

/** How a device whose memory the host can reach shows the numbers of its tensors. */
export interface HostMemory {
  empty: CacheKernels['empty'];
  /** The elements as they are stored (halves as 16-bit words): writing changes the tensor. */
  stored(tensor: Tensor): NumberArray | Uint16Array;
  /** `count` elements from `first` on as numbers, to be read; default: all. */
  numbers(tensor: Tensor, first?: number, count?: number): ArrayLike<number>;
  /** Resolves when nothing that runs on other threads reads or writes tensors any more. */
  settled(): Promise<void>;
}

/** The kernels of a cache in plain loops over host memory, sums in float64. */
export function cacheKernelsOnHost(memory: HostMemory): CacheKernels {
  return {
    empty: memory.empty,
    copyTokens: async (requests) => {
      await memory.settled();
      for (const request of requests) copyTokens(memory, request);
    },
    summarize: async (request) => {
      await memory.settled();
      summarize(memory, request);
    },
    blockBounds: async (request) => {
      await memory.settled();
      return blockBounds(memory, request);
    },
  };
}

function copyTokens(memory: HostMemory, { source, target, first, count, tokens }: CopyTokensRequest): void {
  const [batch, heads, sourceTokens, channels] = source.shape;
  const targetTokens = target.shape[2];
  const [from, to] = [memory.stored(source), memory.stored(target)];
  const chosen = tokens && memory.numbers(tokens);
  for (let head = 0; head < batch * heads; head++) {
    const [sourceRow, targetRow] = [head * sourceTokens, head * targetTokens + first];
    if (!chosen) {
      to.set(from.subarray(sourceRow * channels, (sourceRow + count) * channels), targetRow * channels);
      continue;
    }
    for (let i = 0; i < count; i++) {
      const row = sourceRow + Math.min(chosen[head * count + i], sourceTokens - 1);
      to.set(from.subarray(row * channels, (row + 1) * channels), (targetRow + i) * channels);
    }
  }
}

function summarize(memory: HostMemory, request: SummarizeRequest): void {
  const { key, length, block, firstBlock, endBlock, summaries } = request;
  const [batch, heads, capacity, headDim] = key.shape;
  const blocks = summaries.mean.shape[2];
  const [mean, minimum, maximum] = [summaries.mean, summaries.minimum, summaries.maximum].map((tensor) =>
    memory.stored(tensor),
  );
  const start = firstBlock * block;
  const changed = Math.min(endBlock * block, length) - start;
  for (let head = 0; head < batch * heads; head++) {
    const keys = memory.numbers(key, (head * capacity + start) * headDim, changed * headDim);
    for (let b = firstBlock; b < endBlock; b++) {
      const end = Math.min((b + 1) * block, length);
      for (let d = 0; d < headDim; d++) {
        let [sum, least, most] = [0, Infinity, -Infinity];
        for (let token = b * block; token < end; token++) {
          const number = keys[(token - start) * headDim + d];
          sum += number;
          least = Math.min(least, number);
          most = Math.max(most, number);
        }
        const at = (head * blocks + b) * headDim + d;
        mean[at] = sum / Math.max(end - b * block, 1);
        minimum[at] = least;
        maximum[at] = most;
      }
    }
  }
}

function blockBounds(
  memory: HostMemory,
  { query, summaries, filled, scale, heads: mode }: BlockBoundsRequest,
) {
  const [batch, heads, queryTokens, headDim] = query.shape;
  const [, keyHeads, blocks] = summaries.minimum.shape;
  const group = heads / keyHeads;
  const summed = mode === 'group' ? group : 1;
  const bounds = memory.empty([batch, heads / summed, queryTokens, blocks], 'f32');
  const [q, minimum, maximum] = [query, summaries.minimum, summaries.maximum].map((tensor) =>
    memory.numbers(tensor),
  );
  const out = memory.stored(bounds);
  for (let at = 0; at < sizeOf(bounds.shape); at++) {
    const block = at % blocks;
    const token = Math.floor(at / blocks) % queryTokens;
    const firstHead = Math.floor(at / blocks / queryTokens) * summed;
    const keyHead = Math.floor(firstHead / group);
    let sum = 0;
    for (let head = firstHead; head < firstHead + summed; head++) {
      for (let d = 0; d < headDim; d++) {
        const number = scale * q[(head * queryTokens + token) * headDim + d];
        const key = (keyHead * blocks + block) * headDim + d;
        sum += Math.max(number * minimum[key], number * maximum[key]);
      }
    }
    out[at] = block < filled ? sum : -Infinity;
  }
  return bounds;
}
