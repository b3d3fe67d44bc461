import type { GpuTier } from '../device/device.ts';
import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { throwIfAborted } from '../errors.ts';
import type { Indices } from '../plan.ts';
import { type HostLists, transposeLists, unshareLists } from '../transpose.ts';
import {
  type BlockPlan,
  cutRounds,
  MOST_PARTIAL_BYTES,
  partRequest,
  type Rounds,
  sizesOf,
  tileLists,
} from './key-major.ts';
import type { AttendRequest, AttendResult } from './request.ts';
import type { Storage } from './tiers/access.ts';
import { fillTiles, gatherQueries, mergeTiles } from './tiers/portable-key-major.ts';
import { withOutputs } from './webgpu-output.ts';
import { prepareRequest } from './webgpu-request.ts';

/** The lists of a plan from both sides. */
interface TwoSides {
  rows: GPUBuffer; // u32 [lists, queryBlocks, 2]
  blocks: GPUBuffer;
  entries: number; // of blocks
  visited: Uint32Array; // [lists, keyBlocks, 2], on the host
  visitors: GPUBuffer;
  end(): void;
}

/**
 * attend() on WebGPU from the keys' side. How often each key block is visited decides the sizes of buffers: for lists
 * that a selection left on the device these counts, and nothing else, are read back.
 * @param attend runs a tile's attention: on any tier
 */
export async function attendKeyMajorOnGpu(
  gpu: Gpu,
  request: AttendRequest,
  attend: (request: AttendRequest) => Promise<AttendResult>,
  mostBytes = MOST_PARTIAL_BYTES,
): Promise<AttendResult> {
  const { batch, heads, queryTokens, valueDim, plan, signal } = request;
  const sides = await twoSides(gpu, request);
  try {
    const largestBuffer = gpu.limits.maxStorageBufferBindingSize;
    const rounds = cutRounds(request, sides.visited, { mostBytes, largestBuffer });
    const { options, plan: queryOrder, epilogue, shape: numbers } = prepareRequest(gpu, request);
    const { queryBlocks, queryBlock } = sizesOf(request);
    const shape = {
      heads,
      listBatches: plan.listBatches,
      listHeads: plan.listHeads,
      querySlots: plan.queries.slots,
      queryBlock,
      queryBlocks,
      queryTokens,
      tiles: rounds.tiles,
      visits: rounds.visits,
      epilogueScale: numbers.epilogueScale,
    };
    const merged = {
      valueDim,
      queryOrder: options.queryOrder,
      epilogueScale: 'none',
      epilogueAdd: 'none',
    } as const;
    const ofTier = { value: 'portable' as GpuTier };
    const result = await withOutputs(
      gpu,
      request,
      { outputStorage: 'f32' },
      'portable',
      async (output, logSumExp) => {
        if (output.shape.includes(0)) return;
        const otherSums = gpu.empty(logSumExp.shape, 'f32');
        try {
          for (const [round, words] of rounds.words.entries()) {
            throwIfAborted(signal);
            const last = round === rounds.words.length - 1;
            // the last round writes into the result
            const [before, after] =
              (rounds.words.length - round) % 2 === 1 ? [otherSums, logSumExp] : [logSumExp, otherSums];
            await withPart(
              gpu,
              { request, rounds, words, sides, queryOrder, shape },
              attend,
              async (part) => {
                ofTier.value = part.tier;
                const kernel = mergeTiles(
                  last
                    ? { ...merged, epilogueScale: options.epilogueScale, epilogueAdd: options.epilogueAdd }
                    : merged,
                );
                const elements = batch * heads * plan.queries.slots * Math.ceil(valueDim / 4);
                const values = {
                  parts: part.output,
                  partSums: part.logSumExp,
                  rows: sides.rows,
                  places: part.places,
                  plan: queryOrder,
                  output: output.storage,
                  sumsBefore: before.storage,
                  logSumExp: after.storage,
                  shape: { ...shape, elements, first: Number(round === 0) },
                  ...(last && epilogue),
                };
                await gpu.launch(kernel, values as never, Math.ceil(elements / 64));
              },
            );
            if (!last) await gpu.finish();
          }
        } finally {
          otherSums.discard();
        }
      },
    );
    return { ...result, tier: ofTier.value };
  } finally {
    sides.end();
  }
}

