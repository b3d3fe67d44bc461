import { ArgumentError, bytesPerElement, DeviceError, type Tensor } from '@saccade/attention';
import {
  assemble,
  emptyLike,
  type Kernel,
  largestBuffer,
  offers,
  read,
  runKernel,
  uniform,
  wgsl,
  write,
} from '@saccade/attention/custom';
import type { Inputs } from '../kit/paper.ts';

/**
 * The two ways to compute neighbourhood attention that the paper starts from, as WGSL kernels that store f32 or f16
 * and add up in f32. Both write the N x W weights to memory: PN (scores of each query with its neighbours), a softmax over the W weights, NN (weighted
 * sum of the neighbours' values). `naive`: one thread a (query, neighbour) pair, then one a (query, four dims).
 * `unfused`: both as tiles of a matrix product, with the weights scattered (PN) and gathered (NN). Section 3.1, 3.2.
 */
export type BaselineName = 'naive' | 'unfused';

export interface Neighbourhood {
  grid: readonly number[];
  window: readonly number[];
  dilation: readonly number[];
  causal: readonly boolean[];
}

/** What a baseline's tensors and weights are stored as. */
type Storage = 'f32' | 'f16';

const scoreBindings = (storage: Storage) => ({
  query: read(storage), // [batch, heads, tokens, headDim]
  key: read(storage), // [batch, heads, tokens, headDim]
  weights: write(storage), // [batch, heads, tokens, W]
  shape: uniform({ items: 'u32', scale: 'f32' }),
});
const softmaxBindings = (storage: Storage) => ({
  weights: write(storage),
  shape: uniform({ items: 'u32' }),
});
const valueBindings = (storage: Storage) => ({
  weights: read(storage), // [batch, heads, tokens, W]
  value: read(storage), // [batch, heads, tokens, headDim]
  output: write(storage), // [batch, heads, tokens, headDim]
  shape: uniform({ items: 'u32' }),
});
const enablesOf = (storage: Storage) => (storage === 'f16' ? ['f16'] : []);
/** Stands where a query has no neighbour: no score of finite inputs of usual size is as low, and a half can hold it. */
const BLANK = { f32: '-1e30', f16: '-6e4' };

const THREADS = 256;
/** Queries and keys of a tile of the unfused kernels; a box of the grid holds as many queries. */
const TILE = 64;
const SLAB = 16; // dimensions staged at a time
const KEYS = 32; // keys of a gathered weight tile
const boxes = [[64], [8, 8], [4, 4, 4]];

/**
 * Runs a baseline on WebGPU tensors in f32, or in f16 where shaders compute with halves; heads of key and query equal.
 * @returns the output [batch, heads, tokens, headDim] and the bytes of the weights it had to store
 * @throws ArgumentError if the weights do not fit a buffer of the device, or tensors are not all f32 or all f16;
 *   DeviceError for f16 where the device has no shader-f16
 */
export async function baseline(
  name: BaselineName,
  { query, key, value }: Inputs,
  neighbourhood: Neighbourhood,
): Promise<{ output: Tensor; weightBytes: number }> {
  const [batch, heads, tokens, headDim] = query.shape;
  const geometry = describe(neighbourhood);
  const rows = batch * heads * tokens;
  const storage = query.dtype;
  if (storage !== 'f32' && storage !== 'f16')
    throw new ArgumentError('baseline', 'query', `of dtype ${storage}`, 'f32 or f16');
  for (const [label, tensor] of Object.entries({ key, value })) {
    if (tensor.dtype !== storage)
      throw new ArgumentError('baseline', label, `of dtype ${tensor.dtype}`, `${storage}, as query`);
  }
  if (storage === 'f16' && !offers(query.device, 'shader-f16'))
    throw new DeviceError('the baselines cannot store halves', {
      needs: 'shader-f16',
      has: query.device.description,
    });
  const weightBytes = rows * geometry.window * bytesPerElement(storage);
  const limit = largestBuffer(query.device);
  if (weightBytes > limit)
    throw new ArgumentError(
      'baseline',
      'window',
      `${neighbourhood.window.join(' x ')} (weights of ${weightBytes} bytes)`,
      `weights of at most ${limit} bytes`,
    );
  if (headDim % 4 !== 0) throw new ArgumentError('baseline', 'headDim', headDim, 'a multiple of 4');
  const weights = emptyLike(query, [batch, heads, tokens, geometry.window], storage);
  const output = emptyLike(query, query.shape, storage);
  const kernels = (name === 'naive' ? naiveKernels : unfusedKernels)(geometry, headDim, storage);
  const tiles = batch * heads * geometry.tiles;
  try {
    const scale = headDim ** -0.5;
    const pairs = rows * geometry.window;
    await runKernel(
      kernels.scores,
      { query, key, weights, shape: { items: pairs, scale } },
      name === 'naive' ? Math.ceil(pairs / THREADS) : tiles,
    );
    await runKernel(kernels.softmax, { weights, shape: { items: rows } }, Math.ceil(rows / THREADS));
    const pieces = (rows * headDim) / 4;
    await runKernel(
      kernels.values,
      { weights, value, output, shape: { items: pieces } },
      name === 'naive' ? Math.ceil(pieces / THREADS) : tiles * Math.ceil(headDim / TILE),
    );
  } finally {
    weights.dispose();
  }
  return { output, weightBytes };
}

