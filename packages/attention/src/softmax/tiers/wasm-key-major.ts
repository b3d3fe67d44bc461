import { tensorFrom, WasmTensor } from '../../device/wasm-tensor.ts';
import { throwIfAborted } from '../../errors.ts';
import { FULL_BLOCK, type Indices, NO_TOKEN } from '../../plan.ts';
import { type HostLists, transposeLists, unshareLists } from '../../transpose.ts';
import {
  type BlockPlan,
  cutRounds,
  MOST_PARTIAL_BYTES,
  partRequest,
  type Rounds,
  sizesOf,
  tileLists,
} from '../key-major.ts';
import type { AttendRequest, AttendResult } from '../request.ts';
import { epilogueOf, numbers } from './wasm-split.ts';

/** A call with its lists from both sides. */
interface Walk {
  request: AttendRequest;
  rounds: Rounds;
  /** Rows of the tiles of a list in a round. */
  slots: number;
  own: HostLists; // of query blocks
  inverse: HostLists; // of key blocks
  tokenOf(slot: number): number;
  listOf(head: number): number;
}

/** Who stands in the rows of a round's tiles, and where each entry of a list finds its partial results. */
interface Filled {
  members: Uint32Array; // [lists, tiles x rows, 2]
  places: Int32Array; // like the entries of the lists: first row among its list's tiles, or -1
}

/** What the rounds so far have added up to. */
interface Merged {
  output: Float32Array; // [batch, heads, queryTokens, valueDim]
  sums: Float64Array; // [batch, heads, queryTokens]
}

/** attend() in WASM from the keys' side; `attend` runs a tile's attention. */
export async function attendKeyMajorOnWasm(
  request: AttendRequest,
  attend: (request: AttendRequest) => Promise<AttendResult>,
  mostBytes = MOST_PARTIAL_BYTES,
): Promise<AttendResult> {
  const { batch, heads, queryTokens, headDim, valueDim, plan, signal } = request;
  const { device, heap, dtype } = request.query as WasmTensor;
  const walk = walkOf(request, mostBytes);
  const { rounds, slots } = walk;
  const rows = batch * heads * queryTokens;
  const merged = {
    output: new Float32Array(rows * valueDim),
    sums: new Float64Array(rows).fill(-Infinity),
  };
  for (const words of rounds.words) {
    throwIfAborted(signal);
    const { members, places } = fillTiles(walk, words);
    const made: WasmTensor[] = [];
    const keep = (data: ArrayLike<number>, shape: readonly number[], as = dtype) => {
      const tensor = tensorFrom(device, heap, data, shape, as);
      made.push(tensor);
      return tensor;
    };
    try {
      const query = keep(gatherQueries(walk, members), [batch, heads, slots, headDim]);
      const memberTable = keep(members, [plan.listBatches, plan.listHeads, slots, 2], 'u32');
      const part = await attend(
        partRequest(request, rounds, { query, members: memberTable, ...tileLists(words) }),
      );
      made.push(part.output as WasmTensor, part.logSumExp as WasmTensor);
      mergeTiles(walk, merged, part, places);
    } finally {
      for (const tensor of made) tensor.discard();
    }
  }
  const finish = epilogueOf(request.epilogue);
  for (let row = 0; row < rows; row++)
    finish(merged.output.subarray(row * valueDim, (row + 1) * valueDim), row);
  const output = new WasmTensor(device, heap, [batch, heads, queryTokens, valueDim], request.outputDType);
  output.write(merged.output);
  try {
    return { output, logSumExp: tensorFrom(device, heap, merged.sums, [batch, heads, queryTokens], 'f32') };
  } catch (error) {
    output.discard();
    throw error;
  }
}

function walkOf(request: AttendRequest, mostBytes: number): Walk {
  const { heads } = request;
  const { keys, queries, listBatches, listHeads } = request.plan as BlockPlan;
  const { lists, keyBlocks } = sizesOf(request);
  const own = unshareLists({ rows: wordsOf(keys.rows), blocks: wordsOf(keys.blocks) });
  const inverse = transposeLists(own, { lists, columns: keyBlocks });
  const rounds = cutRounds(request, inverse.rows, { mostBytes, largestBuffer: Number.POSITIVE_INFINITY });
  return {
    request,
    rounds,
    slots: rounds.tiles * rounds.rows,
    own,
    inverse,
    tokenOf: (slot) => queries.order?.[slot] ?? slot,
    listOf: (head) =>
      (listBatches === 1 ? 0 : Math.floor(head / heads)) * listHeads +
      Math.floor((head % heads) / (heads / listHeads)),
  };
}

