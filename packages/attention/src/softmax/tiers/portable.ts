import { assemble, type Kernel, wgsl } from '../../wgsl/assemble.ts';
import { type Bindings, read, type StorageBinding, uniform, write } from '../../wgsl/bindings.ts';
import {
  elementOf,
  readNumber,
  readVector,
  rowBinding,
  type Storage,
  storeVector,
} from './portable-access.ts';
import { type KeyKind, keyConstants, keyStages, type ListPlace } from './portable-keys.ts';
import type { TileShape } from './portable-tile.ts';

/** Everything that changes the kernel's text. */
export interface PortableOptions {
  tile: TileShape;
  headDim: number;
  valueDim: number;
  storage: Storage;
  outputStorage: Storage;
  keys: KeyKind;
  lists: ListPlace;
  queryOrder: boolean;
  keyOrder: boolean;
  outside: 'skip' | 'zero';
  /** Key 'all' in query order: stop at the last key that a causal mask lets through. */
  stopEarly: boolean;
  honourFullBlocks: boolean;
  /** WGSL of `keep` and `change` (see mods/to-wgsl); undefined: nothing is masked, scores stay. */
  keep: string | undefined;
  change: string | undefined;
  /** Stages that the expressions call, and the buffers that they read. */
  tableStages: readonly string[];
  tableBindings: Readonly<Record<string, StorageBinding>>;
  epilogueScale: 'none' | 'number' | Storage;
  epilogueAdd: 'none' | Storage;
  memoryLimit: number;
}

export const shapeFields = {
  heads: 'u32',
  keyHeads: 'u32',
  queryTokens: 'u32',
  keyTokens: 'u32',
  scale: 'f32',
  causalOffset: 'i32',
  querySlots: 'u32',
  queryBlock: 'u32',
  queryBlocks: 'u32',
  blockTiles: 'u32',
  keySlots: 'u32',
  keyBlock: 'u32',
  listBatches: 'u32',
  listHeads: 'u32',
  keyOrderAt: 'u32',
  rowsAt: 'u32',
  blocksAt: 'u32',
  epilogueScale: 'f32',
  grid0: 'i32',
  grid1: 'i32',
  grid2: 'i32',
  step0: 'i32',
  step1: 'i32',
  step2: 'i32',
} as const;

function bindingsOf(options: PortableOptions): Bindings {
  const { storage, headDim, valueDim } = options;
  return {
    query: rowBinding(storage, headDim), // [batch, heads, queryTokens, headDim]
    key: rowBinding(storage, headDim), // [batch, keyHeads, keyTokens, headDim]
    value: rowBinding(storage, valueDim), // [batch, keyHeads, keyTokens, valueDim]
    output: write(elementOf(options.outputStorage, valueDim)), // [batch, heads, queryTokens, valueDim]
    logSumExp: write('u32'), // bits of f32 [batch, heads, queryTokens]
    shape: uniform(shapeFields),
    plan: read('u32'), // query order, key order, lists
    ...(options.lists === 'tensors' && { rows: read('u32'), blocks: read('u32') }),
    ...(options.epilogueScale === 'f32' && { rowScale: read('f32') }),
    ...(options.epilogueScale === 'f16' && { rowScale: read('u32') }),
    ...(options.epilogueAdd !== 'none' && { addend: rowBinding(options.epilogueAdd, valueDim) }),
    ...options.tableBindings,
  };
}

const each = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join('\n');

/** Per thread: scores s, running base m, own part of the sum l, and output o of each of its rows. */
const registers = ({ rowsPerThread, columns }: TileShape) =>
  each(
    rowsPerThread,
    (r) => `var<private> s${r}: vec4<f32>;
var<private> m${r} = -1e30;
var<private> l${r} = 0.0;
${each(columns, (c) => `var<private> o${r}_${c}: vec4<f32>;`)}`,
  );