interface Geometry {
  constants: Record<string, number>;
  window: number; // W
  tiles: number; // query boxes of the grid, over all dilation groups
}

function describe({ grid, window, dilation, causal }: Neighbourhood): Geometry {
  const pad = <T>(values: readonly T[], filler: T): T[] => [
    ...Array(3 - values.length).fill(filler),
    ...values,
  ];
  const [n, w, d, c] = [pad(grid, 1), pad(window, 1), pad(dilation, 1), pad(causal, false)];
  const box = pad(boxes[grid.length - 1], 1);
  const constants: Record<string, number> = { W: w[0] * w[1] * w[2], TOKENS: n[0] * n[1] * n[2] };
  let tiles = 1;
  for (let a = 0; a < 3; a++) {
    constants[`N${a}`] = n[a];
    constants[`W${a}`] = w[a];
    constants[`D${a}`] = d[a];
    constants[`CAUSAL${a}`] = c[a] ? 1 : 0;
    constants[`BOX${a}`] = box[a];
    constants[`TILES${a}`] = Math.ceil(Math.ceil(n[a] / d[a]) / box[a]);
    tiles *= constants[`TILES${a}`] * d[a];
  }
  constants.TILES = tiles;
  return { constants, window: constants.W, tiles };
}

/** start(i), end(i) of an axis inside its dilation group, as in reference.ts (1). */
const axisStage = wgsl`
fn groupLength(n: u32, d: u32, g: u32) -> u32 { return (n - g + d - 1u) / d; }
fn windowStart(i: i32, n: i32, w: i32, causal: u32) -> i32 {
  if (causal == 1u) { return max(i - w + 1, 0); }
  return clamp(i - (w - 1) / 2, 0, n - w);
}
fn windowEnd(i: i32, n: i32, w: i32, causal: u32) -> i32 {
  if (causal == 1u) { return i + 1; }
  return windowStart(i, n, w, causal) + w;
}`;

/** Token of neighbour t of token x, or -1 where a causal window is cut. */
const neighbourStage = wgsl`
fn neighbourOnAxis(x: u32, t: u32, n: u32, w: u32, d: u32, causal: u32) -> i32 {
  let g = x % d;
  let i = i32(x / d);
  let length = i32(groupLength(n, d, g));
  let j = windowStart(i, length, i32(w), causal) + i32(t);
  if (j >= windowEnd(i, length, i32(w), causal)) { return -1; }
  return j * i32(d) + i32(g);
}
fn neighbour(token: u32, t: u32) -> i32 {
  let a = neighbourOnAxis(token / (N1 * N2), t / (W1 * W2), N0, W0, D0, CAUSAL0);
  let b = neighbourOnAxis((token / N2) % N1, (t / W2) % W1, N1, W1, D1, CAUSAL1);
  let c = neighbourOnAxis(token % N2, t % W2, N2, W2, D2, CAUSAL2);
  if (a < 0 || b < 0 || c < 0) { return -1; }
  return (a * i32(N1) + b) * i32(N2) + c;
}`;

