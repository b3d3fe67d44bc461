import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { sizeOf } from '../../tensor.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import type { GroupBySegmentRequest, InvertListsRequest, SelectedBlocks } from '../request.ts';
import { type Scan, scanEnables, scanMemory, scanOf, scanStage } from './scan.ts';
import { THREADS } from './stages.ts';

/** What is inverted: the lists of a plan, or one id a row. `entryAt` gives FULL_BLOCK's bit beside the column. */
type Entries = 'lists' | 'ids';

const entries = {
  lists: wgsl`
fn entriesOf(row: u32) -> vec2<u32> { return vec2<u32>(rows[2u * row], rows[2u * row] + rows[2u * row + 1u]); }
fn columnOf(entry: u32) -> u32 { return entry & 0x7fffffffu; }`,
  ids: wgsl`
fn entriesOf(row: u32) -> vec2<u32> { return vec2<u32>(row, row + 1u); }
fn columnOf(entry: u32) -> u32 { return entry; }`,
};

const fields = uniform({
  lists: 'u32',
  rowCount: 'u32', // rows of a list
  words: 'u32', // u32 that hold a bit a row
  columns: 'u32',
  cells: 'u32', // lists x words x columns
});

/** Word w of a column: bit r says that row 32 w + r names it; the second plane, that the entry is marked. */
const bitsStage = wgsl`
fn wordAt(list: u32, word: u32, column: u32) -> u32 { return (list * shape.words + word) * shape.columns + column; }`;

const clearKernel = assemble({
  name: 'invert-clear',
  bindings: { bits: write('u32'), shape: fields },
  constants: { THREADS },
  stages: [],
  threads: THREADS,
  memoryLimit: 0,
  main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at < 2u * shape.cells) { bits[at] = 0u; }`,
});

const lanes = { lists: 8, ids: 1 };

/** Sets a bit an entry. Eight lanes share a list; bits are or'ed, so no order shows. */
const markKernel = kept((kind: Entries) =>
  assemble({
    name: 'invert-mark',
    bindings: {
      ...(kind === 'lists' && { rows: read('u32') }), // [lists, rowCount, 2]
      blocks: read('u32'),
      bits: write('atomic<u32>'), // [2, lists, words, columns]
      shape: fields,
    },
    constants: { THREADS, LANES: lanes[kind] },
    stages: [entries[kind], bitsStage],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  let row = workgroup * (THREADS / LANES) + lane / LANES;
  if (row >= shape.lists * shape.rowCount) { return; }
  let place = row % shape.rowCount;
  let span = entriesOf(row);
  for (var at = span.x + lane % LANES; at < span.y; at += LANES) {
    let entry = blocks[at];
    let column = columnOf(entry);
    if (column < shape.columns) {
      let word = wordAt(row / shape.rowCount, place / 32u, column);
      atomicOr(&bits[word], 1u << (place % 32u));
      if (column != entry) { atomicOr(&bits[shape.cells + word], 1u << (place % 32u)); }
    }
  }`,
  }),
);

/** Entries of all rows of the lists before this one: an upper bound where entries are out of range, so lists never overlap. */
const bases = {
  lists: wgsl`
fn entriesBefore(list: u32, lane: u32) -> u32 {
  var mine = 0u;
  for (var row = lane; row < list * shape.rowCount; row += THREADS) { mine += rows[2u * row + 1u]; }
  let before = scanLanes(lane, vec2<u32>(mine, 0u));
  return scanTotal().x;
}`,
  ids: wgsl`
fn entriesBefore(list: u32, lane: u32) -> u32 { return list * shape.rowCount; }`,
};

