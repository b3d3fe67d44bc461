import type { Gpu } from '../device/gpu.ts';
import { throwIfAborted } from '../errors.ts';
import { lazily } from '../lazy.ts';
import type { AttendRequest, AttendResult } from './request.ts';
import type { DecodeOptions } from './tiers/decode.ts';
import { chooseDecodeTile, MOST_DECODE_CHANNELS } from './tiers/decode-tile.ts';
import { groupsPerSubmission, withOutputs } from './webgpu-output.ts';
import { meanKeyCount, mostKeys } from './webgpu-plan.ts';
import { prepareRequest, tilesOfBlock } from './webgpu-request.ts';

/** A page that never decodes does not load these kernels. */
const decodeKernels = lazily(() =>
  Promise.all([import('./tiers/decode.ts'), import('./tiers/decode-merge.ts')]),
);

/** Query rows that share keys, up to which a tiled kernel would idle most of its threads. */
const MOST_ROWS = 16;
/** Keys from which a second kernel that joins the splits pays. */
const LEAST_KEYS = 256;
/** Workgroups that keep a device busy: eight for each of some 130 multiprocessors; a few for the cores of a processor. */
const BUSY_GROUPS = { hardware: 1056, software: 8 };
/** Workgroups that splits make, where keys are enough: with about four rounds of them the last, not full, costs little. */
const SPLIT_GROUPS = { hardware: 4096, software: 8 };

/**
 * Whether a call has many keys and few query rows: few in all, or few to share keys and so few workgroups of them that
 * a tiled kernel would leave the device idle.
 */
export function decodes(gpu: Gpu, request: AttendRequest): boolean {
  const { batch, heads, headDim, valueDim, plan } = request;
  const queries = Math.min(plan.queries.block, plan.queries.slots);
  const rows = queries * sharedHeads(request);
  const blocks = Math.ceil(plan.queries.slots / plan.queries.block);
  return (
    (request.tier ?? 'portable') === 'portable' &&
    rows > 0 &&
    rows <= MOST_ROWS &&
    Math.max(headDim, valueDim) <= MOST_DECODE_CHANNELS &&
    (blocks === 1 || batch * heads * blocks < BUSY_GROUPS[gpu.software ? 'software' : 'hardware']) &&
    mostKeys(plan) >= LEAST_KEYS
  );
}

/**
 * Decoding on WebGPU: the keys of each row are split over workgroups, a second kernel joins the splits.
 * @param split key slots of a workgroup, for measuring; default: by the size of the device
 */
export async function decodeOnGpu(gpu: Gpu, request: AttendRequest, split?: number): Promise<AttendResult> {
  const { batch, heads, headDim, valueDim, plan, signal } = request;
  const [{ decodeSplit }, { decodeMerge }] = await decodeKernels();
  const prepared = prepareRequest(gpu, request);
  const shared = sharedHeads(request);
  const { queryBlocks, querySlots } = prepared.shape;
  const groupsOfSplit = (tileHeads: number, queries: number) =>
    batch * (heads / shared) * Math.ceil(shared / tileHeads) * queryBlocks * tilesOfBlock(request, queries);
  const keySlots = mostKeys(plan);
  const tile = chooseDecodeTile(
    {
      headDim,
      valueDim,
      storage: prepared.options.storage,
      sharedHeads: shared,
      queryBlock: Math.min(plan.queries.block, Math.max(querySlots, 1)),
      keySlots,
      groups: groupsOfSplit,
      memoryBytes: prepared.options.memoryLimit,
      wantedGroups: SPLIT_GROUPS[gpu.software ? 'software' : 'hardware'],
    },
    split,
  );
  const splits = Math.max(1, Math.ceil(keySlots / tile.split));
  const options: DecodeOptions = { tile, ...prepared.options };
  const shape = {
    ...prepared.shape,
    blockTiles: tilesOfBlock(request, tile.queries),
    sharedHeads: shared,
    headTiles: Math.ceil(shared / tile.heads),
    splits,
  };
  return withOutputs(gpu, request, options, 'portable', async (output, logSumExp) => {
    const rows = output.shape.includes(0) ? 0 : batch * heads * querySlots;
    if (rows === 0) return;
    const partialOutput = gpu.empty([rows, splits, 4 * Math.ceil(valueDim / 4)], 'f32');
    const partialSums = gpu.empty([rows, splits, 2], 'f32');
    try {
      const groups = groupsOfSplit(tile.heads, tile.queries) * splits;
      const flops = 2 * (headDim + valueDim) * meanKeyCount(plan) * rows;
      const step = groupsPerSubmission(gpu, groups, flops);
      const partial = {
        partialOutput: partialOutput.storage,
        partialSums: partialSums.storage,
        plan: prepared.plan,
        shape,
      };
      const first = decodeSplit(options);
      const second = decodeMerge({
        valueDim,
        outputStorage: options.outputStorage,
        queryOrder: options.queryOrder,
        epilogueScale: options.epilogueScale,
        epilogueAdd: options.epilogueAdd,
      });
      await Promise.all([gpu.pipeline(first), gpu.pipeline(second)]);
      throwIfAborted(signal);
      const splitLaunch = { kernel: first, values: { ...prepared.inputs, ...partial } };
      for (let start = 0; start + step < groups; start += step) {
        await gpu.launchTogether([{ ...splitLaunch, groups: step, first: start }]);
        await gpu.finish();
        throwIfAborted(signal);
      }
      const start = Math.floor((groups - 1) / step) * step;
      await gpu.launchTogether([
        { ...splitLaunch, groups: groups - start, first: start },
        {
          kernel: second,
          values: {
            ...partial,
            ...prepared.epilogue,
            output: output.storage,
            logSumExp: logSumExp.storage,
          },
          groups: rows,
        },
      ]);
    } finally {
      partialOutput.dispose();
      partialSums.dispose();
    }
  });
}

/** Query heads in a row that read the same keys: they share a key head and, where the plan has lists, a list. */
function sharedHeads({ heads, keyHeads, plan }: AttendRequest): number {
  const ofKeyHead = heads / Math.max(keyHeads, 1);
  return plan.keys.kind === 'all' ? ofKeyHead : commonDivisor(ofKeyHead, heads / plan.listHeads);
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
