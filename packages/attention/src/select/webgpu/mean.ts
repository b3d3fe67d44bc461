import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { sizeOf } from '../../tensor.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import type { BlockMeanRequest, SegmentMeanRequest } from '../request.ts';
import { listStage, numberElement, numberOf, type Storage } from './stages.ts';

const MOST_THREADS = 128;
const MOST_ACROSS = 32;
const MOST_SLICES = 16;
/** Reads of a lane that are under way together. */
const AT_ONCE = 4;

/** Who reads what: `across` lanes a row side by side, `slices` of them rows of one block in turn, for `blocks` blocks. */
interface Lanes {
  /** Numbers of a row that a lane reads at once: 16 bytes of them where rows are whole so, else one. */
  unit: 8 | 4 | 1;
  units: number;
  across: number;
  pieces: number;
  slices: number;
  blocks: number;
}

function lanesOf(storage: Storage, headDim: number, block: number): Lanes {
  const wide = storage === 'f16' ? 8 : 4;
  const unit = headDim % wide === 0 ? wide : 1;
  const units = Math.ceil(headDim / unit);
  const across = Math.min(units, MOST_ACROSS);
  const most = Math.min(MOST_SLICES, block, MOST_THREADS / across);
  const slices = 2 ** Math.floor(Math.log2(Math.max(most, 1)));
  const blocks = Math.floor(MOST_THREADS / (across * slices));
  return { unit, units, across, pieces: Math.ceil(units / across), slices, blocks };
}

/** `numbersRaw(row, unit)`, and `part0(raw)` (of eight numbers `part1` as well): as they are stored, then as f32. */
const readings = {
  8: {
    element: () => 'vec4<u32>',
    stage: () => wgsl`
fn numbersRaw(row: u32, unit: u32) -> vec4<u32> { return numbers[row * UNITS + unit]; }
fn part0(raw: vec4<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(raw.x), unpack2x16float(raw.y)); }
fn part1(raw: vec4<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(raw.z), unpack2x16float(raw.w)); }`,
  },
  4: {
    element: () => 'vec4<f32>',
    stage: () => wgsl`
fn numbersRaw(row: u32, unit: u32) -> vec4<f32> { return numbers[row * UNITS + unit]; }
fn part0(raw: vec4<f32>) -> vec4<f32> { return raw; }`,
  },
  1: {
    element: (storage: Storage) => numberElement[storage],
    stage: (storage: Storage) => wgsl`
${numberOf[storage]('numbers')}
fn numbersRaw(row: u32, unit: u32) -> f32 { return numbersNumber(row * UNITS + unit); }
fn part0(raw: f32) -> f32 { return raw; }`,
  },
} as const;

/** Which tokens a block has: the slots of a layout, in order or as an order says, or a list of a selection. */
const members = {
  slots: wgsl`
fn slotsOf(row: u32) -> vec2<u32> {
  let block = row % shape.blocks;
  return vec2<u32>(block * shape.block, min((block + 1u) * shape.block, shape.slots));
}
fn tokenOf(slot: u32) -> u32 { return slot; }`,
  order: wgsl`
fn slotsOf(row: u32) -> vec2<u32> {
  let block = row % shape.blocks;
  return vec2<u32>(block * shape.block, min((block + 1u) * shape.block, shape.slots));
}
fn tokenOf(slot: u32) -> u32 { return order[slot]; }`,
  lists: wgsl`
fn slotsOf(row: u32) -> vec2<u32> {
  let at = 2u * (listOf(row / shape.blocks) * shape.blocks + row % shape.blocks);
  return vec2<u32>(rows[at], rows[at] + rows[at + 1u]);
}
fn tokenOf(slot: u32) -> u32 { return order[slot]; }`,
};

const empties = {
  zeros: (type: string) => `fn emptyPart(at: u32) -> ${type} { return ${type}(); }`,
  given: (type: string) => `fn emptyPart(at: u32) -> ${type} { return empty[at]; }`,
};

const text = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