/** Which rows a workgroup owns. Late queries come first: under a causal mask they have the most keys. */
const locate = (options: PortableOptions) => wgsl`
struct Located {
  batch: u32,
  head: u32,
  block: u32,
  row: u32,        // of the plan's lists
  firstSlot: u32,
  endSlot: u32,
  queryRow: u32,   // row 0 of this head in query
  keyRow: u32,     // row 0 of this head in key and value
}

fn locate(workgroup: u32) -> Located {
  let tilesOfHead = shape.queryBlocks * shape.blockTiles;
  let headIndex = workgroup / tilesOfHead;
  let tileIndex = tilesOfHead - 1u - workgroup % tilesOfHead;
  var tile: Located;
  tile.batch = headIndex / shape.heads;
  tile.head = headIndex % shape.heads;
  tile.block = tileIndex / shape.blockTiles;
  tile.firstSlot = tile.block * shape.queryBlock + (tileIndex % shape.blockTiles) * QUERY_TILE;
  tile.endSlot = min((tile.block + 1u) * shape.queryBlock, shape.querySlots);
  let list = select(tile.batch, 0u, shape.listBatches == 1u) * shape.listHeads
    + tile.head / (shape.heads / shape.listHeads);
  tile.row = list * shape.queryBlocks + tile.block;
  tile.queryRow = headIndex * shape.queryTokens;
  tile.keyRow = (tile.batch * shape.keyHeads + tile.head / (shape.heads / shape.keyHeads)) * shape.keyTokens;
  return tile;
}

fn queryInOrder(slot: u32) -> i32 {
${options.queryOrder ? '  let token = plan[slot];\n  return select(i32(token), ABSENT, token == NO_TOKEN);' : '  return i32(slot);'}
}

fn resolveQueries(tile: Located, lane: u32) {
  for (var i = lane; i < QUERY_TILE; i += THREADS) {
    let slot = tile.firstSlot + i;
    queryTokens[i] = ABSENT;
    if (slot < tile.endSlot) { queryTokens[i] = queryInOrder(slot); }
  }
}

fn resolveKeys(tile: Located, start: u32, count: u32, lane: u32) {
  for (var i = lane; i < KEY_TILE; i += THREADS) {
    keyTokens[i] = ABSENT;
    if (start + i < count) { keyTokens[i] = keyToken(tile, start + i); }
  }
}`;

/** Reads of a thread that are under way together: one after another, each would wait for the memory. */
const together = (count: number) => [4, 3, 2].find((size) => count % size === 0) ?? 1;

/** `name(tile, chunk, lane)` copies `total` vec4s: `read` says what stands at place i, `write` where it goes. */
const copy = (spec: { name: string; total: number; threads: number; read: string; write: string }) => {
  const { name, total, threads, read, write } = spec;
  const count = Math.ceil(total / threads);
  const size = together(count);
  return wgsl`
fn ${name}(tile: Located, chunk: u32, generation: u32, lane: u32) {
  for (var n = 0u; n < ${count / size}u; n++) {
${each(size, (k) => `    let i${k} = (n * ${size}u + ${k}u) * THREADS + lane;\n    let numbers${k} = ${read}(tile, chunk, i${k});`)}
${each(size, (k) => (total % threads === 0 ? `    ${write}(i${k}, numbers${k}, generation);` : `    if (i${k} < ${total}u) { ${write}(i${k}, numbers${k}, generation); }`))}
  }
}`;
};

/** Rows into workgroup memory: channels of one chunk of the queries and keys, all channels of one chunk of the values. */
const loads = ({ queryTile, keyTile, chunk, valueChunk, columns, keyLanes, threads }: TileShape) => wgsl`
fn queryAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = queryTokens[min(i / CHUNK, QUERY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < HEAD_VECTORS) { return queryVector(tile.queryRow + u32(token), d); }
  return vec4<f32>();
}

fn keyAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let token = keyTokens[min(i / CHUNK, KEY_TILE - 1u)];
  let d = chunk * CHUNK + i % CHUNK;
  if (token >= 0 && d < HEAD_VECTORS) { return keyVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

// The keys of a thread are KEY_LANES apart; values lie in the order in which the weights name them.
fn valueAt(tile: Located, chunk: u32, i: u32) -> vec4<f32> {
  let k = min(i / VALUE_STRIDE, VALUE_CHUNK - 1u);
  let token = keyTokens[chunk * (VALUE_CHUNK / 4u) + k / 4u + (k % 4u) * KEY_LANES];
  let d = i % VALUE_STRIDE;
  if (token >= 0 && d < VALUE_VECTORS) { return valueVector(tile.keyRow + u32(token & TOKEN_BITS), d); }
  return vec4<f32>();
}

fn putQuery(i: u32, numbers: vec4<f32>, generation: u32) {
  queries[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putKey(i: u32, numbers: vec4<f32>, generation: u32) {
  keyValues[(i / CHUNK) * (CHUNK + 1u) + i % CHUNK] = numbers;
}

fn putValue(i: u32, numbers: vec4<f32>, generation: u32) {
  noteSpoiled(numbers, generation);
  keyValues[i] = numbers;
}
${copy({ name: 'loadQueries', total: queryTile * chunk, threads, read: 'queryAt', write: 'putQuery' })}
${copy({ name: 'loadKeys', total: keyTile * chunk, threads, read: 'keyAt', write: 'putKey' })}
${copy({ name: 'loadValues', total: valueChunk * columns * keyLanes, threads, read: 'valueAt', write: 'putValue' })}`;