/** Counts the bits of each column, and places the columns of a list one after another. One workgroup a list. */
const placeKernel = kept(({ kind, scan }: { kind: Entries; scan: Scan }) =>
  assemble({
    name: 'invert-place',
    enables: scanEnables[scan],
    bindings: {
      ...(kind === 'lists' && { rows: read('u32') }),
      bits: read('u32'),
      columnRows: write('u32'), // [lists, columns, 2]
      shape: fields,
    },
    constants: { THREADS },
    memory: scanMemory,
    stages: [scanStage(scan), bases[kind], bitsStage],
    threads: THREADS,
    memoryLimit: 16_384,
    main: wgsl`
  let list = workgroup;
  var first = entriesBefore(list, lane);
  workgroupBarrier();
  for (var start = 0u; start < shape.columns; start += THREADS) {
    let column = start + lane;
    var count = 0u;
    if (column < shape.columns) {
      for (var word = 0u; word < shape.words; word++) { count += countOneBits(bits[wordAt(list, word, column)]); }
    }
    let place = first + scanLanes(lane, vec2<u32>(count, 0u)).x;
    if (column < shape.columns) {
      columnRows[2u * (list * shape.columns + column)] = place;
      columnRows[2u * (list * shape.columns + column) + 1u] = count;
    }
    first += scanTotal().x;
    workgroupBarrier();
  }`,
  }),
);

/** Writes the rows of a column, in the order of its bits. One lane a column. */
const fillKernel = assemble({
  name: 'invert-fill',
  bindings: {
    bits: read('u32'),
    columnRows: read('u32'),
    inverted: write('u32'),
    shape: fields,
  },
  constants: { THREADS, MARK: 0x80000000 },
  stages: [bitsStage],
  threads: THREADS,
  memoryLimit: 0,
  main: wgsl`
  let at = workgroup * THREADS + lane;
  if (at >= shape.lists * shape.columns) { return; }
  var place = columnRows[2u * at];
  for (var word = 0u; word < shape.words; word++) {
    let cell = wordAt(at / shape.columns, word, at % shape.columns);
    let marks = bits[shape.cells + cell];
    for (var rest = bits[cell]; rest != 0u; rest &= rest - 1u) {
      let bit = firstTrailingBit(rest);
      inverted[place] = (32u * word + bit) | select(0u, MARK, ((marks >> bit) & 1u) == 1u);
      place++;
    }
  }`,
});

async function invert(
  gpu: Gpu,
  kind: Entries,
  given: { rows: GPUBuffer | undefined; blocks: GpuTensor },
  sizes: { listBatches: number; listHeads: number; rowCount: number; columns: number },
): Promise<SelectedBlocks> {
  const { listBatches, listHeads, rowCount, columns } = sizes;
  const lists = listBatches * listHeads;
  const words = Math.ceil(rowCount / 32);
  const cells = lists * words * columns;
  const shape = { lists, rowCount, words, columns, cells };
  const bits = gpu.allocate(cells * 8);
  const rows = gpu.empty([listBatches, listHeads, columns, 2], 'u32');
  const blocks = gpu.empty([Math.max(sizeOf(given.blocks.shape), 1)], 'u32');
  const read = given.rows && { rows: given.rows };
  const columnRows = rows.storage;
  try {
    await gpu.launch(clearKernel, { bits, shape }, Math.ceil((2 * cells) / THREADS));
    const marked = { ...read, blocks: given.blocks.storage, bits, shape };
    await gpu.launch(
      markKernel(kind),
      marked as never,
      Math.ceil((lists * rowCount * lanes[kind]) / THREADS),
    );
    const placed = placeKernel({ kind, scan: scanOf(gpu) });
    await gpu.launch(placed, { ...read, bits, columnRows, shape } as never, lists);
    const filled = { bits, columnRows, inverted: blocks.storage, shape };
    await gpu.launch(fillKernel, filled, Math.ceil((lists * columns) / THREADS));
  } finally {
    gpu.release(bits);
  }
  return { rows, blocks, listBatches, listHeads };
}

export function invertListsOnGpu(gpu: Gpu, { lists, columns }: InvertListsRequest): Promise<SelectedBlocks> {
  const { rows, blocks, listBatches, listHeads } = lists;
  const given = { rows: (rows as GpuTensor).storage, blocks: blocks as GpuTensor };
  return invert(gpu, 'lists', given, { listBatches, listHeads, rowCount: rows.shape[2], columns });
}

export function groupBySegmentOnGpu(
  gpu: Gpu,
  { ids, segments }: GroupBySegmentRequest,
): Promise<SelectedBlocks> {
  const [listBatches, listHeads, rowCount] = ids.shape;
  const given = { rows: undefined, blocks: ids as GpuTensor };
  return invert(gpu, 'ids', given, { listBatches, listHeads, rowCount, columns: segments });
}
