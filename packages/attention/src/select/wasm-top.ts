import type { WasmRuntime } from '../device/wasm-runtime.ts';
import { sizeOf } from '../tensor.ts';
import { candidateCount, isForced } from './candidates.ts';
import type {
  Candidates,
  HeadThresholdRequest,
  SelectedBlocks,
  TopKRequest,
  TopPRequest,
} from './request.ts';
import { floatsOf, tensorOn, wordsOf } from './wasm-access.ts';
import { massOfShare, weightOf } from './weights.ts';

const FORCED = 0xffffffff;
const DIGITS = 2048;

/** The best of a set: all keys above `key`, and the first `take` of its equals. */
interface Prefix {
  key: number;
  take: number;
}

/** The forced ones alone. */
const shortest: Prefix = { key: FORCED, take: Infinity };

const longer = (a: Prefix, b: Prefix) => (a.key < b.key || (a.key === b.key && a.take > b.take) ? a : b);

/** Larger scores have larger keys: the bits of an f32 in the order of its values. NaN ranks with -Infinity, -0 with 0. */
function rankOf(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x007fffff;
  if (bits === 0x80000000) return 0x80000000;
  return (bits >>> 31 ? ~bits : bits | 0x80000000) >>> 0;
}

/** Finds thresholds by digits of 11 bits, from histograms of weights (ones without `weights`). */
class Narrowing {
  private readonly histogram = new Float64Array(DIGITS);

  /** The shortest prefix that weighs `target`. */
  reach(keys: Uint32Array, count: number, target: number, weights?: Float64Array): Prefix {
    if (target <= 0) return shortest;
    const { histogram } = this;
    let key = 0;
    let left = target;
    let above = 0; // mask of the digits that are known
    for (const [shift, digits] of [
      [21, 2048],
      [10, 2048],
      [0, 1024],
    ]) {
      histogram.fill(0, 0, digits);
      for (let i = 0; i < count; i++)
        if (((keys[i] ^ key) & above) === 0)
          histogram[(keys[i] >>> shift) & (digits - 1)] += weights ? weights[i] : 1;
      let digit = digits - 1;
      while (digit > 0 && histogram[digit] < left) left -= histogram[digit--];
      key = (key | (digit << shift)) >>> 0;
      above |= (digits - 1) << shift;
    }
    if (key === FORCED) return shortest;
    const at = weights ? keys.subarray(0, count).indexOf(key) : -1;
    return { key, take: at < 0 ? left : Math.ceil(left / weights![at]) };
  }
}

/** Keys of a row's candidates into `keys`; their number. */
function rankRow(
  bits: Uint32Array,
  first: number,
  columns: number,
  row: number,
  candidates: Candidates,
  keys: Uint32Array,
): number {
  const count = candidateCount(candidates, row, columns);
  const forces = candidates.sink > 0 || candidates.local > 0;
  for (let column = 0; column < count; column++)
    keys[column] = forces && isForced(candidates, row, column) ? FORCED : rankOf(bits[first + column]);
  return count;
}

/** Writes the columns of a prefix, ascending; their number. */
function write(keys: Uint32Array, count: number, { key, take }: Prefix, to: Uint32Array, at: number): number {
  let written = 0;
  let equals = 0;
  for (let column = 0; column < count; column++) {
    if (keys[column] > key || (keys[column] === key && equals++ < take)) to[at + written++] = column;
  }
  return written;
}

/** One list a row, `stride` entries apart; `choose` says how much of a row is taken. */
function eachRow(
  runtime: WasmRuntime,
  { scores, candidates }: { scores: TopKRequest['scores']; candidates: Candidates },
  stride: number,
  choose: (keys: Uint32Array, line: Float32Array, narrowing: Narrowing) => Prefix,
): SelectedBlocks {
  const [batch, heads, rowCount, columns] = scores.shape;
  const total = batch * heads * rowCount;
  const rows = tensorOn(runtime, [batch, heads, rowCount, 2], 'u32');
  const blocks = tensorOn(runtime, [Math.max(total * stride, 1)], 'u32');
  const [bits, rowWords, blockWords] = [wordsOf(scores), wordsOf(rows), wordsOf(blocks)];
  const numbers = floatsOf(scores);
  const keys = new Uint32Array(columns);
  const narrowing = new Narrowing();
  for (let row = 0; row < total; row++) {
    const count = rankRow(bits, row * columns, columns, row % rowCount, candidates, keys);
    const line = numbers.subarray(row * columns, row * columns + count);
    const prefix = choose(keys, line, narrowing);
    rowWords[2 * row] = row * stride;
    rowWords[2 * row + 1] = write(keys, count, prefix, blockWords, row * stride);
  }
  return { rows, blocks, listBatches: batch, listHeads: heads };
}

export function topKOnWasm(runtime: WasmRuntime, request: TopKRequest): SelectedBlocks {
  return eachRow(runtime, request, request.k, (keys, line, narrowing) =>
    narrowing.reach(keys, line.length, Math.min(request.k, line.length)),
  );
}

export function topPOnWasm(runtime: WasmRuntime, request: TopPRequest): SelectedBlocks {
  const { scores, share, atLeast, atMost } = request;
  const weights = new Float64Array(scores.shape[3]);
  return eachRow(runtime, request, atMost, (keys, line, narrowing) => {
    const count = line.length;
    let maximum = -Infinity;
    for (const score of line) if (score > maximum) maximum = score;
    let total = 0;
    for (let i = 0; i < count; i++) {
      weights[i] = weightOf(line[i], maximum);
      total += weights[i];
    }
    const byMass = narrowing.reach(keys, count, massOfShare(total, share), weights);
    const least = longer(byMass, narrowing.reach(keys, count, Math.min(atLeast, count)));
    const most = narrowing.reach(keys, count, Math.min(atMost, count));
    return longer(least, most) === least ? most : least;
  });
}

export function headThresholdOnWasm(runtime: WasmRuntime, request: HeadThresholdRequest): SelectedBlocks {
  const { scores, keep, candidates } = request;
  const [batch, heads, rowCount, columns] = scores.shape;
  const lists = batch * heads;
  const rows = tensorOn(runtime, [batch, heads, rowCount, 2], 'u32');
  const blocks = tensorOn(runtime, [Math.max(lists * keep, 1)], 'u32');
  const [bits, rowWords, blockWords] = [wordsOf(scores), wordsOf(rows), wordsOf(blocks)];
  const keys = new Uint32Array(sizeOf(scores.shape.slice(2)));
  const starts = new Uint32Array(rowCount + 1);
  const narrowing = new Narrowing();
  let cursor = 0;
  for (let list = 0; list < lists; list++) {
    for (let row = 0; row < rowCount; row++) {
      const first = (list * rowCount + row) * columns;
      starts[row + 1] =
        starts[row] + rankRow(bits, first, columns, row, candidates, keys.subarray(starts[row]));
    }
    const { key, take } = narrowing.reach(keys, starts[rowCount], keep);
    let left = take;
    for (let row = 0; row < rowCount; row++) {
      const line = keys.subarray(starts[row], starts[row + 1]);
      const count = write(line, line.length, { key, take: left }, blockWords, cursor);
      for (const each of line) if (each === key && left > 0) left--;
      rowWords.set([cursor, count], 2 * (list * rowCount + row));
      cursor += count;
    }
  }
  return { rows, blocks, listBatches: batch, listHeads: heads };
}