/** S = S + Q Kᵀ over one chunk of channels. */
const scores = ({ rowsPerThread }: TileShape) => wgsl`
fn scores(lane: u32) {
  let keyLane = lane % KEY_LANES;
  let rowLane = (lane % THREADS) / KEY_LANES;
  for (var d = 0u; d < CHUNK; d++) {
    let k0 = keyValues[keyLane * (CHUNK + 1u) + d];
    let k1 = keyValues[(keyLane + KEY_LANES) * (CHUNK + 1u) + d];
    let k2 = keyValues[(keyLane + 2u * KEY_LANES) * (CHUNK + 1u) + d];
    let k3 = keyValues[(keyLane + 3u * KEY_LANES) * (CHUNK + 1u) + d];
    let x = vec4<f32>(k0.x, k1.x, k2.x, k3.x);
    let y = vec4<f32>(k0.y, k1.y, k2.y, k3.y);
    let z = vec4<f32>(k0.z, k1.z, k2.z, k3.z);
    let w = vec4<f32>(k0.w, k1.w, k2.w, k3.w);
${each(
  rowsPerThread,
  (r) => `    let q${r} = queries[(rowLane + ${r}u * ROW_LANES) * (CHUNK + 1u) + d];
    s${r} += q${r}.x * x;
    s${r} += q${r}.y * y;
    s${r} += q${r}.z * z;
    s${r} += q${r}.w * w;`,
)}
  }
}`;

/** S = scale log₂e S, −1e30 where there is no key; the maxima of the thread's keys go to the row's other threads. */
const finishPlain = ({ rowsPerThread }: TileShape) => wgsl`
fn finishScores(tile: Located, start: u32, count: u32, lane: u32) {
  let keyLane = lane % KEY_LANES;
  let rowLane = (lane % THREADS) / KEY_LANES;
  let absent = vec4<bool>(
    keyTokens[keyLane] == ABSENT,
    keyTokens[keyLane + KEY_LANES] == ABSENT,
    keyTokens[keyLane + 2u * KEY_LANES] == ABSENT,
    keyTokens[keyLane + 3u * KEY_LANES] == ABSENT,
  );
${each(
  rowsPerThread,
  (r) => `  s${r} = select(s${r} * (shape.scale * LOG2_E), vec4<f32>(HIDDEN), absent);
  tellMaximum(rowLane + ${r}u * ROW_LANES, keyLane, s${r});`,
)}
}`;

/**
 * The same with a mask or a changed score. The rows pass through the thread's own places in \`weights\`, so that the
 * expressions stand in the text four times, not once for each score of the thread.
 */
const finishChanged = ({ rowsPerThread }: TileShape) => wgsl`
fn finishPair(tile: Located, query: i32, querySlot: i32, token: i32, keySlot: u32, product: f32) -> f32 {
  if (token == ABSENT) { return HIDDEN; }
  let key = select(token & TOKEN_BITS, ZERO, token == ZERO);
  let batch = i32(tile.batch);
  let head = i32(tile.head);
  let score = product * shape.scale;
  if (!isFull(token) && !keep(batch, head, query, key, querySlot, i32(keySlot), score)) { return HIDDEN; }
  return change(batch, head, query, key, querySlot, i32(keySlot), score) * LOG2_E;
}

fn finishScores(tile: Located, start: u32, count: u32, lane: u32) {
  let keyLane = lane % KEY_LANES;
  let rowLane = (lane % THREADS) / KEY_LANES;
${each(rowsPerThread, (r) => `  weights[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES + 1u) + keyLane] = s${r};`)}
  for (var r = 0u; r < ROWS; r++) {
    let row = rowLane + r * ROW_LANES;
    let query = queryTokens[row];
    let querySlot = i32(tile.firstSlot - tile.block * shape.queryBlock + row);
    let s = weights[row * (KEY_LANES + 1u) + keyLane];
    var finished: vec4<f32>;
${each(
  4,
  (j) =>
    `    finished[${j}] = finishPair(tile, query, querySlot, keyTokens[keyLane + ${j}u * KEY_LANES], start + keyLane + ${j}u * KEY_LANES, s[${j}]);`,
)}
    weights[row * (KEY_LANES + 1u) + keyLane] = finished;
    tellMaximum(row, keyLane, finished);
  }
${each(rowsPerThread, (r) => `  s${r} = weights[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES + 1u) + keyLane];`)}
}`;

