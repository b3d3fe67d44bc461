import type { Gpu, GpuTensor } from '../device/gpu.ts';
import { bandWords, type Indices, type Plan, queryBlocks } from '../plan.ts';
import { sizeOf } from '../tensor.ts';
import type { KeyKind, ListPlace } from './tiers/keys.ts';

/** A plan as the kernel reads it. */
export interface GpuPlan {
  kind: KeyKind;
  lists: ListPlace;
  queryOrder: boolean;
  keyOrder: boolean;
  outside: 'skip' | 'zero';
  /** Query order, key order and host lists in one buffer. */
  packed: GPUBuffer;
  rows: GPUBuffer | undefined;
  blocks: GPUBuffer | undefined;
  shape: {
    querySlots: number;
    queryBlock: number;
    queryBlocks: number;
    keySlots: number;
    keyBlock: number;
    listBatches: number;
    listHeads: number;
    keyOrderAt: number;
    rowsAt: number;
    blocksAt: number;
    grid0: number;
    grid1: number;
    grid2: number;
    step0: number;
    step1: number;
    step2: number;
  };
}

/** Uploads a plan's orders and host lists, once per plan object, or per layout where the lists are on the device. */
export function uploadPlan(gpu: Gpu, plan: Plan): GpuPlan {
  const { queries, keys } = plan;
  const layout = 'layout' in keys ? keys.layout : undefined;
  const { rows, blocks } = listsOf(plan);
  const parts: ArrayLike<number>[] = [queries.order ?? [], layout?.order ?? []];
  // ranges have one list, blocks two: both on the host, or else both bound as buffers
  const packedLists = isHost(rows) && isHost(blocks);
  parts.push(packedLists ? rows : [], packedLists ? blocks : []);
  const starts = [0];
  for (const part of parts) starts.push(starts[starts.length - 1] + part.length);
  // a selection makes a plan a call, on a layout that stays: then the orders are uploaded once a layout
  const ofKeys = queries.order ? plan : (layout?.order ?? none);
  const ofLists = packedLists ? plan : layout === queries ? queries : ofKeys;
  // a plan without lists or orders has nothing to upload, and attend() makes one a call where it is given none
  const owner = starts[4] === 0 ? none : ofLists;
  const packed = gpu.uploadOnce(owner, () => {
    const words = new Uint32Array(Math.max(starts[4], 1));
    parts.forEach((part, i) => {
      words.set(part, starts[i]);
    });
    return words;
  });
  const [grid, step] = keys.kind === 'boxes' ? [keys.grid, keys.step] : [zeros, zeros];
  const bound = (indices: Indices) =>
    isHost(indices) ? gpu.uploadOnce(indices, () => indices) : (indices as GpuTensor).storage;
  return {
    kind: keys.kind === 'blocks' && keys.layout.block === 1 ? 'gathered' : keys.kind,
    lists: packedLists ? 'packed' : 'tensors',
    queryOrder: queries.order !== undefined,
    keyOrder: layout?.order !== undefined,
    outside: keys.kind === 'boxes' ? keys.outside : 'skip',
    packed,
    rows: packedLists ? undefined : bound(rows),
    blocks: packedLists ? undefined : bound(blocks),
    shape: {
      querySlots: queries.slots,
      queryBlock: queries.block,
      queryBlocks: queryBlocks(plan),
      keySlots: layout?.slots ?? plan.keyTokens,
      keyBlock: layout?.block ?? 1,
      listBatches: plan.listBatches,
      listHeads: plan.listHeads,
      keyOrderAt: starts[1],
      rowsAt: starts[2],
      blocksAt: starts[3],
      grid0: grid[0],
      grid1: grid[1],
      grid2: grid[2],
      step0: step[0],
      step1: step[1],
      step2: step[2],
    },
  };
}

