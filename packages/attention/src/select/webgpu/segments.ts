import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import type { HeadThresholdRequest, SelectedBlocks } from '../request.ts';
import { massStage } from './mass.ts';
import { digitStage, digits, narrowStage } from './narrow.ts';
import { type Scan, scanEnables, scanMemory, scanOf, scanStage } from './scan.ts';
import { candidateFields, candidateShape, candidateStage, rankStage, THREADS } from './stages.ts';

/**
 * A segment is what one threshold holds for: all rows of a head, or one long row. Its lines, rows of the head or pieces
 * of the long row, are shared out over workgroups; histograms add up in storage, in integers, so no order shows.
 */
export type SegmentKind = 'heads' | 'rows';

/** Columns of a piece of a long row. */
const PIECE = 2048;

const digit = digits(11);

const fields = uniform({
  ...candidateFields,
  lines: 'u32', // of a segment
  width: 'u32', // of a line
  cells: 'u32', // of a segment
  pieces: 'u32', // workgroups that share the lines of a segment
  keep: 'u32',
});

const places = {
  heads: wgsl`
fn rowOf(segment: u32, line: u32) -> u32 { return line; }
fn columnOf(line: u32, i: u32) -> u32 { return i; }
fn lineEnd(segment: u32, line: u32) -> u32 { return candidateCount(line); }
fn keepOf(segment: u32) -> u32 { return shape.keep; }`,
  rows: wgsl`
fn rowOf(segment: u32, line: u32) -> u32 { return segment; }
fn columnOf(line: u32, i: u32) -> u32 { return line * shape.width + i; }
fn lineEnd(segment: u32, line: u32) -> u32 {
  let candidates = candidateCount(segment);
  return min(candidates - min(candidates, line * shape.width), shape.width);
}
fn keepOf(segment: u32) -> u32 { return min(shape.keep, candidateCount(segment)); }`,
};

const keyStage = wgsl`
fn keyAt(segment: u32, line: u32, i: u32) -> u32 {
  let rank = rankOf(scores[segment * shape.cells + line * shape.width + i]);
  return select(rank, FORCED, isForced(rowOf(segment, line), columnOf(line, i)));
}`;

const shared = (kind: SegmentKind) => [rankStage, candidateStage, places[kind], keyStage];

/** Digits known: none; left to take: all that is asked for. */
const startKernel = kept((kind: SegmentKind) =>
  assemble({
    name: 'segments-start',
    bindings: { histograms: write('u32'), states: write('u32'), shape: fields },
    constants: { THREADS, ...digit },
    stages: [candidateStage, places[kind]],
    threads: THREADS,
    memoryLimit: 0,
    main: wgsl`
  for (var bin = lane; bin < BINS; bin += THREADS) { histograms[workgroup * BINS + bin] = 0u; }
  if (lane == 0u) {
    states[2u * workgroup] = 0u;
    states[2u * workgroup + 1u] = keepOf(workgroup);
  }`,
  }),
);

const countKernel = kept(({ kind, round }: { kind: SegmentKind; round: number }) =>
  assemble({
    name: 'segments-count',
    bindings: {
      scores: read('u32'), // bits of f32 [segments, lines, width]
      states: read('u32'), // [segments, 2]
      histograms: write('atomic<u32>'), // [segments, BINS]
      shape: fields,
    },
    constants: { THREADS, ...digit, ROUND: round },
    memory: { histogram: { type: 'atomic<u32>', length: digit.BINS } }, // 8 KiB
    stages: [...shared(kind), digitStage],
    threads: THREADS,
    memoryLimit: 16_384,
    main: wgsl`
  let segment = workgroup / shape.pieces;
  let known = states[2u * segment];
  for (var bin = lane; bin < BINS; bin += THREADS) { atomicStore(&histogram[bin], 0u); }
  workgroupBarrier();
  for (var line = workgroup % shape.pieces; line < shape.lines; line += shape.pieces) {
    let end = lineEnd(segment, line);
    for (var i = lane; i < end; i += THREADS) {
      let key = keyAt(segment, line, i);
      if (((key ^ known) & knownBits(ROUND)) == 0u) { atomicAdd(&histogram[digitOf(key, ROUND)], 1u); }
    }
  }
  workgroupBarrier();
  for (var bin = lane; bin < BINS; bin += THREADS) {
    let count = atomicLoad(&histogram[bin]);
    if (count > 0u) { atomicAdd(&histograms[segment * BINS + bin], count); }
  }`,
  }),
);