/** m′ = max(m, max S), α = 2^(m − m′), P = 2^(S − m′), l = α l + Σ P, O = α O. A hidden pair's P is 0, a visible one's never. */
const rescale = ({ rowsPerThread, columns }: TileShape) => wgsl`
fn tellMaximum(row: u32, keyLane: u32, s: vec4<f32>) {
  maxima[row * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = max(max(s.x, s.y), max(s.z, s.w));
}

fn rowMaximum(row: u32) -> f32 {
  var largest = maxima[row * (KEY_LANES / 4u)];
  for (var i = 1u; i < KEY_LANES / 4u; i++) { largest = max(largest, maxima[row * (KEY_LANES / 4u) + i]); }
  return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

// NaN by its bits: compilers may turn p < x into !(p >= x), and drivers disagree on 2^NaN.
fn weightsOf(s: vec4<f32>, base: f32) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(s);
  let nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  let hidden = (bits >= vec4<u32>(HIDDEN_BITS)) & (bits <= vec4<u32>(MINUS_INFINITY));
  let p = max(bitcast<vec4<u32>>(exp2(s - base)), vec4<u32>(LEAST_BITS));
  return bitcast<vec4<f32>>(select(select(p, vec4<u32>(NOT_A_NUMBER), nan), vec4<u32>(0u), hidden));
}

fn rescale(lane: u32) {
  let keyLane = lane % KEY_LANES;
  let rowLane = (lane % THREADS) / KEY_LANES;
${each(
  rowsPerThread,
  (r) => `  {
    let row = rowLane + ${r}u * ROW_LANES;
    let base = max(m${r}, rowMaximum(row));
    let shrink = exp2(m${r} - base);
    let p = weightsOf(s${r}, base);
    m${r} = base;
    l${r} = l${r} * shrink + (p.x + p.y + p.z + p.w);
    weights[row * (KEY_LANES + 1u) + keyLane] = p;
${each(columns, (c) => `    o${r}_${c} *= shrink;`)}
    s${r} = vec4<f32>();
  }`,
)}
}`;

/** O = O + P V over one chunk of keys. */
const accumulate = ({ rowsPerThread, columns }: TileShape) => wgsl`
fn accumulate(chunk: u32, lane: u32) {
  let keyLane = lane % KEY_LANES;
  let rowLane = (lane % THREADS) / KEY_LANES;
  for (var k = 0u; k < VALUE_CHUNK / 4u; k++) {
    let at = chunk * (VALUE_CHUNK / 4u) + k;
${each(rowsPerThread, (r) => `    let p${r} = weights[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES + 1u) + at];`)}
${each(4, (j) =>
  each(
    columns,
    (c) => `    let v${j}_${c} = keyValues[(4u * k + ${j}u) * VALUE_STRIDE + ${c}u * KEY_LANES + keyLane];
${each(rowsPerThread, (r) => `    o${r}_${c} += p${r}[${j}] * v${j}_${c};`)}`,
  ),
)}
  }
}`;

/** The same where a value of the chunk is NaN or infinite: 0 times it is NaN, so hidden pairs are left out one by one. */
const accumulateSpoiled = ({ rowsPerThread, columns }: TileShape) => wgsl`
fn accumulateSpoiled(chunk: u32, lane: u32) {
  let keyLane = lane % KEY_LANES;
  let rowLane = (lane % THREADS) / KEY_LANES;
  for (var i = 0u; i < VALUE_CHUNK; i++) {
    let at = chunk * (VALUE_CHUNK / 4u) + i / 4u;
${each(columns, (c) => `    let v${c} = keyValues[i * VALUE_STRIDE + ${c}u * KEY_LANES + keyLane];`)}
${each(
  rowsPerThread,
  (r) => `    let p${r} = weights[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES + 1u) + at][i % 4u];
    if (p${r} != 0.0) {
${each(columns, (c) => `      o${r}_${c} += p${r} * v${c};`)}
    }`,
)}
  }
}`;