/** P = softmax over the W weights of a row; BLANK marks no neighbour. One thread a row. */
const softmaxKernel = (geometry: Geometry, storage: Storage): Kernel<ReturnType<typeof softmaxBindings>> =>
  assemble({
    name: 'fna-baseline-softmax',
    enables: enablesOf(storage),
    bindings: softmaxBindings(storage),
    constants: geometry.constants,
    stages: [],
    threads: THREADS,
    main: wgsl`
  let row = workgroup * ${THREADS}u + lane;
  if (row < shape.items) {
    var highest = ${BLANK[storage]};
    for (var t = 0u; t < W; t++) { highest = max(highest, f32(weights[row * W + t])); }
    var sum = 0.0;
    for (var t = 0u; t < W; t++) {
      let score = f32(weights[row * W + t]);
      let weight = select(exp(score - highest), 0.0, score <= ${BLANK[storage]});
      weights[row * W + t] = ${storage}(weight);
      sum += weight;
    }
    for (var t = 0u; t < W; t++) { weights[row * W + t] = ${storage}(f32(weights[row * W + t]) / sum); }
  }`,
  });

function naiveKernels(geometry: Geometry, headDim: number, storage: Storage) {
  const constants = { ...geometry.constants, HEAD_DIM: headDim };
  return {
    /** PN: one thread a (query, neighbour) pair. */
    scores: assemble({
      name: 'fna-naive-scores',
      enables: enablesOf(storage),
      bindings: scoreBindings(storage),
      constants,
      stages: [axisStage, neighbourStage],
      threads: THREADS,
      main: wgsl`
  let pair = workgroup * ${THREADS}u + lane;
  if (pair < shape.items) {
    let row = pair / W;
    let token = row % TOKENS;
    let other = neighbour(token, pair % W);
    var score = f32(${BLANK[storage]});
    if (other >= 0) {
      let keyRow = (row - token + u32(other)) * HEAD_DIM;
      var dot = 0.0;
      for (var d = 0u; d < HEAD_DIM; d++) { dot += f32(query[row * HEAD_DIM + d]) * f32(key[keyRow + d]); }
      score = dot * shape.scale;
    }
    weights[pair] = ${storage}(score);
  }`,
    }),
    softmax: softmaxKernel(geometry, storage),
    /** NN: one thread a (query, four dims). */
    values: assemble({
      name: 'fna-naive-values',
      enables: enablesOf(storage),
      bindings: valueBindings(storage),
      constants,
      stages: [axisStage, neighbourStage],
      threads: THREADS,
      main: wgsl`
  let piece = workgroup * ${THREADS}u + lane;
  if (piece < shape.items) {
    let row = piece / (HEAD_DIM / 4u);
    let dim = (piece % (HEAD_DIM / 4u)) * 4u;
    let token = row % TOKENS;
    var sum = vec4<f32>();
    for (var t = 0u; t < W; t++) {
      let other = neighbour(token, t);
      if (other >= 0) {
        let at = (row - token + u32(other)) * HEAD_DIM + dim;
        sum += f32(weights[row * W + t]) *
          vec4<f32>(vec4<${storage}>(value[at], value[at + 1u], value[at + 2u], value[at + 3u]));
      }
    }
    let at = row * HEAD_DIM + dim;
    let four = vec4<${storage}>(sum);
    output[at] = four.x; output[at + 1u] = four.y; output[at + 2u] = four.z; output[at + 3u] = four.w;
  }`,
    }),
  };
}