/** Key slots that a query block visits on average: exact for lists on the host, an upper bound for those on the device. */
export function meanKeyCount(plan: Plan): number {
  const { keys } = plan;
  const rowCount = Math.max(queryBlocks(plan) * plan.listBatches * plan.listHeads, 1);
  const sum = (counts: Uint32Array) => {
    let total = 0;
    for (let i = 1; i < counts.length; i += 2) total += counts[i];
    return total;
  };
  switch (keys.kind) {
    case 'all':
      return plan.keyTokens;
    case 'ranges':
      return isHost(keys.ranges) ? sum(keys.ranges) / rowCount : plan.keyTokens;
    case 'blocks':
      return isHost(keys.rows)
        ? (sum(keys.rows) * keys.layout.block) / rowCount
        : (sizeOf((keys.blocks as GpuTensor).shape) * keys.layout.block) / rowCount;
    case 'intervals': {
      const { rows, runs } = keys;
      if (!isHost(rows) || !isHost(runs)) return plan.keyTokens;
      let total = 0;
      for (let at = 0; at < rows.length; at += 2)
        if (rows[at + 1] > 0) total += runs[2 * (rows[at] + rows[at + 1] - 1) + 1];
      return total / rowCount;
    }
    case 'band':
      return Math.min(plan.keyTokens, keys.sink + keys.before + keys.after + plan.queries.block);
    case 'boxes': {
      let total = 0;
      for (let at = 0; at < keys.boxes.length; at += 6)
        total += keys.boxes[at + 3] * keys.boxes[at + 4] * keys.boxes[at + 5];
      return total / Math.max(queryBlocks(plan), 1);
    }
  }
}

/** Key slots that a query block visits at most: exact for lists on the host, an upper bound for those on the device. */
export function mostKeys(plan: Plan): number {
  const { keys } = plan;
  const largest = (counts: Uint32Array) => {
    let most = 0;
    for (let i = 1; i < counts.length; i += 2) most = Math.max(most, counts[i]);
    return most;
  };
  switch (keys.kind) {
    case 'all':
      return plan.keyTokens;
    case 'ranges':
      return isHost(keys.ranges) ? largest(keys.ranges) : keys.layout.slots;
    case 'blocks': {
      const { slots, block } = keys.layout;
      if (isHost(keys.rows)) return largest(keys.rows) * block;
      return Math.min(Math.ceil(slots / block), sizeOf((keys.blocks as GpuTensor).shape)) * block;
    }
    case 'intervals': {
      const { rows, runs } = keys;
      if (!isHost(rows) || !isHost(runs)) return keys.layout.slots;
      let most = 0;
      for (let at = 0; at < rows.length; at += 2)
        if (rows[at + 1] > 0) most = Math.max(most, runs[2 * (rows[at] + rows[at + 1] - 1) + 1]);
      return most;
    }
    case 'band':
      return Math.min(plan.keyTokens, keys.sink + keys.before + keys.after + plan.queries.block);
    case 'boxes': {
      let most = 0;
      for (let at = 0; at < keys.boxes.length; at += 6)
        most = Math.max(most, keys.boxes[at + 3] * keys.boxes[at + 4] * keys.boxes[at + 5]);
      return most;
    }
  }
}

const zeros = [0, 0, 0] as const;
const none = new Uint32Array();

function listsOf(plan: Plan): { rows: Indices; blocks: Indices } {
  const { keys } = plan;
  switch (keys.kind) {
    case 'all':
      return { rows: none, blocks: none };
    case 'ranges':
      return { rows: keys.ranges, blocks: none };
    case 'blocks':
      return { rows: keys.rows, blocks: keys.blocks };
    case 'intervals':
      return { rows: keys.rows, blocks: keys.runs };
    case 'band':
      return { rows: bandWords(plan, keys), blocks: none };
    case 'boxes':
      return {
        rows: new Uint32Array(keys.boxes.buffer, keys.boxes.byteOffset, keys.boxes.length),
        blocks: none,
      };
  }
}

function isHost(indices: Indices): indices is Uint32Array {
  return indices instanceof Uint32Array;
}