const spoiling = {
  /** Every row sees every value: nothing to keep apart. */
  never: wgsl`
fn noteSpoiled(numbers: vec4<f32>, generation: u32) {}
fn isSpoiled(generation: u32) -> bool { return false; }`,
  noted: wgsl`
fn noteSpoiled(numbers: vec4<f32>, generation: u32) {
  let exponents = bitcast<vec4<u32>>(numbers) & vec4<u32>(0x7f800000u);
  if (any(exponents == vec4<u32>(0x7f800000u))) { atomicStore(&spoiled[0], generation); }
}
fn isSpoiled(generation: u32) -> bool { return atomicLoad(&spoiled[0]) == generation; }`,
};

const epilogueStages = {
  scale: {
    none: 'fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }',
    number: 'fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return shape.epilogueScale * numbers; }',
    f32: 'fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return rowScaleNumber(row) * numbers; }',
    f16: 'fn scaled(row: u32, numbers: vec4<f32>) -> vec4<f32> { return rowScaleNumber(row) * numbers; }',
  },
  add: {
    none: 'fn added(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers; }',
    given:
      'fn added(row: u32, d: u32, numbers: vec4<f32>) -> vec4<f32> { return numbers + addendVector(row, d); }',
  },
};

/** O / l and ln2 m + ln l. The sum of a row that saw no key is exactly +0: told apart by its bits, as NaN is not less than anything. */
const store = ({ rowsPerThread, columns }: TileShape) => wgsl`
fn tellSums(lane: u32) {
  let keyLane = lane % KEY_LANES;
  let rowLane = (lane % THREADS) / KEY_LANES;
${each(rowsPerThread, (r) => `  maxima[(rowLane + ${r}u * ROW_LANES) * (KEY_LANES / 4u) + keyLane / 4u][keyLane % 4u] = l${r};`)}
}

fn rowSum(row: u32) -> f32 {
  var sums = maxima[row * (KEY_LANES / 4u)];
  for (var i = 1u; i < KEY_LANES / 4u; i++) { sums += maxima[row * (KEY_LANES / 4u) + i]; }
  return sums.x + sums.y + sums.z + sums.w;
}

// Drivers disagree on the logarithm of NaN.
fn sumBits(base: f32, sum: f32, empty: bool) -> u32 {
  if ((bitcast<u32>(sum) & 0x7fffffffu) > 0x7f800000u) { return NOT_A_NUMBER; }
  return select(bitcast<u32>((base + log2(sum)) * LN_2), MINUS_INFINITY, empty);
}

fn storeColumn(row: u32, d: u32, numbers: vec4<f32>) {
  if (d < VALUE_VECTORS) { outputStore(row, d, added(row, d, scaled(row, numbers))); }
}

fn store(tile: Located, lane: u32) {
  let keyLane = lane % KEY_LANES;
  let rowLane = (lane % THREADS) / KEY_LANES;
${each(
  rowsPerThread,
  (r) => `  {
    let token = queryTokens[rowLane + ${r}u * ROW_LANES];
    let sum = rowSum(rowLane + ${r}u * ROW_LANES);
    let empty = bitcast<u32>(sum) == 0u;
    let inverse = select(1.0 / sum, 0.0, empty);
    if (token >= 0) {
      let row = tile.queryRow + u32(token);
${each(columns, (c) => `      storeColumn(row, keyLane + ${c}u * KEY_LANES, o${r}_${c} * inverse);`)}
      if (keyLane == 0u) {
        logSumExp[row] = sumBits(m${r}, sum, empty);
      }
    }
  }`,
)}
}`;

const defaultKeep =
  'fn keep(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> bool { return true; }';
const defaultChange =
  'fn change(batch: i32, head: i32, query: i32, key: i32, querySlot: i32, keySlot: i32, score: f32) -> f32 { return score; }';
const fullBlocks = {
  honoured: 'fn isFull(token: i32) -> bool { return token >= FULL; }',
  ignored: 'fn isFull(token: i32) -> bool { return false; }',
};

/**
 * Softmax attention in plain f32, O = softmax(Q Kᵀ · scale) V, online over key tiles (Dao et al. 2022, algorithm 1).
 * Each thread keeps a few rows by four keys of the scores, and its share of those rows' outputs, in registers;
 * queries, keys and values pass through workgroup memory in chunks.
 */
export function portableForward(options: PortableOptions): Kernel {
  const key = JSON.stringify(options);
  let kernel = kernels.get(key);
  if (!kernel) {
    if (kernels.size >= MOST_KERNELS) kernels.clear();
    kernel = makeForward(options);
    kernels.set(key, kernel);
  }
  return kernel;
}