/** Takes a digit from the sums, and clears them for the next round. */
const narrowKernel = kept(({ round, scan }: { round: number; scan: Scan }) =>
  assemble({
    name: 'segments-narrow',
    enables: scanEnables[scan],
    bindings: { histograms: write('u32'), states: write('u32'), shape: fields },
    constants: { THREADS, ...digit, ROUND: round },
    memory: {
      ...scanMemory,
      bins: { type: 'u32', length: digit.BINS }, // 8 KiB
      found: { type: 'u32', length: 3 },
    },
    stages: [
      rankStage,
      'fn binAt(bin: u32) -> vec2<u32> { return vec2<u32>(bins[bin], 0u); }',
      scanStage(scan),
      massStage,
      digitStage,
      narrowStage,
    ],
    threads: THREADS,
    memoryLimit: 16_384,
    main: wgsl`
  for (var bin = lane; bin < BINS; bin += THREADS) {
    bins[bin] = histograms[workgroup * BINS + bin];
    histograms[workgroup * BINS + bin] = 0u;
  }
  if (lane == 0u) {
    found[0] = states[2u * workgroup];
    found[1] = states[2u * workgroup + 1u];
    found[2] = 0u;
  }
  workgroupBarrier();
  narrow(lane, shiftOf(ROUND));
  if (lane == 0u) {
    states[2u * workgroup] = found[0];
    states[2u * workgroup + 1u] = select(found[1], FORCED, found[0] == FORCED);
  }`,
  }),
);

/** Of each line: how many are above the threshold, how many equal it. */
const linesKernel = kept((kind: SegmentKind) =>
  assemble({
    name: 'segments-lines',
    bindings: {
      scores: read('u32'),
      states: read('u32'),
      lineCounts: write('u32'), // [segments, lines, 2]
      shape: fields,
    },
    constants: { THREADS },
    memory: { sums: { type: 'atomic<u32>', length: 2 } },
    stages: shared(kind),
    threads: THREADS,
    memoryLimit: 16_384,
    main: wgsl`
  let segment = workgroup / shape.lines;
  let line = workgroup % shape.lines;
  let threshold = states[2u * segment];
  if (lane < 2u) { atomicStore(&sums[lane], 0u); }
  workgroupBarrier();
  let end = lineEnd(segment, line);
  var mine = vec2<u32>();
  for (var i = lane; i < end; i += THREADS) {
    let key = keyAt(segment, line, i);
    mine += vec2<u32>(u32(key > threshold), u32(key == threshold));
  }
  atomicAdd(&sums[0], mine.x);
  atomicAdd(&sums[1], mine.y);
  workgroupBarrier();
  if (lane < 2u) { lineCounts[2u * workgroup + lane] = atomicLoad(&sums[lane]); }`,
  }),
);

const rowStores = {
  heads: wgsl`
fn storeLine(at: u32, first: u32, count: u32) {
  rows[2u * at] = first;
  rows[2u * at + 1u] = count;
}
fn storeSegment(segment: u32) {}`,
  rows: wgsl`
fn storeLine(at: u32, first: u32, count: u32) {}
fn storeSegment(segment: u32) {
  rows[2u * segment] = segment * shape.keep;
  rows[2u * segment + 1u] = keepOf(segment);
}`,
};

/** Of each line: its first entry, and how many equals it may take. Lines come in order, so lower ones take first. */
const startsKernel = kept(({ kind, scan }: { kind: SegmentKind; scan: Scan }) =>
  assemble({
    name: 'segments-starts',
    enables: scanEnables[scan],
    bindings: {
      states: read('u32'),
      lineCounts: write('u32'), // [segments, lines, 2]: above and equal; then first entry and equals to take
      rows: write('u32'), // [segments, lines, 2], or [segments, 2]
      shape: fields,
    },
    constants: { THREADS },
    memory: scanMemory,
    stages: [candidateStage, places[kind], rowStores[kind], scanStage(scan)],
    threads: THREADS,
    memoryLimit: 16_384,
    main: wgsl`
  let take = states[2u * workgroup + 1u];
  let run = (shape.lines + THREADS - 1u) / THREADS;
  let start = workgroup * shape.lines + min(lane * run, shape.lines);
  let end = workgroup * shape.lines + min(lane * run + run, shape.lines);
  var mine = vec2<u32>();
  for (var at = start; at < end; at++) { mine += vec2<u32>(lineCounts[2u * at], lineCounts[2u * at + 1u]); }
  var before = scanLanes(lane, mine);
  for (var at = start; at < end; at++) {
    let counts = vec2<u32>(lineCounts[2u * at], lineCounts[2u * at + 1u]);
    let first = workgroup * shape.keep + before.x + min(before.y, take);
    let equals = min(counts.y, take - min(before.y, take));
    lineCounts[2u * at] = first;
    lineCounts[2u * at + 1u] = equals;
    storeLine(at, first, counts.x + equals);
    before += counts;
  }
  if (lane == 0u) { storeSegment(workgroup); }`,
  }),
);