function wordsOf(indices: Indices): Uint32Array {
  return indices instanceof Uint32Array ? indices : ((indices as WasmTensor).copy() as Uint32Array);
}

function fillTiles({ request, rounds, slots, own, inverse, tokenOf }: Walk, words: Uint32Array): Filled {
  const { lists, queryBlock, queryBlocks } = sizesOf(request);
  const querySlots = request.plan.queries.slots;
  const members = new Uint32Array(2 * lists * slots);
  for (let at = 0; at < members.length; at += 2) members[at] = NO_TOKEN;
  const places = new Int32Array(own.blocks.length).fill(-1);
  for (let tile = 0; tile < words.length / 3; tile++) {
    const [keyBlock, first, count] = words.subarray(3 * tile, 3 * tile + 3);
    const list = Math.floor(tile / rounds.tiles);
    for (let visit = 0; visit < count; visit++) {
      const visitor = inverse.blocks[first + visit];
      const block = (visitor & ~FULL_BLOCK) >>> 0;
      const firstEntry = own.rows[2 * (list * queryBlocks + block)];
      let entry = 0;
      while ((own.blocks[firstEntry + entry] & ~FULL_BLOCK) >>> 0 !== keyBlock) entry++;
      const place = (tile % rounds.tiles) * rounds.rows + visit * queryBlock;
      places[firstEntry + entry] = place;
      const end = Math.min((block + 1) * queryBlock, querySlots);
      for (let slot = block * queryBlock, row = place; slot < end; slot++, row++)
        members.set([tokenOf(slot), (entry | (visitor & FULL_BLOCK)) >>> 0], 2 * (list * slots + row));
    }
  }
  return { members, places };
}

function gatherQueries({ request, slots, listOf }: Walk, members: Uint32Array): Float32Array {
  const { batch, heads, queryTokens, headDim } = request;
  const query = numbers(request.query);
  const gathered = new Float32Array(batch * heads * slots * headDim);
  for (let row = 0; row < batch * heads * slots; row++) {
    const head = Math.floor(row / slots);
    const token = members[2 * (listOf(head) * slots + (row % slots))];
    if (token === NO_TOKEN) continue;
    const from = (head * queryTokens + token) * headDim;
    gathered.set(query.subarray(from, from + headDim), row * headDim);
  }
  return gathered;
}

/** L = log Σ exp L_e, O = Σ exp(L_e − L) O_e over the entries e of a query's list, in their order, and what is there. */
function mergeTiles(walk: Walk, merged: Merged, part: AttendResult, places: Int32Array): void {
  const { request, slots, own, tokenOf, listOf } = walk;
  const { batch, heads, queryTokens, valueDim } = request;
  const { queryBlock, queryBlocks } = sizesOf(request);
  const [outputs, sums] = [numbers(part.output), numbers(part.logSumExp)];
  const number = new Float64Array(valueDim);
  for (let head = 0; head < batch * heads; head++) {
    for (let slot = 0; slot < request.plan.queries.slots; slot++) {
      const token = tokenOf(slot);
      if (token === NO_TOKEN) continue;
      const list = 2 * (listOf(head) * queryBlocks + Math.floor(slot / queryBlock));
      const parts: number[] = [];
      for (let entry = own.rows[list]; entry < own.rows[list] + own.rows[list + 1]; entry++) {
        const row = head * slots + places[entry] + (slot % queryBlock);
        if (places[entry] >= 0 && sums[row] !== -Infinity) parts.push(row);
      }
      if (parts.length === 0) continue;
      const row = head * queryTokens + token;
      const sumBefore = merged.sums[row];
      const base = Math.max(sumBefore, ...parts.map((from) => sums[from]));
      const total = parts.reduce(
        (sum, from) => sum + Math.exp(sums[from] - base),
        Math.exp(sumBefore - base),
      );
      const sum = base + Math.log(total);
      const before = Math.exp(sumBefore - sum);
      for (let d = 0; d < valueDim; d++) number[d] = before * merged.output[row * valueDim + d];
      for (const from of parts) {
        const weight = Math.exp(sums[from] - sum);
        for (let d = 0; d < valueDim; d++) number[d] += weight * outputs[from * valueDim + d];
      }
      merged.output.set(number, row * valueDim);
      merged.sums[row] = sum;
    }
  }
}