/** Texts by their options, which are data alone: making one costs more than a short launch. */
const kernels = new Map<string, Kernel>();
const MOST_KERNELS = 256;

function makeForward(options: PortableOptions): Kernel {
  const { tile, storage, headDim, valueDim } = options;
  const changed = options.keep !== undefined || options.change !== undefined;
  return assemble({
    name: 'softmax-forward-portable',
    bindings: bindingsOf(options),
    constants: {
      QUERY_TILE: tile.queryTile,
      KEY_TILE: tile.keyTile,
      ROWS: tile.rowsPerThread,
      KEY_LANES: tile.keyLanes,
      ROW_LANES: tile.rowLanes,
      THREADS: tile.threads,
      CHUNK: tile.chunk,
      HEAD_VECTORS: tile.headVectors,
      HEAD_CHUNKS: tile.headChunks,
      VALUE_VECTORS: tile.valueVectors,
      VALUE_STRIDE: tile.columns * tile.keyLanes,
      VALUE_CHUNK: tile.valueChunk,
      VALUE_CHUNKS: tile.keyTile / tile.valueChunk,
      NO_TOKEN: 0xffffffff,
      MINUS_INFINITY: 0xff800000,
      NOT_A_NUMBER: 0x7fc00000,
      HIDDEN_BITS: 0xefa18f08, // -1e29: scores from here down are hidden
      LEAST_BITS: 0x2081cea, // 1e-37
    },
    memory: tile.memory,
    registers: `${registers(tile)}
const LOG2_E = 1.4426950408889634;
const LN_2 = 0.6931471805599453;
// GPUs may assume that no number is infinite: a hidden pair's score is far below every other.
const HIDDEN = -1e30;`,
    stages: [
      keyConstants,
      readVector('query', storage, headDim),
      readVector('key', storage, headDim),
      readVector('value', storage, valueDim),
      storeVector('output', options.outputStorage, valueDim),
      locate(options),
      ...keyStages({
        kind: options.keys,
        place: options.lists,
        ordered: options.keyOrder,
        stopEarly: options.stopEarly,
        outside: options.outside,
      }),
      spoiling[options.keep === undefined ? 'never' : 'noted'],
      loads(tile),
      scores(tile),
      ...options.tableStages,
      ...(changed
        ? [
            fullBlocks[options.honourFullBlocks ? 'honoured' : 'ignored'],
            options.keep ?? defaultKeep,
            options.change ?? defaultChange,
            finishChanged(tile),
          ]
        : [finishPlain(tile)]),
      rescale(tile),
      accumulate(tile),
      accumulateSpoiled(tile),
      ...(options.epilogueScale === 'f32' || options.epilogueScale === 'f16'
        ? [readNumber('rowScale', options.epilogueScale)]
        : []),
      epilogueStages.scale[options.epilogueScale],
      ...(options.epilogueAdd === 'none' ? [] : [readVector('addend', options.epilogueAdd, valueDim)]),
      epilogueStages.add[options.epilogueAdd === 'none' ? 'none' : 'given'],
      store(tile),
    ],
    threads: tile.threads,
    memoryLimit: options.memoryLimit,
    main: wgsl`
  let tile = locate(workgroup);
  if (tile.firstSlot >= tile.endSlot) { return; }
  let count = keyCount(tile);
  resolveQueries(tile, lane);
  workgroupBarrier();
  loadQueries(tile, 0u, 0u, lane);
  for (var start = 0u; start < count; start += KEY_TILE) {
    resolveKeys(tile, start, count, lane);
    workgroupBarrier();
    for (var chunk = 0u; chunk < HEAD_CHUNKS; chunk++) {
      if (HEAD_CHUNKS > 1u) { loadQueries(tile, chunk, 0u, lane); }
      loadKeys(tile, chunk, 0u, lane);
      workgroupBarrier();
      scores(lane);
      workgroupBarrier();
    }
    finishScores(tile, start, count, lane);
    workgroupBarrier();
    rescale(lane);
    for (var chunk = 0u; chunk < VALUE_CHUNKS; chunk++) {
      let generation = (start / KEY_TILE) * VALUE_CHUNKS + chunk + 1u;
      loadValues(tile, chunk, generation, lane);
      workgroupBarrier();
      if (isSpoiled(generation)) { accumulateSpoiled(chunk, lane); } else { accumulate(chunk, lane); }
      workgroupBarrier();
    }
  }
  tellSums(lane);
  workgroupBarrier();
  store(tile, lane);`,
  });
}