/** The query box of a workgroup, its haloed key box, and which neighbour of a query a key is. */
const boxStage = wgsl`
struct Box { group: vec3<u32>, first: vec3<u32>, length: vec3<u32>, start: vec3<u32>, extent: vec3<u32>, keys: u32 }
fn axisBox(tile: u32, tiles: u32, n: u32, w: u32, d: u32, causal: u32, box: u32) -> array<u32, 5> {
  let g = tile / tiles;
  let first = (tile % tiles) * box;
  let length = groupLength(n, d, g);
  if (first >= length) { return array<u32, 5>(g, first, length, 0u, 0u); }
  let last = min(first + box, length) - 1u;
  let start = u32(windowStart(i32(first), i32(length), i32(w), causal));
  return array<u32, 5>(g, first, length, start, u32(windowEnd(i32(last), i32(length), i32(w), causal)) - start);
}
fn boxOf(tile: u32) -> Box {
  let size2 = TILES2 * D2;
  let size1 = TILES1 * D1;
  let a = axisBox(tile / (size1 * size2), TILES0, N0, W0, D0, CAUSAL0, BOX0);
  let b = axisBox((tile / size2) % size1, TILES1, N1, W1, D1, CAUSAL1, BOX1);
  let c = axisBox(tile % size2, TILES2, N2, W2, D2, CAUSAL2, BOX2);
  return Box(vec3(a[0], b[0], c[0]), vec3(a[1], b[1], c[1]), vec3(a[2], b[2], c[2]),
    vec3(a[3], b[3], c[3]), vec3(a[4], b[4], c[4]), a[4] * b[4] * c[4]);
}
fn tokenAt(inner: vec3<u32>, group: vec3<u32>) -> u32 {
  let x = inner * vec3(D0, D1, D2) + group;
  return (x.x * N1 + x.y) * N2 + x.z;
}
fn queryInner(box: Box, r: u32) -> vec3<u32> {
  return box.first + vec3(r / (BOX1 * BOX2), (r / BOX2) % BOX1, r % BOX2);
}
fn keyInner(box: Box, p: u32) -> vec3<u32> {
  return box.start + vec3(p / (box.extent.y * box.extent.z), (p / box.extent.z) % box.extent.y, p % box.extent.z);
}
fn axisPlace(i: u32, j: u32, length: u32, w: u32, causal: u32) -> i32 {
  let start = windowStart(i32(i), i32(length), i32(w), causal);
  if (i32(j) < start || i32(j) >= windowEnd(i32(i), i32(length), i32(w), causal)) { return -1; }
  return i32(j) - start;
}
/* t of the pair, or -1 where the key is not a neighbour or either lies outside the grid */
fn place(box: Box, i: vec3<u32>, j: vec3<u32>) -> i32 {
  if (any(i >= box.length) || any(j >= box.length)) { return -1; }
  let a = axisPlace(i.x, j.x, box.length.x, W0, CAUSAL0);
  let b = axisPlace(i.y, j.y, box.length.y, W1, CAUSAL1);
  let c = axisPlace(i.z, j.z, box.length.z, W2, CAUSAL2);
  if (a < 0 || b < 0 || c < 0) { return -1; }
  return (a * i32(W1) + b) * i32(W2) + c;
}`;