const writeKernel = kept(({ kind, scan }: { kind: SegmentKind; scan: Scan }) =>
  assemble({
    name: 'segments-write',
    enables: scanEnables[scan],
    bindings: {
      scores: read('u32'),
      states: read('u32'),
      lineCounts: read('u32'),
      blocks: write('u32'), // [segments, keep]
      shape: fields,
    },
    constants: { THREADS },
    memory: scanMemory,
    stages: [...shared(kind), scanStage(scan)],
    threads: THREADS,
    memoryLimit: 16_384,
    main: wgsl`
  let segment = workgroup / shape.lines;
  let line = workgroup % shape.lines;
  let threshold = states[2u * segment];
  let first = lineCounts[2u * workgroup];
  let equals = lineCounts[2u * workgroup + 1u];
  let end = lineEnd(segment, line);
  // each lane owns a run of columns, so that places ascend with columns
  let run = (end + THREADS - 1u) / THREADS;
  let start = min(lane * run, end);
  let stop = min(start + run, end);
  var mine = vec2<u32>();
  for (var i = start; i < stop; i++) {
    let key = keyAt(segment, line, i);
    mine += vec2<u32>(u32(key > threshold), u32(key == threshold));
  }
  var before = scanLanes(lane, mine);
  for (var i = start; i < stop; i++) {
    let key = keyAt(segment, line, i);
    if (key > threshold || (key == threshold && before.y < equals)) {
      blocks[first + before.x + min(before.y, equals)] = columnOf(line, i);
    }
    before += vec2<u32>(u32(key > threshold), u32(key == threshold));
  }`,
  }),
);

/** Workgroups for the histograms: enough to fill a GPU, and each with more cells to count than bins to clear and add. */
const COUNTING_GROUPS = 1024;
const COUNTED_CELLS = 4 * digit.BINS;

/** The `keep` best of each segment, by radix selection over many workgroups. Nine short launches. */
export async function selectSegments(
  gpu: Gpu,
  { scores, candidates }: Pick<HeadThresholdRequest, 'scores' | 'candidates'>,
  kind: SegmentKind,
  keep: number,
): Promise<SelectedBlocks> {
  const [batch, heads, rowCount, columns] = scores.shape;
  const perRow = kind === 'rows';
  const segments = batch * heads * (perRow ? rowCount : 1);
  const width = perRow ? PIECE : columns;
  const lines = perRow ? Math.ceil(columns / PIECE) : rowCount;
  const cells = perRow ? columns : rowCount * columns;
  const rowsShape = [batch, heads, rowCount, 2];
  if (keep === 0) {
    const none = new Uint32Array(segments * lines * 2);
    return {
      rows: gpu.tensor(none, rowsShape),
      blocks: gpu.empty([1], 'u32'),
      listBatches: batch,
      listHeads: heads,
    };
  }
  const pieces = Math.min(
    lines,
    Math.ceil(cells / COUNTED_CELLS),
    Math.ceil(COUNTING_GROUPS / Math.max(segments, 1)),
  );
  const shape = { ...candidateShape(candidates, rowCount, columns), lines, width, cells, pieces, keep };
  const rows = gpu.empty(rowsShape, 'u32');
  const blocks = gpu.empty([Math.max(segments * keep, 1)], 'u32');
  const histograms = gpu.allocate(segments * digit.BINS * 4);
  const states = gpu.allocate(segments * 8);
  const lineCounts = gpu.allocate(segments * lines * 8);
  const numbers = (scores as GpuTensor).storage;
  const scan = scanOf(gpu);
  try {
    await gpu.launch(startKernel(kind), { histograms, states, shape }, segments);
    for (let round = 0; round < digit.PASSES; round++) {
      const counted = { scores: numbers, states, histograms, shape };
      await gpu.launch(countKernel({ kind, round }), counted, segments * pieces);
      await gpu.launch(narrowKernel({ round, scan }), { histograms, states, shape }, segments);
    }
    const groups = segments * lines;
    await gpu.launch(linesKernel(kind), { scores: numbers, states, lineCounts, shape }, groups);
    await gpu.launch(
      startsKernel({ kind, scan }),
      { states, lineCounts, rows: rows.storage, shape },
      segments,
    );
    const written = { scores: numbers, states, lineCounts, blocks: blocks.storage, shape };
    await gpu.launch(writeKernel({ kind, scan }), written, groups);
  } finally {
    for (const buffer of [histograms, states, lineCounts]) gpu.release(buffer);
  }
  return { rows, blocks, listBatches: batch, listHeads: heads };
}

export function headThresholdOnGpu(gpu: Gpu, request: HeadThresholdRequest): Promise<SelectedBlocks> {
  return selectSegments(gpu, request, 'heads', request.keep);
}
