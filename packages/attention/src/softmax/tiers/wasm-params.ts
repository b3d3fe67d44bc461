import { bandWords, type Indices, type Plan, queryBlocks } from '../../plan.ts';
import type { Tensor } from '../../tensor.ts';
import type { DerivedRequest } from '../derived-request.ts';
import { type AttendRequest, blockSumsShape } from '../request.ts';

const WORDS = 68;
/** Query rows a task, as in assembly/params.ts. */
const ROWS_A_TASK = 64;
const keyKinds = { all: 0, ranges: 1, blocks: 2, boxes: 3, intervals: 4, band: 5 } as const;

/** The words that assembly/params.ts names, in its order. */
export function writeParams(call: {
  request: AttendRequest;
  causalOffset: number | undefined;
  expression: boolean;
  tables: number;
  output: number;
  logSumExp: number;
  address(tensor: Tensor): number;
  indices(data: Indices): number;
  signed(data: Int32Array): number;
}): Uint32Array {
  const { request, causalOffset, address, indices } = call;
  const { query, key, value, plan, batch, heads, epilogue } = request;
  const { queries, keys } = plan;
  const chunks = chunksOf(plan);
  const blocks = queryBlocks(plan);
  const words = new Uint32Array(WORDS);
  const reals = new Float32Array(words.buffer);
  words.set([0, batch * heads * blocks * chunks]);
  words.set([address(query), address(key), address(value), call.output, call.logSumExp], 2);
  words.set([heads, request.keyHeads, request.queryTokens, request.keyTokens], 7);
  words.set([request.headDim, request.valueDim], 11);
  reals[13] = request.scale;
  words.set([Number(query.dtype === 'f16'), Number(request.outputDType === 'f16')], 14);
  words.set([Number(causalOffset !== undefined), causalOffset ?? 0], 16);
  words.set([Number(call.expression), call.tables, Number(request.honourFullBlocks)], 18);
  words.set([queries.slots, queries.block, queries.order ? indices(queries.order) : 0, blocks, chunks], 21);
  words.set([plan.listBatches, plan.listHeads, keyKinds[keys.kind]], 26);
  if ('layout' in keys) {
    const { slots, block, order } = keys.layout;
    words.set([slots, block, order ? indices(order) : 0], 29);
  }
  if (keys.kind === 'ranges') words[32] = indices(keys.ranges);
  if (keys.kind === 'blocks') words.set([indices(keys.rows), indices(keys.blocks)], 32);
  if (keys.kind === 'intervals') words.set([indices(keys.rows), indices(keys.runs)], 32);
  if (keys.kind === 'band') words[32] = indices(bandWords(plan, keys));
  if (keys.kind === 'boxes') {
    words[32] = call.signed(keys.boxes);
    words.set([...keys.grid, ...keys.step, Number(keys.outside === 'zero')], 34);
  }
  if (epilogue) {
    const { scale, add } = epilogue;
    words[41] = 1;
    if (typeof scale === 'number') reals[42] = scale;
    else words.set([address(scale), Number(scale.dtype === 'f16')], 43);
    if (add) words.set([address(add), Number(add.dtype === 'f16')], 45);
  }
  words[47] = request.keyStride;
  return words;
}

/** Chunks of rows that a query block is cut into. */
export function chunksOf({ queries }: Plan): number {
  return Math.max(1, Math.ceil(Math.min(queries.block, queries.slots) / ROWS_A_TASK));
}

/** Adds the words of a backward call. */
export function writeBackwardParams(
  words: Uint32Array,
  call: {
    request: DerivedRequest;
    splits: number;
    outputGradient: number;
    rowSums: number;
    rowMeans: number;
    query: number;
    key: number;
    value: number;
    reads: { count: number; at: number };
    scoreTables: number;
    tableSums: number;
    sumsATask: number;
    blockSumsAt: number;
  },
): void {
  const { request, splits } = call;
  const keyHeads = request.batch * request.keyHeads;
  words[1] = keyHeads * splits;
  words.set([call.outputGradient, Number(request.outputGradient.dtype === 'f16')], 48);
  words.set([call.rowSums, call.rowMeans, call.query, call.key, call.value], 50);
  words.set([splits, keyHeads, Number(request.slope !== undefined)], 55);
  words.set([call.reads.count, call.reads.at, call.scoreTables], 58);
  words.set([call.tableSums, call.sumsATask, Number(request.blockSums), call.blockSumsAt], 61);
  words[65] = blockSumsShape(request)[3];
}
