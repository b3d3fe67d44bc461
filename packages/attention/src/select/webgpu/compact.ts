import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { sizeOf } from '../../tensor.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import type { CompactRequest, SelectedBlocks } from '../request.ts';
import { type Scan, scanEnables, scanMemory, scanOf, scanStage } from './scan.ts';
import { madeOnce, THREADS } from './stages.ts';

/** The columns of each row whose mask is not 0. One workgroup a row, which takes 256 columns at a time. */
const compactKernel = madeOnce((scan: Scan) =>
  assemble({
    name: 'compact',
    enables: scanEnables[scan],
    bindings: {
      mask: read('u32'), // [rows, columns]
      rows: write('u32'), // [rows, 2]
      blocks: write('u32'), // [rows, columns]
      shape: uniform({ columns: 'u32' }),
    },
    constants: { THREADS },
    memory: scanMemory,
    stages: [scanStage(scan)],
    threads: THREADS,
    memoryLimit: 16_384,
    main: wgsl`
  let row = workgroup;
  let first = row * shape.columns;
  var count = 0u;
  for (var start = 0u; start < shape.columns; start += THREADS) {
    let column = start + lane;
    var isKept = false;
    if (column < shape.columns) { isKept = mask[first + column] != 0u; }
    let place = scanLanes(lane, vec2<u32>(u32(isKept), 0u)).x;
    if (isKept) { blocks[first + count + place] = column; }
    count += scanTotal().x;
    workgroupBarrier();
  }
  if (lane == 0u) {
    rows[2u * row] = first;
    rows[2u * row + 1u] = count;
  }`,
  }),
);

export async function compactOnGpu(gpu: Gpu, { mask }: CompactRequest): Promise<SelectedBlocks> {
  const [batch, heads, rowCount, columns] = mask.shape;
  const rows = gpu.empty([batch, heads, rowCount, 2], 'u32');
  const blocks = gpu.empty([Math.max(sizeOf(mask.shape), 1)], 'u32');
  await gpu.launch(
    compactKernel(scanOf(gpu)),
    {
      mask: (mask as GpuTensor).storage,
      rows: rows.storage,
      blocks: blocks.storage,
      shape: { columns },
    },
    batch * heads * rowCount,
  );
  return { rows, blocks, listBatches: batch, listHeads: heads };
}
