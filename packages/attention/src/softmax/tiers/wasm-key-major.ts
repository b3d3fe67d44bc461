import { tensorFrom, WasmTensor } from '../../device/wasm-tensor.ts';
import { throwIfAborted } from '../../errors.ts';
import { FULL_BLOCK, type Indices, NO_TOKEN } from '../../plan.ts';
import { transposeLists, unshareLists } from '../../transpose.ts';
import {
  type BlockPlan,
  cutRounds,
  MOST_PARTIAL_BYTES,
  partRequest,
  sizesOf,
  tileLists,
} from '../key-major.ts';
import type { AttendRequest, AttendResult } from '../request.ts';
import { epilogueOf, numbers } from './wasm-split.ts';

/** What a round has in the rows of its tiles, and where each entry of a list finds its partial results. */
interface Filled {
  members: Uint32Array; // [lists, tiles x rows, 2]
  places: Int32Array; // like the entries of the lists: row of its list's tiles, or -1
}

/** attend() in WASM from the keys' side; `attend` runs a tile's attention. */
export async function attendKeyMajorOnWasm(
  request: AttendRequest,
  attend: (request: AttendRequest) => Promise<AttendResult>,
  mostBytes = MOST_PARTIAL_BYTES,
): Promise<AttendResult> {
  const { batch, heads, queryTokens, headDim, valueDim, signal } = request;
  const plan = request.plan as BlockPlan;
  const { listBatches, listHeads } = plan;
  const { lists, queryBlock, queryBlocks, keyBlocks } = sizesOf(request);
  const { device, heap, dtype } = request.query as WasmTensor;
  const own = unshareLists({ rows: wordsOf(plan.keys.rows), blocks: wordsOf(plan.keys.blocks) });
  const inverse = transposeLists(own, { lists, columns: keyBlocks });
  const rounds = cutRounds(request, inverse.rows, { mostBytes, largestBuffer: Number.POSITIVE_INFINITY });
  const slots = rounds.tiles * rounds.rows;
  const query = numbers(request.query);
  const merged = {
    output: new Float32Array(batch * heads * queryTokens * valueDim),
    sums: new Float64Array(batch * heads * queryTokens).fill(-Infinity),
  };
  const listOf = (head: number) =>
    (listBatches === 1 ? 0 : Math.floor(head / heads)) * listHeads +
    Math.floor((head % heads) / (heads / listHeads));
  const tokenOf = (slot: number) => plan.queries.order?.[slot] ?? slot;

  const fill = (words: Uint32Array): Filled => {
    const members = new Uint32Array(2 * lists * slots);
    for (let at = 0; at < members.length; at += 2) members[at] = NO_TOKEN;
    const places = new Int32Array(own.blocks.length).fill(-1);
    for (let tile = 0; tile < words.length / 3; tile++) {
      const [keyBlock, first, count] = words.subarray(3 * tile, 3 * tile + 3);
      const list = Math.floor(tile / rounds.tiles);
      for (let visit = 0; visit < count; visit++) {
        const visitor = inverse.blocks[first + visit];
        const block = (visitor & ~FULL_BLOCK) >>> 0;
        const row = 2 * (list * queryBlocks + block);
        let entry = 0;
        while ((own.blocks[own.rows[row] + entry] & ~FULL_BLOCK) >>> 0 !== keyBlock) entry++;
        const place = (tile % rounds.tiles) * rounds.rows + visit * queryBlock;
        places[own.rows[row] + entry] = place;
        for (let i = 0; i < queryBlock && block * queryBlock + i < plan.queries.slots; i++)
          members.set(
            [tokenOf(block * queryBlock + i), (entry | (visitor & FULL_BLOCK)) >>> 0],
            2 * (list * slots + place + i),
          );
      }
    }
    return { members, places };
  };

  const gather = (members: Uint32Array): Float32Array => {
    const gathered = new Float32Array(batch * heads * slots * headDim);
    for (let row = 0; row < batch * heads * slots; row++) {
      const head = Math.floor(row / slots);
      const token = members[2 * (listOf(head) * slots + (row % slots))];
      if (token === NO_TOKEN) continue;
      const from = (head * queryTokens + token) * headDim;
      gathered.set(query.subarray(from, from + headDim), row * headDim);
    }
    return gathered;
  };

  const merge = (outputs: Float32Array, sums: Float32Array, places: Int32Array) => {
    const number = new Float64Array(valueDim);
    for (let head = 0; head < batch * heads; head++) {
      for (let slot = 0; slot < plan.queries.slots; slot++) {
        const token = tokenOf(slot);
        if (token === NO_TOKEN) continue;
        const list = 2 * (listOf(head) * queryBlocks + Math.floor(slot / queryBlock));
        const row = head * queryTokens + token;
        const parts: number[] = [];
        for (let entry = own.rows[list]; entry < own.rows[list] + own.rows[list + 1]; entry++) {
          const part = head * slots + places[entry] + (slot % queryBlock);
          if (places[entry] >= 0 && sums[part] !== -Infinity) parts.push(part);
        }
        if (parts.length === 0) continue;
        const base = Math.max(merged.sums[row], ...parts.map((part) => sums[part]));
        const total = parts.reduce(
          (sum, part) => sum + Math.exp(sums[part] - base),
          Math.exp(merged.sums[row] - base),
        );
        const sum = base + Math.log(total);
        const before = Math.exp(merged.sums[row] - sum);
        const own0 = row * valueDim;
        for (let d = 0; d < valueDim; d++) number[d] = before === 0 ? 0 : before * merged.output[own0 + d];
        for (const part of parts) {
          const weight = Math.exp(sums[part] - sum);
          for (let d = 0; d < valueDim; d++) number[d] += weight * outputs[part * valueDim + d];
        }
        merged.output.set(number, own0);
        merged.sums[row] = sum;
      }
    }
  };

  for (const words of rounds.words) {
    throwIfAborted(signal);
    const { members, places } = fill(words);
    const made: WasmTensor[] = [];
    try {
      const keep = (tensor: WasmTensor) => {
        made.push(tensor);
        return tensor;
      };
      const part = await attend(
        partRequest(request, rounds, {
          query: keep(tensorFrom(device, heap, gather(members), [batch, heads, slots, headDim], dtype)),
          members: keep(tensorFrom(device, heap, members, [listBatches, listHeads, slots, 2])),
          ...tileLists(words),
        }),
      );
      keep(part.output as WasmTensor);
      keep(part.logSumExp as WasmTensor);
      merge(numbers(part.output), numbers(part.logSumExp), places);
    } finally {
      for (const tensor of made) tensor.discard();
    }
  }
  const finish = epilogueOf(request.epilogue);
  for (let row = 0; row < merged.sums.length; row++)
    finish(merged.output.subarray(row * valueDim, (row + 1) * valueDim), row);
  const output = new WasmTensor(device, heap, [batch, heads, queryTokens, valueDim], request.outputDType);
  const logSumExp = new WasmTensor(device, heap, [batch, heads, queryTokens], 'f32');
  output.write(merged.output);
  logSumExp.write(merged.sums);
  return { output, logSumExp };
}

function wordsOf(indices: Indices): Uint32Array {
  return indices instanceof Uint32Array ? indices : ((indices as WasmTensor).copy() as Uint32Array);
}