/** Partial results of the tiles of a round, while `use` queues work on them. */
async function withPart(
  gpu: Gpu,
  round: {
    request: AttendRequest;
    rounds: Rounds;
    words: Uint32Array;
    sides: TwoSides;
    queryOrder: GPUBuffer;
    shape: Record<string, number>;
  },
  attend: (request: AttendRequest) => Promise<AttendResult>,
  use: (part: { output: GPUBuffer; logSumExp: GPUBuffer; places: GPUBuffer; tier: GpuTier }) => Promise<void>,
): Promise<void> {
  const { request, rounds, words, sides, queryOrder } = round;
  const { batch, heads, headDim, plan } = request;
  const { listBatches, listHeads } = plan;
  const slots = rounds.tiles * rounds.rows;
  const made: GpuTensor[] = [];
  const keep = (tensor: GpuTensor) => {
    made.push(tensor);
    return tensor;
  };
  const places = gpu.allocate(4 * Math.max(sides.entries, 1));
  try {
    const lists = tileLists(words);
    const tiles = keep(gpu.tensor(words, [words.length]));
    const rows = keep(gpu.tensor(lists.rows, [listBatches, listHeads, rounds.tiles, 2]));
    const blocks = keep(gpu.tensor(lists.blocks, [lists.blocks.length]));
    const members = keep(gpu.empty([listBatches, listHeads, slots, 2], 'u32'));
    const dtype = request.query.dtype as Storage;
    const gathered = keep(gpu.empty([batch, heads, slots, headDim], dtype));
    const elements = Math.ceil((batch * heads * slots * headDim) / (dtype === 'f16' ? 2 : 1));
    const shape = { ...round.shape, elements, first: 0 };
    gpu.clear(places);
    const filled = {
      words: tiles.storage,
      visitors: sides.visitors,
      rows: sides.rows,
      blocks: sides.blocks,
      plan: queryOrder,
      members: members.storage,
      places,
      shape,
    };
    const fill = fillTiles({ queryOrder: plan.queries.order !== undefined });
    await gpu.launch(fill, filled as never, lists.blocks.length);
    const query = (request.query as GpuTensor).storage;
    const values = { query, members: members.storage, gathered: gathered.storage, shape };
    await gpu.launch(gatherQueries({ headDim, storage: dtype }), values as never, Math.ceil(elements / 64));
    const part = await attend(partRequest(request, rounds, { query: gathered, members, rows, blocks }));
    const [output, logSumExp] = [keep(part.output as GpuTensor), keep(part.logSumExp as GpuTensor)];
    await use({
      output: output.storage,
      logSumExp: logSumExp.storage,
      places,
      tier: part.tier as GpuTier,
    });
  } finally {
    gpu.release(places);
    for (const tensor of made) tensor.discard();
  }
}

async function twoSides(gpu: Gpu, request: AttendRequest): Promise<TwoSides> {
  const { keys, listBatches, listHeads } = request.plan as BlockPlan;
  const { keyBlocks, queryBlocks, lists } = sizesOf(request);
  const once = (indices: Uint32Array) => gpu.uploadOnce(indices, () => indices);
  if (keys.rows instanceof Uint32Array && keys.blocks instanceof Uint32Array) {
    const { own, other } = hostSides(request.plan as BlockPlan, keys.rows, keys.blocks, lists, keyBlocks);
    return {
      rows: once(own.rows),
      blocks: once(own.blocks),
      entries: own.blocks.length,
      visited: other.rows,
      visitors: once(other.blocks),
      end: () => {},
    };
  }
  const made: GpuTensor[] = [];
  const onDevice = (indices: Indices, shape: readonly number[]) => {
    if (!(indices instanceof Uint32Array)) return indices as GpuTensor;
    const tensor = gpu.tensor(indices, shape);
    made.push(tensor);
    return tensor;
  };
  const rows = onDevice(keys.rows, [listBatches, listHeads, queryBlocks, 2]);
  const blocks = onDevice(keys.blocks, [(keys.blocks as Uint32Array).length]);
  const given = { rows, blocks, listBatches, listHeads };
  const inverse = await gpu.owner.kernels.invertLists({ lists: given, columns: keyBlocks });
  made.push(inverse.rows as GpuTensor, inverse.blocks as GpuTensor);
  return {
    rows: rows.storage,
    blocks: blocks.storage,
    entries: blocks.shape.reduce((size, length) => size * length, 1),
    visited: (await inverse.rows.read()) as Uint32Array,
    visitors: (inverse.blocks as GpuTensor).storage,
    end: () => {
      for (const tensor of made) tensor.discard();
    },
  };
}

const known = new WeakMap<BlockPlan, { own: HostLists; other: HostLists }>();

/** Lists on the host from both sides, as long as their plan lives. */
function hostSides(
  plan: BlockPlan,
  rows: Uint32Array,
  blocks: Uint32Array,
  lists: number,
  columns: number,
): { own: HostLists; other: HostLists } {
  let sides = known.get(plan);
  if (!sides) {
    const own = unshareLists({ rows, blocks });
    sides = { own, other: transposeLists(own, { lists, columns }) };
    known.set(plan, sides);
  }
  return sides;
}
