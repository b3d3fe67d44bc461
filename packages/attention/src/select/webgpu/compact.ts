import type { Gpu, GpuTensor } from '../../device/gpu.ts';
import { sizeOf } from '../../tensor.ts';
import { assemble, wgsl } from '../../wgsl/assemble.ts';
import { read, uniform, write } from '../../wgsl/bindings.ts';
import { kept } from '../../wgsl/kept.ts';
import type { CompactRequest, SelectedBlocks } from '../request.ts';
import { type Scan, scanEnables, scanMemory, scanOf, scanStage } from './scan.ts';
import { THREADS } from './stages.ts';

/** The columns of each row whose mask is not 0. One workgroup a row; each lane owns a run of columns. */
const compactKernel = kept((scan: Scan) =>
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
  let run = (shape.columns + THREADS - 1u) / THREADS;
  let start = min(lane * run, shape.columns);
  let end = min(start + run, shape.columns);
  var mine = 0u;
  for (var column = start; column < end; column++) { mine += u32(mask[first + column] != 0u); }
  var place = first + scanLanes(lane, vec2<u32>(mine, 0u)).x;
  for (var column = start; column < end; column++) {
    if (mask[first + column] != 0u) {
      blocks[place] = column;
      place++;
    }
  }
  if (lane == THREADS - 1u) {
    rows[2u * row] = first;
    rows[2u * row + 1u] = place - first;
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