function unfusedKernels(geometry: Geometry, headDim: number, storage: Storage) {
  const constants = { ...geometry.constants, HEAD_DIM: headDim, TILE, SLAB, KEYS };
  return {
    /** PN as a tiled product of a query box with its haloed key box; entries that are neighbours are scattered. */
    scores: assemble({
      name: 'fna-unfused-scores',
      enables: enablesOf(storage),
      bindings: scoreBindings(storage),
      constants,
      memory: {
        queries: { type: 'f32', length: SLAB * TILE }, // 4 KiB, [SLAB][TILE]
        keys: { type: 'f32', length: SLAB * TILE }, // 4 KiB, [SLAB][TILE]
      },
      stages: [axisStage, boxStage],
      threads: THREADS,
      main: wgsl`
  let box = boxOf(workgroup % TILES);
  let headRow = (workgroup / TILES) * TOKENS;
  // a causal cut leaves entries that no key fills: mark all of the box's rows first
  for (var e = lane; e < TILE * W; e += ${THREADS}u) {
    let i = queryInner(box, e / W);
    if (all(i < box.length)) { weights[(headRow + tokenAt(i, box.group)) * W + e % W] = ${storage}(${BLANK[storage]}); }
  }
  storageBarrier();
  let row = (lane / 16u) * 4u;
  let column = (lane % 16u) * 4u;
  for (var first = 0u; first < box.keys; first += TILE) {
    var sums = array<vec4<f32>, 4>();
    for (var slab = 0u; slab < HEAD_DIM; slab += SLAB) {
      workgroupBarrier();
      for (var e = lane; e < SLAB * TILE; e += ${THREADS}u) {
        let r = e / SLAB;
        let dim = slab + e % SLAB;
        let i = queryInner(box, r);
        let j = keyInner(box, first + r);
        var q = 0.0;
        var k = 0.0;
        if (dim < HEAD_DIM && all(i < box.length)) { q = f32(query[(headRow + tokenAt(i, box.group)) * HEAD_DIM + dim]); }
        if (dim < HEAD_DIM && first + r < box.keys) { k = f32(key[(headRow + tokenAt(j, box.group)) * HEAD_DIM + dim]); }
        queries[(e % SLAB) * TILE + r] = q;
        keys[(e % SLAB) * TILE + r] = k;
      }
      workgroupBarrier();
      for (var d = 0u; d < SLAB; d++) {
        let at = d * TILE + column;
        let k = vec4(keys[at], keys[at + 1u], keys[at + 2u], keys[at + 3u]);
        for (var r = 0u; r < 4u; r++) { sums[r] += queries[d * TILE + row + r] * k; }
      }
    }
    for (var r = 0u; r < 4u; r++) {
      let i = queryInner(box, row + r);
      for (var c = 0u; c < 4u; c++) {
        if (first + column + c < box.keys) {
          let t = place(box, i, keyInner(box, first + column + c));
          if (t >= 0) { weights[(headRow + tokenAt(i, box.group)) * W + u32(t)] = ${storage}(sums[r][c] * shape.scale); }
        }
      }
    }
  }`,
    }),
    softmax: softmaxKernel(geometry, storage),
    /** NN as a tiled product: the weights of a query box are gathered into a tile per run of keys. */
    values: assemble({
      name: 'fna-unfused-values',
      enables: enablesOf(storage),
      bindings: valueBindings(storage),
      constants,
      memory: {
        tile: { type: 'f32', length: KEYS * TILE }, // 8 KiB, [KEYS][TILE]
        values: { type: 'f32', length: KEYS * TILE }, // 8 KiB, [KEYS][TILE dims]
      },
      stages: [axisStage, boxStage],
      threads: THREADS,
      main: wgsl`
  let slabs = (HEAD_DIM + TILE - 1u) / TILE;
  let slab = (workgroup % slabs) * TILE;
  let box = boxOf((workgroup / slabs) % TILES);
  let headRow = (workgroup / (slabs * TILES)) * TOKENS;
  let row = (lane / 16u) * 4u;
  let column = (lane % 16u) * 4u;
  var sums = array<vec4<f32>, 4>();
  for (var first = 0u; first < box.keys; first += KEYS) {
    workgroupBarrier();
    for (var e = lane; e < KEYS * TILE; e += ${THREADS}u) {
      let r = e % TILE;
      let p = first + e / TILE;
      let i = queryInner(box, r);
      let j = keyInner(box, p);
      var weight = 0.0;
      var v = 0.0;
      if (p < box.keys) {
        let t = place(box, i, j);
        if (t >= 0) { weight = f32(weights[(headRow + tokenAt(i, box.group)) * W + u32(t)]); }
        if (slab + r < HEAD_DIM) { v = f32(value[(headRow + tokenAt(j, box.group)) * HEAD_DIM + slab + r]); }
      }
      tile[e] = weight;
      values[e] = v;
    }
    workgroupBarrier();
    for (var p = 0u; p < KEYS; p++) {
      let at = p * TILE + column;
      let v = vec4(values[at], values[at + 1u], values[at + 2u], values[at + 3u]);
      for (var r = 0u; r < 4u; r++) { sums[r] += tile[p * TILE + row + r] * v; }
    }
  }
  for (var r = 0u; r < 4u; r++) {
    let i = queryInner(box, row + r);
    if (all(i < box.length)) {
      let at = (headRow + tokenAt(i, box.group)) * HEAD_DIM + slab + column;
      for (var c = 0u; c < 4u; c++) {
        if (slab + column + c < HEAD_DIM) { output[at + c] = ${storage}(sums[r][c]); }
      }
    }
  }`,
    }),
  };
}