/** Visits the lane's rows of a block, several at a time: `each(raw, isThere)` is what is done with one. */
const walk = (each: (raw: string, isThere: string) => string) => wgsl`
  for (var slot = slots.x + slice; slot < slots.y; slot += ${AT_ONCE}u * SLICES) {
${text(
  AT_ONCE,
  (i) => `    let slot${i} = slot + ${i}u * SLICES;
    let token${i} = tokenOf(min(slot${i}, slots.y - 1u));
    let isThere${i} = slot${i} < slots.y && token${i} < shape.tokens;  // padding is far beyond
    let raw${i} = numbersRaw(head * shape.tokens + select(0u, token${i}, isThere${i}), min(unit, UNITS - 1u));`,
)}
${text(AT_ONCE, (i) => each(`raw${i}`, `isThere${i}`))}
  }`;

/** Σ over the slices of a block of part p of the lane's unit. */
const totalStage = (type: string) => wgsl`
fn total(lane: u32, p: u32) -> ${type} {
  let first = p * THREADS + lane / (ACROSS * SLICES) * (ACROSS * SLICES) + lane % ACROSS;
  var sum = ${type}();
  for (var slice = 0u; slice < SLICES; slice++) { sum += sums[first + slice * ACROSS]; }
  return sum;
}`;

/** Mean absolute deviation, Σ |x − mean| / count, by a second walk over the block. */
const deviations = {
  none: () => '',
  stored: (parts: number, type: string) => wgsl`
${text(parts, (p) => `  sum${p} = ${type}();`)}
${walk((raw, isThere) => text(parts, (p) => `    sum${p} += select(${type}(), abs(part${p}(${raw}) - mean${p}), ${isThere});`))}
  workgroupBarrier();
${text(parts, (p) => `  sums[${p}u * THREADS + lane] = sum${p};`)}
  workgroupBarrier();
  if (isFirst) {
${text(parts, (p) => `    deviations[at + ${p}u] = total(lane, ${p}u) / divisor;`)}
  }`,
};

/** Mean of the tokens of blocks, each read once, 16 bytes at a time where rows allow. */
const meanKernel = kept(
  (options: {
    storage: Storage;
    lanes: Lanes;
    members: keyof typeof members;
    empty: keyof typeof empties;
    deviation: keyof typeof deviations;
  }) => {
    const { unit, units, across, pieces, slices, blocks } = options.lanes;
    const type = unit === 1 ? 'f32' : 'vec4<f32>';
    const parts = unit === 8 ? 2 : 1;
    const threads = across * slices * blocks;
    return assemble({
      name: 'block-mean',
      bindings: {
        numbers: read(readings[unit].element(options.storage)), // [heads, tokens, headDim]
        ...(options.members !== 'slots' && { order: read('u32') }), // [slots], or a list's tokens
        ...(options.members === 'lists' && { rows: read('u32') }), // [lists, blocks, 2]
        ...(options.empty === 'given' && { empty: read(type) }), // [heads, blocks, headDim]
        means: write(type), // [heads, blocks, headDim]
        ...(options.deviation === 'stored' && { deviations: write(type) }), // [heads, blocks, headDim]
        shape: uniform({
          tokens: 'u32',
          slots: 'u32',
          block: 'u32',
          blocks: 'u32',
          lines: 'u32', // heads x blocks
          heads: 'u32',
          listBatches: 'u32',
          listHeads: 'u32',
        }),
      },
      constants: {
        UNITS: units,
        ACROSS: across,
        PIECES: pieces,
        SLICES: slices,
        BLOCKS: blocks,
        THREADS: threads,
      },
      memory: {
        sums: { type, length: threads * parts }, // at most 4 KiB
        counts: { type: 'u32', length: slices * blocks },
      },
      stages: [
        readings[unit].stage(options.storage),
        ...(options.members === 'lists' ? [listStage] : []),
        members[options.members],
        empties[options.empty](type),
        totalStage(type),
      ],
      threads,
      memoryLimit: 16_384,
      main: wgsl`
  let unit = workgroup % PIECES * ACROSS + lane % ACROSS;
  let slice = lane / ACROSS % SLICES;
  let line = workgroup / PIECES * BLOCKS + lane / (ACROSS * SLICES);
  let row = min(line, shape.lines - 1u);
  let head = row / shape.blocks;
  let slots = slotsOf(row);
  var own = 0u;
${text(parts, (p) => `  var sum${p} = ${type}();`)}
${walk(
  (raw, isThere) =>
    `    own += u32(${isThere});\n${text(parts, (p) => `    sum${p} += select(${type}(), part${p}(${raw}), ${isThere});`)}`,
)}
${text(parts, (p) => `  sums[${p}u * THREADS + lane] = sum${p};`)}
  if (lane % ACROSS == 0u) { counts[lane / ACROSS] = own; }
  workgroupBarrier();
  var count = 0u;
  for (var i = 0u; i < SLICES; i++) { count += counts[lane / (ACROSS * SLICES) * SLICES + i]; }
  let divisor = f32(max(count, 1u));
${text(parts, (p) => `  let mean${p} = total(lane, ${p}u) / divisor;`)}
  let isFirst = slice == 0u && unit < UNITS && line < shape.lines;
  let at = (row * UNITS + unit) * ${parts}u;
  if (isFirst) {
${text(parts, (p) => `    if (count == 0u) { means[at + ${p}u] = emptyPart(at + ${p}u); } else { means[at + ${p}u] = mean${p}; }`)}
  }${deviations[options.deviation](parts, type)}`,
    });
  },
);

/** Workgroups of a launch over `lines` blocks. */
const groupsOf = ({ blocks, pieces }: Lanes, lines: number) => Math.ceil(lines / blocks) * pieces;

export async function blockMomentsOnGpu(
  gpu: Gpu,
  { input, layout }: BlockMeanRequest,
  wanted: { deviation: boolean },
): Promise<{ mean: GpuTensor; deviation: GpuTensor }> {
  const [batch, heads, tokens, headDim] = input.shape;
  const { slots, block, order } = layout;
  const blocks = Math.ceil(slots / block);
  const shape = [batch, heads, blocks, headDim];
  const mean = gpu.empty(shape, 'f32');
  const deviation = wanted.deviation ? gpu.empty(shape, 'f32') : mean;
  const lines = batch * heads * blocks;
  const lanes = lanesOf(input.dtype as Storage, headDim, block);
  await gpu.launch(
    meanKernel({
      storage: input.dtype as Storage,
      lanes,
      members: order ? 'order' : 'slots',
      empty: 'zeros',
      deviation: wanted.deviation ? 'stored' : 'none',
    }),
    {
      numbers: (input as GpuTensor).storage,
      ...(order && { order: gpu.uploadOnce(order, () => order) }),
      means: mean.storage,
      ...(wanted.deviation && { deviations: deviation.storage }),
      shape: { tokens, slots, block, blocks, lines, heads, listBatches: 1, listHeads: 1 },
    } as never,
    groupsOf(lanes, lines),
  );
  return { mean, deviation };
}

export async function segmentMeanOnGpu(
  gpu: Gpu,
  { input, members: lists, empty }: SegmentMeanRequest,
): Promise<GpuTensor> {
  const [batch, heads, tokens, headDim] = input.shape;
  const { rows, blocks: entries, listBatches, listHeads } = lists;
  const blocks = rows.shape[2];
  const mean = gpu.empty([batch, heads, blocks, headDim], 'f32');
  const lines = batch * heads * blocks;
  // how many tokens a list has is known on the device alone
  const lanes = lanesOf(input.dtype as Storage, headDim, MOST_SLICES);
  await gpu.launch(
    meanKernel({
      storage: input.dtype as Storage,
      lanes,
      members: 'lists',
      empty: empty ? 'given' : 'zeros',
      deviation: 'none',
    }),
    {
      numbers: (input as GpuTensor).storage,
      order: (entries as GpuTensor).storage,
      rows: (rows as GpuTensor).storage,
      ...(empty && { empty: (empty as GpuTensor).storage }),
      means: mean.storage,
      shape: {
        tokens,
        slots: sizeOf(entries.shape),
        block: 1,
        blocks,
        lines,
        heads,
        listBatches,
        listHeads,
      },
    } as never,
    groupsOf(lanes, lines),
  );
  return mean;
}
